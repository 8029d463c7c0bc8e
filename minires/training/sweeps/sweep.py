"""Carrying out a sweep: a process for each run, here or on many machines."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal, NamedTuple

from minires.devices import threads
from minires.serialize import atomic_write
from minires.serialize.locking import lock
from minires.training.runs import RunConfig, StoppedError, read_result, train

from .grid import Trial
from .outcome import Outcome, outcome_of

__all__ = ["FAILURE", "run_sweep"]

FAILURE = "failure.txt"


class _Task(NamedTuple):
    """What a process is told: plain data, for it goes through a pipe."""

    config: RunConfig
    folder: str
    threads: int


def run_sweep(
    trials: Sequence[Trial],
    folder: str | os.PathLike[str],
    *,
    jobs: int = 1,
    executor: Literal["processes", "mpi"] = "processes",
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome] | None:
    """Train all runs of a sweep that are not finished yet.

    A run that fails, or whose process is killed, takes no other with it. One that was broken off is
    gone on with: after an interruption the same call does the rest.

    Parameters
    ----------
    trials : sequence of Trial
    folder : path
        Each run gets a folder in it; what went wrong with a run stands there in ``failure.txt``.
    jobs : int
        How many processes train at a time, each with its share of the processors. With "mpi" the
        launcher says how many.
    executor : {"processes", "mpi"}
        `concurrent.futures`, or `mpi4py.futures`, where all processes that ``mpiexec`` started make
        this call: rank 0 hands out the runs, the others train them.
    told : callable
        Called with each outcome as it comes.

    Returns
    -------
    list of Outcome
        In the order of the trials; None on the ranks that trained.

    Raises
    ------
    ImportError
        If "mpi" is asked for, and mpi4py is missing or finds no MPI.
    RuntimeError
        If there is only one process to share the runs out to.
    """
    folder = Path(folder)
    with _BY[executor](jobs) as hired:
        if hired is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        pool, carry_out, share = hired
        outcomes: dict[str, Outcome] = {}

        def keep(trial: Trial, failure: str, was_finished: bool = False) -> None:
            outcome = outcome_of(trial, folder, failure)
            outcomes[trial.name] = replace(outcome, was_finished=was_finished)
            told(outcomes[trial.name])

        futures = {}
        for trial in trials:
            if _is_finished(folder / trial.name):
                keep(trial, "", was_finished=True)
            else:
                task = _Task(trial.config, str(folder / trial.name), share)
                futures[pool.submit(carry_out, task)] = trial
        try:
            for future in as_completed(futures):
                keep(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun need not begin
            raise
    return [outcomes[trial.name] for trial in trials]


def _is_finished(folder: Path) -> bool:
    try:
        return read_result(folder) is not None
    except ValueError:  # what is damaged there, the run itself tells
        return False


# What trains: a pool, what it is to do with a task, and how many threads a run gets.
_Hired = tuple[Executor, Callable[[_Task], str], int]


@contextmanager
def _processes(jobs: int) -> Iterator[_Hired]:
    """Let each thread wait for one process at a time: one that is killed breaks no pool of many."""
    # Nothing is sent: what the processes hear is that the sweep has closed its end, or is no more.
    heard, held = get_context("spawn").Pipe(duplex=False)
    with heard, ThreadPoolExecutor(jobs) as waiting, held:
        carry_out = partial(_in_a_process, heard, held)
        yield waiting, carry_out, max(threads.available() // jobs, 1)


@contextmanager
def _mpi(jobs: int) -> Iterator[_Hired | None]:
    from minires.training.mpi import MPICommunicator

    communicator = MPICommunicator()  # says what is missing, if something is
    if communicator.size == 1:
        raise RuntimeError(
            "'mpi' shares the runs out among the processes that mpiexec started, and this is the"
            " only one; mpiexec -n 9 minires sweep ..., or let 'processes' start them"
        )
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    trainers = max(communicator.local_size - 1, 1)
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as pool:
        # Its pool is declared to be the context itself, which cannot submit.
        hired: Any = None if pool is None else (pool, _carry_out)
        yield hired and (*hired, max(communicator.cores // trainers, 1))


_BY: dict[str, Any] = {"processes": _processes, "mpi": _mpi}


def _in_a_process(heard: Connection, held: Connection, task: _Task) -> str:
    """Wait for a run in a process of its own; return what went wrong."""
    if held.closed:
        return "stopped before it began"
    # Not by a fork, which the kernels' threads would not survive.
    context = get_context("spawn")
    answers, tell = context.Pipe(duplex=False)
    process = context.Process(target=_carry_out_and_tell, args=(task, heard, tell))
    process.start()
    tell.close()  # so that the answers end with the process
    with answers:
        try:
            return str(answers.recv())
        except EOFError:
            if held.closed:
                return "stopped before its first step"
            return _noted(task, "its process was killed; perhaps there was not enough memory")
        finally:
            process.join()


def _end_with_sweep(heard: Connection) -> None:
    """Let this process stop, with a checkpoint, when the sweep that started it stops or is gone.

    So a Ctrl-C of the terminal is left to that one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        wait([heard])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _carry_out_and_tell(task: _Task, heard: Connection, tell: Connection) -> None:
    _end_with_sweep(heard)
    failure = _carry_out(task)
    with suppress(BrokenPipeError):  # nobody is there any more
        tell.send(failure)


def _carry_out(task: _Task) -> str:
    """Train a run, or go on with it; return what went wrong."""
    threads.set_num_threads(task.threads)
    folder = Path(task.folder)
    with (folder.parent / f".{folder.name}.lock").open("ab") as file:
        lock(file)  # another sweep trains it, or a process that a killed one has left
        try:
            train(task.config, folder, resume=True)
        except StoppedError as error:
            return str(error)
        except Exception as error:  # whatever it is, the other runs go on
            return _noted(task, f"{type(error).__name__}: {error}", traceback.format_exc())
        (folder / FAILURE).unlink(missing_ok=True)
        return ""


def _noted(task: _Task, failure: str, trace: str = "") -> str:
    """Write down in the run's folder why it failed."""
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FAILURE, "w") as file:
        file.write(trace or f"{failure}\n")
    return failure
