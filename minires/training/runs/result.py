"""What a run came to: `result.json`, written last, so that it says that the run is finished."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from minires.serialize import atomic_write

from .config import RunConfig
from .errors import LogError
from .metrics_log import Metrics

__all__ = ["RESULT", "Result", "early_end", "read_result", "write_result"]

RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """The outcome of a finished run. Errors are shares of mistakes, 0 to 1; losses are means.

    Attributes
    ----------
    model, dataset, recipe : str
    seed : int
    parameters : int
        How many numbers the network has that are learned.
    epochs, steps : int
        How many were taken.
    seconds : float
        Of training and validation, over all parts of an interrupted run.
    train_loss, train_error : float
        Over the last epoch, in training mode.
    best_epoch : int
        After which the weights were that are tested, and stand in ``best.safetensors``.
    validation_loss, validation_error : float or None
        After that epoch.
    test_loss, test_error : float
        Of these weights. Read once, at the end.
    lossy_images : bool
        The images were compressed with loss: the numbers say nothing about the originals.
    stopped_early : bool
        It took fewer epochs than it was asked for: see `early_end`.
    """

    model: str
    dataset: str
    recipe: str
    seed: int
    parameters: int
    epochs: int
    steps: int
    seconds: float
    train_loss: float
    train_error: float
    best_epoch: int
    validation_loss: float | None
    validation_error: float | None
    test_loss: float
    test_error: float
    lossy_images: bool
    stopped_early: bool = False  # as in files from before it was told


def result_of(config: RunConfig, metrics: Metrics, parameters: int, lossy: bool) -> Result:
    """Put together what stands in the log of a finished run."""
    assert metrics.test is not None
    last, test = metrics.epochs[-1], metrics.test
    best = next(line for line in metrics.epochs if line.epoch == test.epoch)
    return Result(
        model=config.model,
        dataset=config.dataset,
        recipe=config.recipe,
        seed=config.seed,
        parameters=parameters,
        epochs=last.epoch,
        steps=last.step,
        seconds=round(sum(line.seconds for line in metrics.epochs), 3),
        train_loss=last.train_loss,
        train_error=last.train_error,
        best_epoch=best.epoch,
        validation_loss=best.validation_loss,
        validation_error=best.validation_error,
        test_loss=test.loss,
        test_error=test.error,
        lossy_images=lossy,
        stopped_early=bool(early_end(config, metrics)),
    )


def early_end(config: RunConfig, metrics: Metrics) -> str:
    """Say of a run that has come to its end why it was before its time; else nothing.

    Examples
    --------
    >>> from minires.training.runs.metrics_log import EpochLine
    >>> config = RunConfig.checked(
    ...     model="cifar_resnet8", dataset="digits", epochs=9, val_split=0.1, early_stop=2
    ... )
    >>> early_end(config, Metrics(epochs=[EpochLine(3, 36, 1.0, 0.5, 0.9, 0.4, 0.1, 1.0, 1.0)]))
    'it ended early, after epoch 3 of 9: no better validation in 2 epochs'
    """
    last, patience = metrics.epochs[-1], config.early_stop
    done, asked, what = last.epoch, config.epochs, "epoch"
    if asked is None:
        done, asked, what = last.step, config.steps, "step"
    if patience is None or asked is None or done >= asked:
        return ""
    in_vain = f"{patience} epoch{'' if patience == 1 else 's'}"
    return f"it ended early, after {what} {done:,} of {asked:,}: no better validation in {in_vain}"


def write_result(folder: str | os.PathLike[str], result: Result) -> None:
    """Write ``result.json``."""
    with atomic_write(Path(folder) / RESULT, "w") as file:
        file.write(json.dumps(asdict(result), indent=2, allow_nan=False) + "\n")


def read_result(folder: str | os.PathLike[str]) -> Result | None:
    """Return the outcome of a run; None if it is not finished.

    Raises
    ------
    LogError
        If the file was changed to something else.
    """
    path = Path(folder) / RESULT
    if not path.is_file():
        return None
    try:
        return Result(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise LogError(f"'{path}' is no result of a run: {error}") from None
