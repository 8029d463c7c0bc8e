"""The course of a run: epochs, their ends, checkpoints, stops, and the test at the end.

With several ranks, all go through the same course; what is written is rank 0's part.
"""

from __future__ import annotations

import math
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from minires import devices
from minires.devices.communicator import Communicator
from minires.models.weights.loading import load_weights
from minires.nn import convert_sync_batchnorm, parameter_count
from minires.training import DivergedError, precise_batch_norm
from minires.training.distributed import aborting, check_alike, on_any, start_alike, together
from minires.training.divergence import measured_too_late
from minires.training.evaluation import evaluate
from minires.training.rank_state import RankStates, gather_states, own_seed, restore_states

from .batches import Batches, FirstBatches, batches_of, seen
from .best import BEST, best_epoch, card_of_best, refuse_other_best, write_best
from .checkpoint import LAST, read_seconds, write_checkpoint
from .circumstances import circumstances
from .config import RunConfig
from .errors import CheckpointError
from .fine_tuning import begin_with, freeze
from .making import made_model, made_trainer, total_steps
from .metrics_log import EpochLine, Metrics, MetricsLog, SilentLog, TestLine
from .oddities import oddities
from .recorder import Recorder
from .report import write_report
from .result import Result, early_end, result_of, write_result
from .resuming import decisive, saved_state
from .signals import StoppedError, noted_stops
from .tensorboard import EventFile
from .verdict import judge
from .watching import Plan, RunWatcher

__all__ = ["Course"]


