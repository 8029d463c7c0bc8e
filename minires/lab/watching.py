"""Who looks on while twins are trained, for example a progress bar."""

from __future__ import annotations

from .run import Run
from .settings import Settings


class Watcher:
    """Look on while a comparison runs; override the moments of interest."""

    def comparison_began(self, settings: Settings, steps_per_epoch: int) -> None:
        """Observe the start; each twin takes ``settings.epochs * steps_per_epoch`` steps."""

    def twin_began(self, run: Run) -> None:
        """Observe that the next twin is about to be trained; `run` fills up on the way."""

    def step_done(self, epoch: int, step: int, loss: float) -> None:
        """Observe a training step; `step` counts from 1 over all epochs, `epoch` from 1."""

    def epoch_done(self, run: Run) -> None:
        """Observe that an epoch was trained and measured."""

    def twin_ended(self, run: Run) -> None:
        """Observe that a twin is finished, or diverged."""
