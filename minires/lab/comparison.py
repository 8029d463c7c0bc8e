"""Training plain and residual twins of several depths by one recipe, and keeping what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from minires.data import Split, get_dataset
from minires.training.machine import environment

from .run import TWINS, Run, TwinKind
from .settings import Settings
from .twins import make_twins, train_twin
from .verdict import Verdict, judge
from .watching import Watcher


class Comparison:
    """A comparison of twins: what was asked, what was measured, what follows.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    settings : Settings
    runs : list of Run
        The networks trained so far, shallow before deep and plain before residual.
    environment : dict
        See `minires.training.machine.environment`.
    created : datetime
        When it began, in UTC.

    Examples
    --------
    >>> comparison = Comparison(Settings(depths=(8,), epochs=1, width=2))
    >>> comparison.missing
    [(8, 'plain'), (8, 'residual')]
    >>> comparison.train()
    >>> [run.name for run in comparison.runs]
    ['plain-8', 'residual-8']
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.runs: list[Run] = []
        self.environment: dict[str, Any] = {}
        self.created = datetime.now(UTC)

    @cached_property
    def split(self) -> Split:
        """The images, read when they are first asked for."""
        try:
            return get_dataset(self.settings.dataset).normalized()
        except ValueError as error:
            raise ValueError(f"dataset: {error}") from None

    @property
    def dataset(self) -> str:
        """The data set's name, and with it what must not be forgotten of its images."""
        lossy = " (lossy images: not to be compared with results on the originals)"
        return self.settings.dataset + lossy * self.split.lossy

    @property
    def missing(self) -> list[tuple[int, TwinKind]]:
        """The twins that are not trained yet."""
        done = {(run.depth, run.twin) for run in self.runs}
        wanted = [(depth, twin) for depth in self.settings.depths for twin in TWINS]
        return [each for each in wanted if each not in done]

    @property
    def verdict(self) -> Verdict:
        """What the numbers say."""
        return judge(self.runs, self.settings.epochs)

    def train(self, watcher: Watcher | None = None) -> None:
        """Train the twins that are missing, and append each to `runs` when it is finished.

        Broken off, for instance by Ctrl-C, it leaves the finished ones in `runs`.

        Parameters
        ----------
        watcher : Watcher, optional
            Is told how it goes.
        """
        watcher = watcher or Watcher()
        split = self.split
        steps_per_epoch = -(-len(split.train) // self.settings.batch_size)
        self.environment = environment(self.settings.device)
        watcher.comparison_began(self.settings, steps_per_epoch)
        for depth in self.settings.depths:
            models = make_twins(depth, self.settings, split)
            for twin, model in models.items():
                if (depth, twin) in self.missing:
                    self.runs.append(train_twin(model, twin, self.settings, split, watcher))


def compare_twins(
    depths: Sequence[int] = (8, 20, 56), watcher: Watcher | None = None, **settings: Any
) -> Comparison:
    """Train, for each depth, a plain network and its residual twin.

    Both start from the same numbers, see the same batches and follow the same recipe; only the
    shortcuts differ.

    Parameters
    ----------
    depths : sequence of int
        Each 6n + 2.
    watcher : Watcher, optional
        Is told how it goes.
    **settings
        The other fields of `Settings`.

    Returns
    -------
    Comparison
        Look at its `runs` and `verdict`, or write it to a folder with
        `minires.lab.write_comparison`.

    Raises
    ------
    ValueError
        If a setting is out of range or unknown.

    Examples
    --------
    >>> comparison = compare_twins([8], epochs=1, width=2)
    >>> [run.parameters for run in comparison.runs]
    [1320, 1320]
    """
    comparison = Comparison(Settings(depths=tuple(depths), **settings))
    comparison.train(watcher)
    return comparison
