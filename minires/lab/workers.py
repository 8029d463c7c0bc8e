"""Processes that work side by side: one that fails, or dies, takes no other with it."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from minires.devices import threads


class Job(NamedTuple):
    """A call to be made in another process: everything in it must be picklable.

    Attributes
    ----------
    name : str
        For those who look on.
    function : callable
        Of a module, so that the process finds it by its name.
    arguments : tuple
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Done(NamedTuple):
    """What came of a job.

    Attributes
    ----------
    job : Job
    value : Any
        What the function has returned; None if it failed.
    failure : str
        "" if it did not; else a sentence.
    details : str
        With a failure, the traceback.
    seconds : float
    """

    job: Job
    value: Any
    failure: str
    details: str
    seconds: float


class _Worker(NamedTuple):
    process: SpawnProcess
    connection: Connection


def carry_out(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    """Carry out jobs in so many processes, and yield what comes of each as it comes.

    Each process has its share of the processors. They end with this generator.

    Parameters
    ----------
    jobs : sequence of Job
    processes : int
        At most; no more than there are jobs.

    Examples
    --------
    >>> import math
    >>> next(carry_out([Job("root", math.sqrt, (4.0,))], 1)).value
    2.0
    """
    waiting = deque(jobs)
    processes = min(processes, len(jobs))
    share = max(threads.available() // max(processes, 1), 1)
    idle: deque[_Worker] = deque()
    busy: dict[Connection, tuple[_Worker, Job]] = {}

    def hand_out() -> None:
        while waiting and len(busy) < processes:
            worker, job = idle.popleft() if idle else _hired(share), waiting.popleft()
            busy[worker.connection] = worker, job
            with suppress(ConnectionError):  # it has ended: that is heard as of any other
                worker.connection.send(job)

    try:
        hand_out()
        while busy:
            for heard in wait(list(busy)):
                assert isinstance(heard, Connection)
                worker, job = busy.pop(heard)
                try:
                    value, failure, details, seconds = heard.recv()
                    idle.append(worker)
                except (EOFError, OSError):
                    worker.process.join()
                    heard.close()
                    value, details, seconds = None, "", 0.0
                    failure = f"its process ended ({_ending(worker.process.exitcode)})"
                # The next one begins before this one is looked at.
                hand_out()
                yield Done(job, value, failure, details, seconds)
    finally:
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.process.terminate()
            worker.process.join()
            worker.connection.close()


def _hired(share: int) -> _Worker:
    # Not by a fork, which the kernels' threads would not survive.
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, share), daemon=True)
    with _no_interrupts():
        process.start()
    there.close()  # so that its answers end with the process
    return _Worker(process, here)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold a Ctrl-C of the terminal back, which a process that starts here then never hears."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, share: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C of the terminal is the caller's
    threading.Thread(target=_end_with_caller, daemon=True).start()
    threads.set_num_threads(share)
    with suppress(EOFError, BrokenPipeError):  # the caller is no more
        while True:
            job = connection.recv()
            answer = _carried_out(job)
            try:
                connection.send(answer)
            except OSError:
                raise
            except Exception as error:  # it cannot be pickled
                connection.send((None, f"what it returned cannot be sent: {error}", "", answer[3]))


def _end_with_caller() -> None:
    """End this process when the one that started it is no more, in the midst of a job or not."""
    caller = parent_process()
    assert caller is not None
    wait([caller.sentinel])
    os._exit(1)


def _carried_out(job: Job) -> tuple[Any, str, str, float]:
    start = time.perf_counter()
    value, failure, details = None, "", ""
    try:
        value = job.function(*job.arguments)
    except Exception as error:  # whatever it is, the other jobs go on
        failure, details = f"{type(error).__name__}: {error}", traceback.format_exc()
    return value, failure, details, time.perf_counter() - start


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"{signal.Signals(-code).name}; perhaps there was not enough memory"
    return f"exit code {code}"
