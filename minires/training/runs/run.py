"""Carrying out a run: from its configuration, or its last checkpoint, to its result."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from minires import devices
from minires.models.weights.loading import load_weights
from minires.nn import parameter_count
from minires.training import Callback, DivergedError, Trainer, precise_batch_norm
from minires.training.evaluation import evaluate
from minires.training.ledger import Measured

from .batches import Batches, FirstBatches, batches_of, seen
from .best import BEST, best_epoch, write_best
from .checkpoint import (
    LAST,
    read_checkpoint,
    read_circumstances,
    read_seconds,
    write_checkpoint,
)
from .circumstances import circumstances, differences
from .config import CONFIG, RunConfig, write_config
from .errors import CheckpointError
from .fine_tuning import begin_with, freeze
from .making import made_model, made_trainer, threads_of, total_steps
from .metrics_log import LOG, EpochLine, MetricsLog, StepLine, TestLine
from .report import write_report
from .result import RESULT, Result, read_result, result_of, write_result
from .signals import StoppedError, noted_stops
from .watching import Plan, RunWatcher

__all__ = ["holds_run", "train"]

# What may be another when a run is gone on with: it decides where and how, not what is computed.
FREE = frozenset(
    {"root", "dataset", "weights", "device", "threads", "workers", "half", "checkpoint_steps"}
    | {"keep", "tensorboard", "distributed"}
)


def holds_run(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder has something of a run."""
    return any((Path(folder) / name).exists() for name in (CONFIG, LOG, LAST, BEST, RESULT))


def train(
    config: RunConfig,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    watcher: RunWatcher | None = None,
) -> Result:
    """Train a network as a configuration says, and keep everything in a folder.

    Parameters
    ----------
    config : RunConfig
    folder : path
        Made if it is not there. It gets ``config.json``, ``metrics.jsonl`` and ``.csv``,
        ``last.safetensors`` and ``best.safetensors`` with their ``.json``, ``report.html``, and
        ``result.json``.
    resume : bool
        Go on with the run that is in the folder, from its last checkpoint, to the same weights as
        if nothing had happened. One that has no checkpoint yet begins again; one that is finished
        is left as it is.
    watcher : RunWatcher, optional

    Returns
    -------
    Result

    Raises
    ------
    FileExistsError
        If there is a run in the folder, and it is not to be gone on with.
    ConfigError
        If the options do not fit the data, or each other. A folder that was made is gone again.
    CheckpointError
        If the checkpoint is damaged, or belongs to something else; nothing was changed.
    StoppedError
        If SIGTERM or Ctrl-C came; a checkpoint was written.
    DivergedError
        If a loss is not finite; the last finite weights are in the checkpoint.
    OSError
        If the data set is not there, or the disk is full: the last checkpoint still is.

    Examples
    --------
    >>> import tempfile
    >>> from minires.training.runs.recipes import configured
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> config = configured("cifar_resnet8", "digits", epochs=1, model_options={"width": 2})
    >>> result = train(config, folder)
    >>> result.steps, sorted(path.name for path in folder.iterdir())[:3]
    (12, ['best.json', 'best.safetensors', 'config.json'])
    >>> train(config, folder, resume=True) == result
    True
    """
    folder = Path(folder)
    watcher = watcher or RunWatcher()
    if not resume and holds_run(folder):
        raise FileExistsError(
            f"there is a run in '{folder}' already, which is not overwritten; go on with it by"
            " --resume, or name another folder"
        )
    finished = read_result(folder) if resume else None
    if finished is not None:
        watcher.noted(f"the run in '{folder}' is finished; nothing is changed")
        return finished
    with _folder_of(config, folder), threads_of(config):
        run = _Run(config, folder, watcher)
        state = run.saved_state() if resume else None
        if resume:
            for torn in folder.glob(".*.tmp"):  # of writes that a kill broke off
                torn.unlink()
        with _told_of_the_disk(folder):
            return run.carried_out(state)


