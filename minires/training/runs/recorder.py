"""What a run does after each of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minires.training import Callback, Trainer
from minires.training.ledger import Measured

from .metrics_log import StepLine

if TYPE_CHECKING:
    from .course import Course


class Recorder(Callback):
    """Writes each step into the log, and sees to stops and to checkpoints within epochs."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.loss = float("nan")
        self._rates: list[float] = []

    def on_measured(self, trainer: Trainer, measured: list[Measured]) -> None:
        """Log what the steps since the last look have cost."""
        log = self.course.log
        for batch in measured:
            self.loss = batch.loss
            step = len(log.metrics.steps) + 1
            lr = self._rates.pop(0) if self._rates else trainer.learning_rate
            log.write(
                StepLine(step, trainer.epoch + 1, batch.loss, batch.images, batch.mistakes, lr)
            )

    def on_step(self, trainer: Trainer, step: int) -> None:
        """Stop here if a signal came; write a checkpoint if it is time for one."""
        course = self.course
        if len(course.log.metrics.steps) < step:  # on a GPU, which is read from time to time
            self._rates.append(trainer.learning_rate)
        images = course.batches.train.global_batch_size(trainer.batch - 1)
        course.watcher.step_done(trainer.epoch + 1, step, self.loss, images)
        course.stop_if_asked(with_checkpoint=True)
        every = course.config.checkpoint_steps
        if every is not None and step % every == 0:
            course.checkpoint()
