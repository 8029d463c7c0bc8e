"""Threads for the kernels: one pool per process, over a BLAS that is kept to one thread.

A kernel cuts its batch into contiguous parts, one per thread. NumPy lets go of the interpreter in
copies, ufuncs and matrix products, so the parts run side by side; a BLAS that split each product
once more would only make threads wait for each other. Partial sums are added in the order of the
parts: with the same number of threads a result is the same to the bit.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

# Multiply-adds of one matrix product: below this BLAS keeps to one thread by itself.
ALONE = 1 << 18

Part = TypeVar("Part")
Result = TypeVar("Result")


def available() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Limit(NamedTuple):
    """How a BLAS library is asked, and told, how many threads to use."""

    get: Callable[[], int]
    set: Callable[[int], object]


def _limit_of(library: Any) -> _Limit:
    """Take OpenBLAS's own functions where they are found, for every kernel calls them.

    threadpoolctl's methods take nine times as long, and from 3.8 on they listen to one Python
    thread only until that lets go; the last holder may be another one than the first.
    """
    affixes = itertools.product(("", "scipy_"), ("", "64_", "_64"))
    for prefix, suffix in () if _per_thread(library) else affixes:
        names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
        found: list[Any] = [getattr(getattr(library, "dynlib", None), name, None) for name in names]
        if None not in found:
            return _Limit(*found)

    def set_and_leave(count: int) -> None:
        library.set_num_threads(count)
        getattr(library, "clear_controlling_thread", int)()

    return _Limit(library.get_num_threads, set_and_leave)


def _per_thread(library: Any) -> bool:
    return getattr(library, "threading_layer", None) == "openmp"


class _Blas:
    """The BLAS libraries of this process, held to one thread while any kernel runs.

    The limit of most libraries is the process's, not a thread's, so holders are counted: the first
    one sets it, the last one restores what it found, in whatever order they come and go. Builds on
    OpenMP have a limit for each thread, which every holder sets and restores for itself.
    """

    def __init__(self) -> None:
        # A signal handler may run a kernel while this very thread is inside.
        self._lock = threading.RLock()
        self._limits: tuple[list[_Limit], list[_Limit]] | None = None
        self._holders = 0
        self._found: list[int] = []
        self._thread = threading.local()
        self._forks = 0

    def limits(self) -> tuple[list[_Limit], list[_Limit]]:
        """Return the limits that there are: those of the process, and those of each thread.

        The libraries are looked up once, for that takes milliseconds.
        """
        if self._limits is None:
            shared: list[_Limit] = []
            own: list[_Limit] = []
            with contextlib.suppress(ImportError):
                from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

                for library in ThreadpoolController().select(user_api="blas").lib_controllers:
                    (own if _per_thread(library) else shared).append(_limit_of(library))
            self._limits = shared, own
        return self._limits

    def hold(self) -> int:
        """Hold BLAS to one thread; return what `let_go` is to be given."""
        shared, own = self.limits()
        with self._lock:
            if self._holders == 0:
                self._found = _limit(shared)
            self._holders += 1
        if own:
            self._thread.found = [*getattr(self._thread, "found", []), _limit(own)]
        return self._forks

    def let_go(self, held: int) -> None:
        """Take back one call of `hold` by this thread; one from before a fork counts no more."""
        if held != self._forks:
            return
        shared, own = self.limits()
        if own:
            _restore(own, self._thread.found.pop())
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                _restore(shared, self._found)

    def after_fork(self) -> None:
        """Start anew in a forked child: no thread of the parent lives there to let go."""
        held, self._holders = self._holders, 0
        self._lock, self._thread = threading.RLock(), threading.local()
        self._forks += 1
        if held:
            _restore(self.limits()[0], self._found)


def _limit(limits: Sequence[_Limit]) -> list[int]:
    """Set every library to one thread; return how many it had."""
    found = [limit.get() for limit in limits]
    for limit, count in zip(limits, found, strict=True):
        if count != 1:
            limit.set(1)
    return found


def _restore(limits: Sequence[_Limit], found: Sequence[int]) -> None:
    """Give the libraries back what `_limit` found."""
    for limit, count in zip(limits, found, strict=True):
        if count != 1:
            limit.set(count)


blas = _Blas()
_settings_lock = threading.Lock()
_wanted: int | None = None
_pool: _Pool | None = None
_worker = threading.local()


def get_num_threads() -> int:
    """Return how many threads the kernels use.

    Without a call of `set_num_threads` that is one per available processor, or a single one where
    the BLAS behind NumPy cannot be kept to one thread and so splits its products itself.
    """
    if _wanted is not None:
        return _wanted
    return available() if any(blas.limits()) else 1


def set_num_threads(n: int) -> None:
    """Let the kernels use `n` threads.

    Results may differ in the last digits between different numbers of threads, for partial sums
    are added in another order; with the same number they are the same to the bit.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    ValueError
        If n is no whole number of at least 1.

    Examples
    --------
    >>> import minires as mr
    >>> before = mr.get_num_threads()
    >>> mr.set_num_threads(1)
    >>> mr.get_num_threads()
    1
    >>> mr.set_num_threads(before)
    """
    global _wanted, _pool
    if isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 1:
        raise ValueError(f"set_num_threads: the number of threads must be at least 1, found {n!r}")
    with _settings_lock:
        _wanted = n.__index__()
        pool, _pool = _pool, None
    if pool is not None:
        pool.close()


class _Pool:
    """Threads that wait for parts.

    With an executor of the standard library and its futures a training step, which hands over more
    than a hundred parts, takes one per cent longer.
    """

    def __init__(self, size: int) -> None:
        self._offered: queue.SimpleQueue[_Task[Any, Any] | None] = queue.SimpleQueue()
        self._size = 0
        # No error where the system has no thread to spare: whoever calls `run` does what is left.
        with contextlib.suppress(RuntimeError):
            for number in range(size):
                name = f"minires-{number}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
                self._size += 1

    def offer(self, task: _Task[Any, Any]) -> None:
        """Let the next idle thread take the part, if there are threads."""
        if self._size:
            self._offered.put(task)

    def close(self) -> None:
        """Let the threads end when they have done what was offered."""
        for _ in range(self._size):
            self._offered.put(None)

    def _serve(self) -> None:
        while (task := self._offered.get()) is not None:
            task.take()
            del task  # else it would live, with all that it holds, until the next one comes


def _current_pool() -> _Pool:
    """Return the pool; the thread that calls works too, so it needs one thread less."""
    global _pool
    with _settings_lock:
        if _pool is None:
            _pool = _Pool(get_num_threads() - 1)
        return _pool


def run(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Call `function` on every part, side by side; return the results in the order of the parts.

    The caller takes the first part itself. A kernel that is called inside of a part runs its own
    parts one after the other. NumPy's error settings are those of the caller.
    """
    held = blas.hold()
    tasks: list[_Task[Part, Result]] = []
    try:
        if len(parts) == 1 or getattr(_worker, "busy", False):
            return [function(part) for part in parts]
        pool = _current_pool()
        for part in parts[1:]:
            tasks.append(_Task(function, part))
            pool.offer(tasks[-1])
        first = _work(function, parts[0])
        for task in tasks:
            task.take()
        return [first, *[task.result() for task in tasks]]
    finally:
        # Also when a part failed: nobody may go on writing into buffers that are given back.
        for task in tasks:
            task.settle()
        blas.let_go(held)


