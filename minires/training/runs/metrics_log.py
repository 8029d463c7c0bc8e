"""`metrics.jsonl`: what each step and each epoch of a run gave, every step exactly once."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from minires.serialize import atomic_write

from .errors import LogError

__all__ = [
    "EpochLine",
    "Metrics",
    "MetricsLog",
    "SilentLog",
    "StepLine",
    "TestLine",
    "read_metrics",
]

LOG = "metrics.jsonl"
TABLE = "metrics.csv"


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step: its batch's mean loss and mistakes, from before the update, and its rate."""

    step: int
    epoch: int
    loss: float
    images: int
    mistakes: int
    lr: float


@dataclass(frozen=True, slots=True)
class EpochLine:
    """One epoch: means over its batches in training mode, and what validation gave after it.

    Errors are shares of mistakes, 0 to 1. Without a validation part its values are None.
    """

    epoch: int
    step: int
    train_loss: float
    train_error: float
    validation_loss: float | None
    validation_error: float | None
    lr: float
    seconds: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class TestLine:
    """The test part, read once at the end.

    Attributes
    ----------
    epoch, step : int
        After which the tested weights were taken.
    loss, error : float
    confusion : list of list of int
        Row: the right class; column: the predicted one.
    """

    __test__ = False  # it is no test of pytest's

    epoch: int
    step: int
    loss: float
    error: float
    confusion: list[list[int]]


Line = StepLine | EpochLine | TestLine
_KINDS: dict[str, type[Line]] = {"step": StepLine, "epoch": EpochLine, "test": TestLine}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass
class Metrics:
    """All lines of a run's `metrics.jsonl`."""

    steps: list[StepLine] = field(default_factory=list)
    epochs: list[EpochLine] = field(default_factory=list)
    test: TestLine | None = None

    def add(self, line: Line) -> None:
        """Put a line to those of its kind."""
        if isinstance(line, StepLine):
            self.steps.append(line)
        elif isinstance(line, EpochLine):
            self.epochs.append(line)
        else:
            self.test = line


def read_metrics(folder: str | os.PathLike[str]) -> Metrics:
    """Read what a run has logged so far.

    A last line that was cut off, by a kill or because it is being written, is left out.

    Parameters
    ----------
    folder : path
        Of the run; without a log there are no lines.

    Raises
    ------
    LogError
        If another line is none of a log; the message tells its number.
    """
    metrics = Metrics()
    for line in _lines(Path(folder) / LOG):
        metrics.add(line)
    return metrics


def _lines(path: Path) -> Iterator[Line]:
    if not path.exists():
        return
    *whole, _ = path.read_bytes().split(b"\n")  # after the last line's end there is nothing, or
    for number, text in enumerate(whole, 1):  # a line that was cut off
        try:
            values = json.loads(text)
            yield _KINDS[values.pop("kind")](**values)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise LogError(
                f"'{path}', line {number}: it is no line of a run's log: {text[:80]!r}; was the"
                " file changed?"
            ) from None


def _text(line: Line) -> str:
    return json.dumps({"kind": _NAMES[type(line)], **asdict(line)}, allow_nan=False) + "\n"


class SilentLog(AbstractContextManager["SilentLog"]):
    """Keeps lines and writes nothing: the log of a rank that leaves writing to another.

    Parameters
    ----------
    metrics : Metrics
        What the other one has so far.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def write(self, line: Line) -> None:
        """Keep a line."""
        self.metrics.add(line)

    def sync(self) -> None:
        """Do nothing: there is nothing to be brought to the disk."""

    def __exit__(self, *error: object) -> None: ...


class MetricsLog(AbstractContextManager["MetricsLog"]):
    """Writes the log of a run, from the checkpoint on from which the run goes on.

    Parameters
    ----------
    folder : path
    step, epoch : int
        How many of each the checkpoint has done: lines of later ones are taken away, for these
        steps will be taken again.

    Attributes
    ----------
    metrics : Metrics
        All lines that stand in the file.

    Raises
    ------
    LogError
        If the log lacks steps or epochs that the checkpoint has done.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with MetricsLog(folder) as log:
    ...     log.write(StepLine(step=1, epoch=1, loss=2.5, images=64, mistakes=60, lr=0.1))
    ...     log.write(StepLine(step=2, epoch=1, loss=2.0, images=64, mistakes=50, lr=0.1))
    >>> with MetricsLog(folder, step=1) as log:
    ...     [line.loss for line in log.metrics.steps]
    [2.5]
    """

    def __init__(self, folder: str | os.PathLike[str], step: int = 0, epoch: int = 0) -> None:
        self.path = Path(folder) / LOG
        self.metrics = Metrics()
        # What is behind may be damaged: it was not brought to the disk, as the checkpoint was.
        kept = list(islice(_lines(self.path), step + epoch))
        for line in kept:
            self.metrics.add(line)
        steps = [line.step for line in self.metrics.steps]
        epochs = [line.epoch for line in self.metrics.epochs]
        if (steps, epochs) != (list(range(1, step + 1)), list(range(1, epoch + 1))):
            raise LogError(
                f"'{self.path}' does not have each of the steps 1 to {step} and epochs 1 to {epoch}"
                " once, which the checkpoint has done; bring the file back that belongs to it"
            )
        with atomic_write(self.path, "w") as file:
            file.writelines(map(_text, kept))
        self._write_table()
        self._file = self.path.open("a", encoding="utf-8", newline="\n")

    def write(self, line: Line) -> None:
        """Add a line; an epoch's also to ``metrics.csv``, which is written anew."""
        self._file.write(_text(line))
        self.metrics.add(line)
        if not isinstance(line, StepLine):
            self._file.flush()
        if isinstance(line, EpochLine):
            self._write_table()

    def sync(self) -> None:
        """Bring all lines to the disk: before a checkpoint that relies on them."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write_table(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, [each.name for each in fields(EpochLine)], lineterminator="\n")
        table.writeheader()
        rows: list[dict[str, Any]] = [asdict(line) for line in self.metrics.epochs]
        table.writerows(rows)
        with atomic_write(self.path.with_name(TABLE), "w") as file:
            file.write(text.getvalue())
