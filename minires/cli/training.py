"""How a run is getting on, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from minires.training.runs.metrics_log import EpochLine
from minires.training.runs.watching import Plan, RunWatcher

from .bars import opened_bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from minires.training.runs import Result


@contextmanager
def run_watcher(quiet: bool) -> Iterator[RunWatcher]:
    """Choose how to show a run's progress on stderr, and show it inside the block."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if quiet:
        yield _Notes(console)
        return
    with opened_bar(console) as bar:
        yield _Lines(console) if bar is None else _Bar(bar)


def print_result(result: Result, folder: Path, json: bool) -> None:
    """Print the outcome on stdout, as JSON or in a few lines."""
    if json:
        from minires.serialize.json_text import to_json

        told = {"schema": "minires.train/1", "folder": str(folder), **asdict(result)}
        typer.echo(to_json(told), nl=False)
        return
    lossy = " (images compressed with loss)" if result.lossy_images else ""
    typer.echo(f"test error {result.test_error:.2%}, loss {result.test_loss:.4g}{lossy}")
    if result.validation_error is None:
        typer.echo(f"of the weights after the last epoch, {result.best_epoch}")
    else:
        typer.echo(
            f"of the weights after epoch {result.best_epoch} of {result.epochs}, the best in"
            f" validation: error {result.validation_error:.2%}"
            + ("; the run ended early" if result.stopped_early else "")
        )
    for name in ("best.safetensors", "metrics.jsonl", "report.html"):
        if (folder / name).exists():
            typer.echo(folder / name)


class _Notes(RunWatcher):
    """Says what is worth knowing, and nothing else."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        """Print a line that nothing in it can steer."""
        self.console.print(line, markup=False, soft_wrap=True)

    def noted(self, sentence: str) -> None:
        self.say(f"minires: {sentence}")


class _Lines(_Notes):
    """One line per epoch, for logs and pipes."""

    def run_began(self, plan: Plan) -> None:
        self.plan = plan
        train, validation, test = plan.images
        config = plan.config
        self.say(
            f"{config.model} ({plan.parameters:,} parameters) on {Path(config.dataset).name}, in"
            f" {plan.folder}"
        )
        self.say(
            f"{train:,} images of {plan.classes:,} classes to train, {validation:,} to validate,"
            f" {test:,} to test"
        )
        steps = f"{plan.steps:,} step{'' if plan.steps == 1 else 's'}"
        self.say(f"recipe {config.recipe}, {steps} of {min(config.batch_size, train)}")
        if plan.lossy:
            self.say("the images were compressed with loss: results say nothing of the originals")
        if plan.steps_done:
            self.say(f"goes on after step {plan.steps_done:,}")

    def epoch_done(self, line: EpochLine) -> None:
        epochs = -(-self.plan.steps // self.plan.steps_per_epoch)
        self.say(f"epoch {line.epoch:{len(str(epochs))}}  {_told(line)}")


class _Bar(_Lines):
    """One bar over the whole run, and a line for each epoch above it."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.console)
        self.progress = progress
        self.task: Any = progress.add_task("reading the data", total=None, news="")

    def run_began(self, plan: Plan) -> None:
        super().run_began(plan)
        self.began, self.images = time.monotonic(), 0
        self.progress.update(self.task, total=plan.steps, completed=plan.steps_done)

    def step_done(self, epoch: int, step: int, loss: float, images: int) -> None:
        self.images += images
        elapsed = max(time.monotonic() - self.began, 1e-9)
        taken = step - self.plan.steps_done
        left = round(elapsed * (self.plan.steps - step) / max(taken, 1))
        self.progress.update(
            self.task,
            completed=step,
            description=f"epoch {epoch}",
            news=f"loss {loss:<8.3g} {self.images / elapsed:5.0f} img/s"
            f"  {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left",
        )


def _told(line: EpochLine) -> str:
    told = _measured(line.train_loss, line.train_error)
    if line.validation_loss is not None and line.validation_error is not None:
        told += f"  validation {_measured(line.validation_loss, line.validation_error)}"
    return f"{told}  lr {line.lr:<8.3g}  {line.images_per_second:6,.0f} img/s"


def _measured(loss: float, error: float) -> str:
    return f"loss {loss:<9.4g}  error {error:7.2%}"
