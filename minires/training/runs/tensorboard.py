"""A run's log as event files, for those who look at their runs in TensorBoard."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .metrics_log import EpochLine, Metrics, StepLine, TestLine

__all__ = ["EVENTS", "EventFile"]

EVENTS = "tensorboard"  # the folder in that of the run
_NAME = "events.out.tfevents.{:010d}.minires"  # TensorBoard reads them in the order of the numbers


class EventFile:
    """Writes what a log has gained since it was asked last.

    A run that goes on gets a new file, which begins with all that is still true, and the old one is
    taken away: each step stands once.

    Parameters
    ----------
    folder : path
        Of the run.

    Raises
    ------
    ConfigError
        If the package tensorboard is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise ConfigError(
                "tensorboard: event files need its package:"
                f" python -m pip install 'minires[tensorboard]' ({error})"
            ) from error
        self._event, self._summary, self._writer = Event, Summary, RecordWriter
        self._folder = Path(folder) / EVENTS
        self._path: Path | None = None
        self._done = (0, 0, 0)

    def update(self, metrics: Metrics) -> None:
        """Add the lines that are new."""
        steps, epochs, tests = self._done
        new: list[Any] = [*metrics.steps[steps:], *metrics.epochs[epochs:]]
        if metrics.test is not None and not tests:
            new.append(metrics.test)
        before = [] if self._path else sorted(self._folder.glob(_NAME.replace("{:010d}", "*")))
        path = self._path or self._next(before)
        with path.open("ab") as file:
            writer = self._writer(file)
            if self._path is None:
                writer.write(self._event(file_version="brain.Event:2").SerializeToString())
            for line in new:
                values = [
                    self._summary.Value(tag=tag, simple_value=value)
                    for tag, value in _values_of(line)
                ]
                event = self._event(
                    wall_time=time.time(), step=line.step, summary=self._summary(value=values)
                )
                writer.write(event.SerializeToString())
        for old in before:
            old.unlink()
        self._path = path
        self._done = len(metrics.steps), len(metrics.epochs), int(metrics.test is not None)

    def _next(self, before: list[Path]) -> Path:
        self._folder.mkdir(exist_ok=True)
        last = int(before[-1].name.split(".")[3]) if before else 0
        return self._folder / _NAME.format(last + 1)


def _values_of(line: Any) -> Iterator[tuple[str, float]]:
    """Name the numbers of a line, so that those of one kind are drawn together."""
    match line:
        case StepLine():
            yield "loss/step", line.loss
            yield "learning rate", line.lr
        case EpochLine():
            yield "images per second", line.images_per_second
            for part in ("train", "validation"):
                for what in ("loss", "error"):
                    value = getattr(line, f"{part}_{what}")
                    if value is not None:
                        yield f"{what}/{part}", value
        case TestLine():
            yield "loss/test", line.loss
            yield "error/test", line.error