class Course:
    """A run that is carried out.

    Parameters
    ----------
    config : RunConfig
    folder : Path
        Of the run; only rank 0 reads and writes there.
    watcher : RunWatcher
    ranks : Communicator

    Raises
    ------
    ConfigError, OSError
        If the data or the network cannot be had.
    """

    log: MetricsLog | SilentLog

    def __init__(
        self, config: RunConfig, folder: Path, watcher: RunWatcher, ranks: Communicator
    ) -> None:
        self.config = config
        self.folder = folder
        self.watcher = watcher
        self.ranks = ranks
        self.writes = ranks.rank == 0
        with together(ranks):
            self.batches: Batches = batches_of(config, ranks.rank, ranks.size)
            split = self.batches.split
            size = seen(config, split)
            self.card = card_of_best(config, split, self.batches.normalize)
            self.model = made_model(
                config, split.classes, split.channels, size, len(split.train), ranks.size
            )
            self.events = EventFile(folder) if config.tensorboard and self.writes else None
            self.digest: str = split.digest  # reads all files, which may fail on one machine
        check_alike(ranks, "the configuration", str(decisive(config)))
        check_alike(ranks, "the data set", self.digest)
        for oddity in oddities(config, len(split.train), size):
            watcher.noted(oddity)
        if config.sync_bn:
            self.model = convert_sync_batchnorm(self.model, ranks)
        self.steps_per_epoch = len(self.batches.train)
        self.steps = total_steps(config, self.steps_per_epoch)
        self.circumstances = circumstances(config.device, self.digest, ranks.size)
        self.notes: list[str] = []  # about a checkpoint, said once the run does go on from it
        self.seconds = 0.0  # that the present epoch took before the run went on
        self.began = time.perf_counter()
        self.report_due = self.began

    def saved_state(self) -> dict[str, Any] | None:
        """Return the state of the last checkpoint; None where there is none yet.

        Raises
        ------
        CheckpointError
            If it is damaged, or of another run.
        """
        self.seconds = read_seconds(self.folder)
        return saved_state(self.folder, self.config, self.circumstances, self.notes.append)

    def carried_out(self, state: dict[str, Any] | None, allow_reshard: bool = False) -> Result:
        """Train, from a checkpoint's state on or from the beginning, and test."""
        config = self.config
        with together(self.ranks):
            if state is None and config.weights is not None:
                self.watcher.noted(begin_with(self.model, config.weights))
            if config.freeze:
                freeze(self.model, config.freeze)
        self.trainer = made_trainer(config, self.model, self.steps, [Recorder(self)], self.ranks)
        if state is None:
            start_alike(self.model, self.ranks)
            devices.random.manual_seed(own_seed(config.seed, self.ranks.rank))
        else:
            self._go_on_from(state, allow_reshard)
        for note in self.notes:
            self.watcher.noted(note)
        with noted_stops() as self.stops, self._opened_log() as self.log:
            stopped = None
            with aborting(self.ranks):
                try:
                    self._tell_plan()
                    self._tell_readers()
                    if not self.trainer.batch:  # a kill may have come before they were written
                        self._keep_best()
                    self._train()
                    return self._finish()
                except DivergedError as error:
                    self._keep_last_finite(error)
                    raise
                except StoppedError as error:  # all ranks stop
                    self._tell_readers(stopped=str(error))
                    stopped = error
            raise stopped

    def _go_on_from(self, state: dict[str, Any], allow_reshard: bool) -> None:
        try:
            self.trainer.load_state_dict(state)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"'{self.folder / LAST}' does not fit this run: {error}"
            ) from error
        own = state.get("ranks", {"random": [state["random"]], "buffers": {}})
        restore_states(RankStates(**own), self.model, self.ranks, allow_reshard=allow_reshard)

    def _opened_log(self) -> MetricsLog | SilentLog:
        trainer, log = self.trainer, None
        with together(self.ranks):
            if self.writes:
                log = MetricsLog(self.folder, trainer.step, trainer.epoch)
        metrics: Metrics | None = self.ranks.tell(None if log is None else log.metrics)
        return log or SilentLog(metrics or Metrics())

    def _tell_plan(self) -> None:
        split = self.batches.split
        validation = 0 if self.batches.validation is None else len(split.validation)
        self.watcher.run_began(
            Plan(
                self.config,
                self.folder,
                (len(split.train), validation, len(split.test)),
                split.classes,
                parameter_count(self.model),
                self.steps,
                self.steps_per_epoch,
                self.trainer.step,
                split.lossy,
            )
        )

    def _train(self) -> None:
        trainer = self.trainer
        while trainer.epoch * self.steps_per_epoch < self.steps and not self._stops_early():
            self._train_epoch()
            self.checkpoint()
            self._keep_best()
            self._tell_readers(on_the_way=True)
            self.stop_if_asked()

    def _tell_readers(self, on_the_way: bool = False, **ended: str) -> None:
        """Bring what is made from the log up to it; say what ended the run, if anything did.

        The report is made from all of the log, each time longer. On the way it may be a little old,
        so that it takes no more than 1 % of the time.
        """
        began = time.perf_counter()
        if self.writes and not (on_the_way and began < self.report_due):
            write_report(self.folder, **ended)
            now = time.perf_counter()
            self.report_due = now + 100 * (now - began)
        if self.events is not None:
            self.events.update(self.log.metrics)

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
        if validated and not math.isfinite(history.validation_loss[-1]):
            raise measured_too_late(trainer.step, epoch, "the validation loss is not finite")
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
        self.watcher.epoch_done(line)

    def _is_finite(self) -> bool:
        values = [value.detach().to("cpu").numpy() for value in self.model.state_dict().values()]
        return all(np.isfinite(value).all() for value in values)

    def _keep_best(self) -> None:
        """Write the weights if they are the best so far: behind the checkpoint, which has them."""
        line, ema = best_epoch(self.log.metrics.epochs), self.trainer.ema
        if self.writes and line is not None and line.epoch == self.trainer.epoch:
            with nullcontext() if ema is None else ema.swapped(self.model):
                self._write_best(line)

    def _write_best(self, line: EpochLine) -> None:
        write_best(self.folder, self.model, self.card, line, half=self.config.half)

    def _stops_early(self) -> bool:
        patience, lines = self.config.early_stop, self.log.metrics.epochs
        best = best_epoch(lines)
        if patience is None or best is None:
            return False
        return lines[-1].epoch - best.epoch >= patience

    def checkpoint(self) -> None:
        """Write the present state; the log is on the disk before it.

        Raises
        ------
        DivergedError
            If weights are not finite, which their next loss would tell: those from before stay.
        """
        # Statistics may be a rank's own, and then the others wait for it.
        if on_any(self.ranks, not self._is_finite()):
            step, epoch = self.trainer.step, self.trainer.epoch
            raise measured_too_late(step, epoch, "some weights are not finite")
        own = gather_states(self.model, self.ranks)
        if own is None:
            return
        state, split = self.trainer.state_dict(), self.batches.split
        # The log has what was measured; and times would make equal runs differ.
        state |= {"history": {}, "seconds": 0.0, "run": decisive(self.config)}
        state["data"] = self.digest
        state["network"] = {"num_classes": split.classes, "in_channels": split.channels}
        if self.ranks.size > 1:
            state["ranks"] = own._asdict()
        self.log.sync()
        write_checkpoint(
            self.folder,
            state,
            self.circumstances,
            seconds=time.perf_counter() - self.began if self.trainer.batch else 0.0,
            keep=self.config.keep,
        )

    def stop_if_asked(self, with_checkpoint: bool = False) -> None:
        """Raise StoppedError if a signal came, on any rank."""
        number = self.stops.number
        if on_any(self.ranks, number is not None):
            if with_checkpoint:
                self.checkpoint()
            # All end with one code, whichever rank heard of it first. A launcher may send SIGTERM
            # behind a Ctrl-C, whose number is lower.
            heard = self.ranks.gather(number)
            first = min((each for each in heard or () if each is not None), default=signal.SIGTERM)
            raise StoppedError(self.ranks.tell(first), self.trainer.step)

    def _keep_last_finite(self, error: DivergedError) -> None:
        # Between epochs there is a checkpoint already; and in the test the weights are the best.
        lost = not self.trainer.batch or not self._is_finite()
        if not on_any(self.ranks, lost):
            self.checkpoint()
        self._tell_readers(diverged=str(error))

    def _tell_divergence(self) -> None:
        """Say of a run whose losses stayed numbers that it went the wrong way all the same."""
        verdict = judge(self.log.metrics, self.config)
        if verdict.kind == "diverged":
            self.watcher.noted(f"{verdict.headline} {verdict.details[0]}")

    def _finish(self) -> Result:
        """Read the test part, once, with the best weights."""
        split, best = self.batches.split, best_epoch(self.log.metrics.epochs)
        assert best is not None
        with together(self.ranks):
            if self.writes:
                refuse_other_best(self.folder, best)
                load_weights(self.model, self.folder / BEST)
        start_alike(self.model, self.ranks)
        if self.config.precise_bn:
            self.batches.train.set_epoch(0)
            precise_batch_norm(self.model, self.batches.train, self.config.precise_bn)
        result = found = None
        if self.writes:
            if self.config.precise_bn:
                self._write_best(best)
                load_weights(self.model, self.folder / BEST)  # as they are kept, perhaps as float16
            found = evaluate(self.model, self.trainer.loss, self.batches.test, confusion=True)
        if found is not None and math.isfinite(found.loss):
            assert found.confusion is not None
            confusion = found.confusion.tolist()
            self.log.write(TestLine(best.epoch, best.step, found.loss, found.error, confusion))
            self.log.sync()
            parameters = parameter_count(self.model)
            result = result_of(self.config, self.log.metrics, parameters, split.lossy)
            self._tell_readers()
            self._tell_divergence()
            if result.stopped_early:
                self.watcher.noted(early_end(self.config, self.log.metrics))
            write_result(self.folder, result)
            self.watcher.run_ended(result)
        result = self.ranks.tell(result)
        if result is None:  # told to all ranks, which raise it together
            raise measured_too_late(best.step, best.epoch, "the test loss is not finite")
        return result
