"""How a comparison is getting on: a bar in a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from minires.lab import Run, Settings, Watcher

from .bars import opened_bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@contextmanager
def watcher_on_stderr(quiet: bool) -> Iterator[Watcher]:
    """Choose how to show progress, and show it inside the block."""
    if quiet:
        yield Watcher()
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with opened_bar(console) as bar:
        yield _Lines(console) if bar is None else _Bar(bar)


class _Timed(Watcher):
    """Keeps account of the work that is done and left, in layers times steps."""

    def comparison_began(self, settings: Settings, steps_per_epoch: int) -> None:
        self.epochs = settings.epochs
        self.batch_size = settings.batch_size
        self.total = 2 * sum(settings.depths) * settings.epochs * steps_per_epoch
        self.done = 0
        self.began = time.monotonic()

    def twin_began(self, run: Run) -> None:
        self.run = run
        self.run_began = time.monotonic()

    def step_done(self, epoch: int, step: int, loss: float) -> None:
        self.done += self.run.depth
        if epoch == 1:  # later, the run's own measurement says it better
            elapsed = max(time.monotonic() - self.run_began, 1e-9)
            self.speed = step * self.batch_size / elapsed
        else:
            self.speed = self.run.images_per_second

    @property
    def left(self) -> str:
        """Say how long it will take, as minutes and seconds."""
        elapsed = time.monotonic() - self.began
        seconds = round(elapsed * (self.total - self.done) / max(self.done, 1))
        return f"{seconds // 60}:{seconds % 60:02d} left"

    def news(self, loss: float) -> str:
        """Say how the present network is doing."""
        errors = self.run.train_error
        accuracy = f"{1 - errors[-1]:6.1%}" if errors else "     -"
        return f"loss {loss:<8.3g} training acc {accuracy}  {self.speed:5.0f} img/s  {self.left}"


class _Bar(_Timed):
    """One bar over the whole comparison."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("reading the data", total=None, news="")

    def comparison_began(self, settings: Settings, steps_per_epoch: int) -> None:
        super().comparison_began(settings, steps_per_epoch)
        self.progress.update(self.task, total=self.total)

    def step_done(self, epoch: int, step: int, loss: float) -> None:
        super().step_done(epoch, step, loss)
        self.progress.update(
            self.task,
            completed=self.done,
            description=f"{self.run.name:<12} epoch {epoch}/{self.epochs}",
            news=self.news(loss),
        )


class _Lines(_Timed):
    """One line per epoch, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def epoch_done(self, run: Run) -> None:
        epoch = f"epoch {len(run.train_error)}/{self.epochs}"
        losses = run.loss[-run.steps_per_epoch :]
        line = f"{run.name:<12} {epoch:<12} mean {self.news(sum(losses) / len(losses))}"
        self.console.print(line, markup=False, soft_wrap=True)

    def twin_ended(self, run: Run) -> None:
        if run.diverged:
            self.console.print(f"{run.name:<12} {run.diverged}", markup=False, soft_wrap=True)
