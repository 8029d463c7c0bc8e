"""What came of each run of a sweep: of the test part, nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minires.training.runs import EpochLine, read_metrics
from minires.training.runs.best import best_epoch

from .grid import Trial


@dataclass(frozen=True)
class Outcome:
    """One run of a sweep.

    Attributes
    ----------
    name : str
        Of its folder.
    varied : dict
        What distinguishes it from the others.
    failure : str
        Why it has no result; "" if it has one.
    epochs : list of EpochLine
        Those that it was trained for, also if it failed then.
    was_finished : bool
        It was finished before this sweep, which left it alone.
    """

    name: str
    varied: dict[str, Any]
    failure: str
    epochs: list[EpochLine]
    was_finished: bool = False

    @property
    def best(self) -> EpochLine | None:
        """The epoch with the lowest validation error; None for a run that failed."""
        return None if self.failure else best_epoch(self.epochs)

    @property
    def seconds(self) -> float:
        """Of training and validation."""
        return sum(line.seconds for line in self.epochs)


def outcome_of(trial: Trial, folder: Path, failure: str = "") -> Outcome:
    """Read what the run in ``folder / trial.name`` has logged.

    Parameters
    ----------
    trial : Trial
    folder : Path
        Of the sweep.
    failure : str
        What is known to have gone wrong.
    """
    try:
        epochs = read_metrics(folder / trial.name).epochs
    except ValueError as error:  # a log that was changed
        failure, epochs = failure or str(error), []
    if not epochs:
        failure = failure or "its log is missing"
    return Outcome(trial.name, trial.varied, failure, epochs)


def ranked(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Order outcomes by their best validation error, then its loss; those that failed come last."""

    def rank(outcome: Outcome) -> tuple[float, float, str]:
        best = outcome.best
        if best is None or best.validation_error is None or best.validation_loss is None:
            return (2.0, 0.0, outcome.name)  # behind every error
        return (best.validation_error, best.validation_loss, outcome.name)

    return sorted(outcomes, key=rank)
