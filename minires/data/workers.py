"""Workers: threads or processes that make batches ahead of the loop that asks for them.

Worker w of W makes the batches w, w + W, w + 2 W, ..., and the loop takes them in turn: the order
does not depend on who is quick. Each worker has a thread here. It makes batches itself, or starts a
process and asks it for one at a time; either way it waits for a free slot before the next, so that
few batches lie ready.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Generator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from .epochs import Epoch, WorkerError

KINDS = ("thread", "process")


def made_by_workers(
    plan: Epoch, numbers: range, workers: int, kind: str, prefetch: int
) -> Generator[Any, None, None]:
    """Yield the batches with these numbers, which workers make.

    When the generator ends, fails, is closed or collected, and when the interpreter ends, it stops
    its workers and waits until they are gone.

    Parameters
    ----------
    plan : Epoch
    numbers : range
    workers : int
        At least 1.
    kind : {"thread", "process"}
    prefetch : int
        How many batches each worker has ready at most.

    Raises
    ------
    WorkerError
        If a batch cannot be made, or a worker's process ends.
    """
    crew = _Crew(
        [
            _Worker(plan, numbers[first::workers], kind, prefetch)
            for first in range(min(workers, len(numbers)))
        ]
    )
    atexit.register(crew.close)
    try:
        for worker in crew.workers:
            worker.thread.start()
        for place in range(len(numbers)):
            yield crew.workers[place % len(crew.workers)].take()
    finally:
        atexit.unregister(crew.close)
        crew.close()


class _Crew:
    """Workers that stop together."""

    def __init__(self, workers: list[_Worker]) -> None:
        self.workers = workers

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        for worker in self.workers:
            # The garbage collector may close the loop from within one of its own workers.
            if worker.thread.is_alive() and worker.thread is not threading.current_thread():
                worker.thread.join()


class _Failed:
    """An error in place of a batch."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Worker:
    """A thread, and the batches that it has ready."""

    def __init__(self, plan: Epoch, numbers: range, kind: str, prefetch: int) -> None:
        source = _from_process if kind == "process" else _from_here
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._slots = threading.Semaphore(prefetch)
        self._stopped = False
        # Who waits for a process waits for this pipe's end as well.
        self.end, self._open = multiprocessing.Pipe(duplex=False)
        self.thread = threading.Thread(
            target=self._fill,
            args=(source, plan, numbers),
            name="minires-loader",
            daemon=True,  # else the interpreter would wait for it before it calls `_Crew.close`
        )

    def take(self) -> Any:
        """Wait for the next batch."""
        batch = self._ready.get()
        if isinstance(batch, _Failed):
            raise batch.error
        self._slots.release()
        return batch

    def stop(self) -> None:
        self._stopped = True
        self._slots.release()
        self._open.close()

    def go_on(self) -> bool:
        """Wait for a free slot; say whether to make a batch for it."""
        self._slots.acquire()
        return not self._stopped

    def _fill(
        self, source: Callable[..., Generator[Any, None, None]], plan: Epoch, numbers: range
    ) -> None:
        try:
            with contextlib.closing(source(self, plan, numbers)) as batches:
                for batch in batches:
                    self._ready.put(batch)
        except BaseException as error:
            self._ready.put(_Failed(error))
        finally:
            self.end.close()


def _from_here(worker: _Worker, plan: Epoch, numbers: range) -> Generator[Any, None, None]:
    for number in numbers:
        if not worker.go_on():
            return
        yield plan.batch(number)


def _from_process(worker: _Worker, plan: Epoch, numbers: range) -> Generator[Any, None, None]:
    # Not by forking: locks that other threads hold, those of BLAS among them, would stay locked.
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there, plan), daemon=True)
    with here:
        try:
            with there:
                _start(process)
            for number in numbers:
                if not worker.go_on():
                    return
                with contextlib.suppress(ConnectionError):  # where nobody is there, recv tells
                    here.send(number)
                if here not in wait([here, worker.end]):
                    return
                yield _received(here, process, plan.number)
        finally:
            if process.pid is not None:
                process.kill()  # SIGTERM is ignored where this process ignores it
                process.join()
            process.close()


def _start(process: Any) -> None:
    # Ctrl-C reaches every process of a terminal; the one that was asked for it stops the others.
    # They inherit from this thread, which nobody else uses, that they do not hear it.
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # when it begins, it lets this thread hear it again
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    except Exception as error:
        raise WorkerError(
            f"a worker process could not be started ({error}); data set and transforms are sent to"
            ' it by pickle: define them at the top of a module, or use worker_kind="thread"'
        ) from error


def _received(connection: Connection, process: Any, epoch: int) -> Any:
    try:
        batch = connection.recv()
    except (EOFError, OSError):  # the latter in the midst of a batch
        process.join()
        raise WorkerError(
            f"a worker process ended with exit code {process.exitcode} in epoch {epoch}. Was it"
            " killed, for want of memory? A script that starts processes keeps what it does below"
            ' `if __name__ == "__main__":`, for they import it',
            epoch=epoch,
        ) from None
    if isinstance(batch, _SentError):
        raise batch.received()
    return batch


def _serve(connection: Connection, plan: Epoch) -> None:
    """Make the batches that are asked for, one at a time: what a worker's process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with connection, contextlib.suppress(EOFError, ConnectionError):
        while True:
            number = connection.recv()
            try:
                made = plan.batch(number)
            except WorkerError as error:
                made = _SentError(error)
            connection.send(made)


class _SentError:
    """An error and its cause on their way from a process; pickle would drop the cause."""

    def __init__(self, error: WorkerError) -> None:
        self.error = error
        self.cause = error.__cause__
        self.told = "".join(traceback.format_exception(error.__cause__))
        try:
            pickle.loads(pickle.dumps(self.cause))
        except Exception:
            self.cause = RuntimeError(f"{type(self.cause).__name__}: {self.cause}")

    def received(self) -> WorkerError:
        self.error.__cause__ = self.cause
        self.error.add_note(f"In the worker process:\n{self.told}")
        return self.error