@contextmanager
def _folder_of(config: RunConfig, folder: Path) -> Iterator[None]:
    """Write the configuration first; take it away again if it turns out to make no sense."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    is_new = not (folder / CONFIG).exists()
    if is_new:
        write_config(config, folder)
    try:
        yield
    except BaseException:
        if is_new and not (folder / LOG).exists():
            (folder / CONFIG).unlink()
            for each in made:
                each.rmdir()
        raise


@contextmanager
def _told_of_the_disk(folder: Path) -> Iterator[None]:
    """Say what is still there when nothing more can be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG):
            raise
        raise OSError(
            f"'{folder}' cannot be written to ({error.strerror}); the last checkpoint is whole:"
            f" make room, then minires train --resume '{folder}' goes on from it"
        ) from error


class _Run:
    """A run that is being carried out."""

    def __init__(self, config: RunConfig, folder: Path, watcher: RunWatcher) -> None:
        self.config = config
        self.folder = folder
        self.watcher = watcher
        self.batches: Batches = batches_of(config)
        split = self.batches.split
        self.model = made_model(config, split.classes, split.channels, seen(config, split))
        self.steps_per_epoch = len(self.batches.train)
        self.steps = total_steps(config, self.steps_per_epoch)
        self.circumstances = circumstances(config.device, split.digest)
        self.seconds = 0.0  # that the present epoch took before the run went on

    def saved_state(self) -> dict[str, Any] | None:
        """Read the last checkpoint, and make sure that it is this run's."""
        path = self.folder / LAST
        if not path.exists():
            self.watcher.noted("there is no checkpoint yet; the run begins again")
            return None
        state = read_checkpoint(path)
        now = self.told_of_run()
        for name, was in state.get("run", {}).items():
            if now.get(name) != was:
                raise CheckpointError(
                    f"'{path}' is of a run with {name} {was!r}, and {CONFIG} says"
                    f" {now.get(name)!r}; bring the file back that belongs to it"
                )
        self.seconds = read_seconds(self.folder)
        for difference in differences(read_circumstances(self.folder), self.circumstances):
            self.watcher.noted(
                f"{difference}; from here on, bits may differ from those of an uninterrupted run"
            )
        return state

    def told_of_run(self) -> dict[str, Any]:
        """Return the options that decide what is computed; no paths are among them."""
        told = self.config.model_dump(mode="json", by_alias=True)
        return {name: value for name, value in told.items() if name not in FREE}

    def carried_out(self, state: dict[str, Any] | None) -> Result:
        """Train, from the state on, and test."""
        config = self.config
        if state is None:
            devices.random.manual_seed(config.seed)
            if config.weights is not None:
                self.watcher.noted(begin_with(self.model, config.weights))
        if config.freeze:
            freeze(self.model, config.freeze)
        with noted_stops() as self.stops:
            self.trainer = made_trainer(config, self.model, self.steps, [_Recorder(self)])
            if state is not None:
                self._go_on_from(state)
            trainer = self.trainer
            with MetricsLog(self.folder, trainer.step, trainer.epoch) as self.log:
                self._tell_plan()
                try:
                    self._train()
                except DivergedError as error:
                    self._keep_last_finite()
                    write_report(self.folder, diverged=str(error))
                    raise
                return self._finish()

    def _go_on_from(self, state: dict[str, Any]) -> None:
        try:
            self.trainer.load_state_dict(state)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"'{self.folder / LAST}' does not fit this run: {error}"
            ) from error

    def _tell_plan(self) -> None:
        batches = self.batches
        validation = 0 if batches.validation is None else len(batches.split.validation)
        images = len(batches.split.train), validation, len(batches.split.test)
        self.watcher.run_began(
            Plan(
                self.config,
                images,
                parameter_count(self.model),
                self.steps,
                self.steps_per_epoch,
                self.trainer.step,
                batches.split.lossy,
            )
        )

    def _train(self) -> None:
        trainer = self.trainer
        while trainer.epoch * self.steps_per_epoch < self.steps and not self._stops_early():
            self._train_epoch()
            self.checkpoint()
            write_report(self.folder)
            if self.stops.number is not None:
                raise StoppedError(self.stops.number, trainer.step)

    def _train_epoch(self) -> None:
        trainer, epoch = self.trainer, self.trainer.epoch + 1
        left = self.steps - trainer.epoch * self.steps_per_epoch
        loader: Any = self.batches.train
        if left < self.steps_per_epoch:
            loader = FirstBatches(loader, left)
        self.began = time.perf_counter() - self.seconds
        trainer.fit(loader, 1, validation=self.batches.validation)
        seconds, self.seconds = time.perf_counter() - self.began, 0.0
        taken = [line for line in self.log.metrics.steps if line.epoch == epoch]
        images = sum(line.images for line in taken)
        validated = self.batches.validation is not None
        history = trainer.history
        line = EpochLine(
            epoch=epoch,
            step=trainer.step,
            train_loss=sum(line.loss * line.images for line in taken) / images,
            train_error=sum(line.mistakes for line in taken) / images,
            validation_loss=history.validation_loss[-1] if validated else None,
            validation_error=history.validation_error[-1] if validated else None,
            lr=taken[-1].lr,
            seconds=round(seconds, 3),
            images_per_second=round(images / max(seconds, 1e-9), 1),
        )
        self.log.write(line)
        if best_epoch(self.log.metrics.epochs) is line:
            ema = trainer.ema
            with nullcontext() if ema is None else ema.swapped(self.model):
                write_best(self.folder, self.model, self.config, self.batches.split, line)
        self.watcher.epoch_done(line)

    def _stops_early(self) -> bool:
        patience, lines = self.config.early_stop, self.log.metrics.epochs
        best = best_epoch(lines)
        return (
            patience is not None and best is not None and lines[-1].epoch - best.epoch >= patience
        )

    def checkpoint(self) -> None:
        """Write the present state; the log is on the disk before it."""
        state = self.trainer.state_dict()
        # The log has what was measured; and times would make equal runs differ.
        split = self.batches.split
        network = {"num_classes": split.classes, "in_channels": split.channels}
        state |= {"history": {}, "seconds": 0.0, "run": self.told_of_run(), "network": network}
        self.log.sync()
        write_checkpoint(
            self.folder,
            state,
            self.circumstances,
            seconds=time.perf_counter() - self.began if self.trainer.batch else 0.0,
            keep=self.config.keep,
        )

    def _keep_last_finite(self) -> None:
        values = [value.detach().to("cpu").numpy() for value in self.model.state_dict().values()]
        if self.trainer.step and all(np.isfinite(value).all() for value in values):
            self.checkpoint()

    def _finish(self) -> Result:
        """Read the test part, once, with the best weights."""
        lines, split = self.log.metrics.epochs, self.batches.split
        best = best_epoch(lines)
        assert best is not None
        load_weights(self.model, self.folder / BEST)
        if self.config.precise_bn:
            self.batches.train.set_epoch(0)
            precise_batch_norm(self.model, self.batches.train, self.config.precise_bn)
            write_best(self.folder, self.model, self.config, split, best)
        found = evaluate(self.model, self.trainer.loss, self.batches.test, confusion=True)
        assert found.confusion is not None
        confusion = found.confusion.tolist()
        self.log.write(TestLine(best.epoch, best.step, found.loss, found.error, confusion))
        self.log.sync()
        result = result_of(self.config, self.log.metrics, parameter_count(self.model), split.lossy)
        write_report(self.folder)
        write_result(self.folder, result)
        self.watcher.run_ended(result)
        return result


class _Recorder(Callback):
    """Writes each step into the log, and obeys what came while it was taken."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.loss = float("nan")
        self._rates: list[float] = []

    def on_measured(self, trainer: Trainer, measured: list[Measured]) -> None:
        log = self.run.log
        for batch in measured:
            self.loss = batch.loss
            step = len(log.metrics.steps) + 1
            lr = self._rates.pop(0) if self._rates else trainer.learning_rate
            log.write(
                StepLine(step, trainer.epoch + 1, batch.loss, batch.images, batch.mistakes, lr)
            )

    def on_step(self, trainer: Trainer, step: int) -> None:
        run = self.run
        if len(run.log.metrics.steps) < step:  # on a GPU, which is read from time to time
            self._rates.append(trainer.learning_rate)
        run.watcher.step_done(trainer.epoch + 1, step, self.loss, trainer.batch_images)
        every = run.config.checkpoint_steps
        stop = run.stops.number
        if stop is not None or (every is not None and step % every == 0):
            run.checkpoint()
        if stop is not None:
            raise StoppedError(stop, step)