class _Task(Generic[Part, Result]):
    """One part, offered to the pool, and done by whoever takes it first, a thread or the caller.

    The pool may take none: when the number of threads is just being changed, when the system has
    no thread to spare, and when others keep it busy.
    """

    __slots__ = ("_done", "_error", "_result", "_waiting")

    def __init__(self, function: Callable[[Part], Result], part: Part) -> None:
        self._waiting = [(contextvars.copy_context().run, function, part)]
        self._error: BaseException | None = None
        self._result: Any = None
        self._done = threading.Lock()
        self._done.acquire()

    def take(self) -> None:
        """Do the part, unless somebody else has taken it."""
        try:
            run, function, part = self._waiting.pop()
        except IndexError:
            return
        try:
            self._result = run(_work, function, part)
        except BaseException as error:
            self._error = error
        finally:
            self._done.release()

    def result(self) -> Result:
        """Wait for the result and return it, or raise the error of the part."""
        with self._done:
            if self._error is not None:
                raise self._error
            return self._result  # type: ignore[no-any-return]

    def settle(self) -> None:
        """See to it that nobody works on the part any more, and keep nothing of it."""
        try:
            self._waiting.pop()
        except IndexError:
            with self._done:
                self._error = self._result = None


def _work(function: Callable[[Part], Result], part: Part) -> Result:
    _worker.busy = True
    # The caller holds the limit of the process, but some libraries have one for each thread.
    held = blas.hold()
    try:
        return function(part)
    finally:
        blas.let_go(held)
        _worker.busy = False


def shares(count: int, grain: int = 1) -> list[slice]:
    """Cut `count` things into one contiguous share per thread, none smaller than `grain`."""
    number = max(1, min(get_num_threads(), count // max(grain, 1)))
    edges = [count * i // number for i in range(number + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _after_fork() -> None:
    global _pool, _settings_lock, _worker
    _pool, _settings_lock, _worker = None, threading.Lock(), threading.local()
    blas.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
