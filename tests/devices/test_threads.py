"""Threads: every part runs, errors surface, BLAS is let go of, and a fork goes on."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

import minires as mr
from minires.autograd import tape
from minires.devices import buffers, threads
from tests.devices.plain import cut


@pytest.fixture(autouse=True)
def three_threads():
    before = mr.get_num_threads()
    mr.set_num_threads(3)
    yield
    mr.set_num_threads(before)


@contextlib.contextmanager
def held():
    """BLAS held to one thread, as by a kernel."""
    token = threads.blas.hold()
    try:
        yield
    finally:
        threads.blas.let_go(token)


def blas_threads() -> set[int]:
    """Threads of NumPy's BLAS; SciPy may have brought another, which no kernel uses."""
    return {limit.get() for limit in threads.blas.limits()[0]}


def test_results_come_in_the_order_of_the_parts():
    assert threads.run(lambda part: part * part, range(10)) == [part * part for part in range(10)]


def test_parts_run_on_several_threads_and_the_caller_takes_the_first():
    met = threading.Barrier(3, timeout=30)

    def meet(part: int) -> int:
        met.wait()
        return threading.get_ident()

    found = threads.run(meet, range(3))
    assert len(set(found)) == 3
    assert found[0] == threading.get_ident()


def test_a_kernel_inside_of_a_part_runs_on_its_thread_alone():
    def outer(part: int) -> set[int]:
        return set(threads.run(lambda _: threading.get_ident(), range(4)))

    assert [len(inner) for inner in threads.run(outer, range(3))] == [1, 1, 1]


@pytest.mark.parametrize("bad", [0, 2])
def test_an_error_in_any_part_reaches_the_caller_when_no_part_is_at_work_any_more(bad):
    begun, ended = [], []

    def work(part: int) -> None:
        begun.append(part)
        if part == bad:
            raise ArithmeticError(f"part {part}")
        time.sleep(0.05)
        ended.append(part)

    with pytest.raises(ArithmeticError, match=f"part {bad}"):
        threads.run(work, range(3))
    assert sorted([*ended, bad]) == sorted(begun)
    assert threads.run(lambda part: part, range(3)) == [0, 1, 2]


def test_parts_see_the_callers_error_settings():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        threads.run(lambda part: np.float32(1) / np.float32(part - part), range(2))


def test_shares_are_contiguous_and_none_is_smaller_than_the_grain():
    assert threads.shares(10) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert threads.shares(10, grain=5) == [slice(0, 5), slice(5, 10)]
    assert threads.shares(2, grain=5) == [slice(0, 2)]


def test_a_product_that_threads_share_lies_in_memory_once():
    column, row = np.ones((2048, 1), "float32"), np.ones((1, 1024), "float32")
    mr.devices.cpu.matmul(column, row)
    tracemalloc.start()
    product = mr.devices.cpu.matmul(column, row)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.1 * product.nbytes  # less where its own memory is from the pool


SHAPES = [
    *[
        ((1, 700), (700, 901)),
        ((900, 1), (1, 700)),
        ((2, 450, 1), (1, 700)),
        ((7, 300), (300, 200)),
    ],
    *[((7, 70, 30), (7, 30, 50)), ((7, 2, 70, 30), (7, 1, 30, 50)), ((7, 2, 70, 30), (30, 50))],
    *[((2, 1, 70, 60), (5, 60, 50)), ((600,), (600, 600)), ((600, 600), (600,))],
]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_products_are_numpys_and_blas_keeps_to_one_thread(left, right, count, monkeypatch):
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal(left), generator.standard_normal(right)
    monkeypatch.setattr(threads, "get_num_threads", lambda: count)
    expected, matmul, inside = a @ b, np.matmul, []

    def watched(*arrays, **options):
        inside.append(blas_threads())
        return matmul(*arrays, **options)

    monkeypatch.setattr(np, "matmul", watched)
    with threadpool_limits(2, user_api="blas"):
        found = mr.devices.cpu.matmul(a, b)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert inside or left[-1] == 1  # products of single values need no BLAS
    assert set().union(*inside) <= {1}


def test_blas_has_one_thread_inside_and_its_own_number_after():
    with threadpool_limits(2, user_api="blas"):
        found = blas_threads()
        assert threads.run(lambda part: blas_threads(), range(2)) == [{1}, {1}]
        assert blas_threads() == found


def test_the_quick_functions_are_those_of_the_library():
    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        limit = threads._limit_of(library)
        with threadpool_limits(2, user_api="blas"):
            assert limit.get() == library.get_num_threads()
            limit.set(1)
            assert library.get_num_threads() == limit.get() == 1
            limit.set(2)


def test_overlapping_kernels_leave_blas_as_they_found_it():
    """The first holder to go must not restore, the last one must: in whatever order they go."""
    with threadpool_limits(2, user_api="blas"):
        found, entered, leave = blas_threads(), threading.Event(), threading.Event()

        def other() -> None:
            with held():
                entered.set()
                leave.wait(30)

        holder = threading.Thread(target=other)
        with held():
            holder.start()
            entered.wait(30)
        assert blas_threads() == {1}
        leave.set()
        holder.join(30)
        assert blas_threads() == found


def test_many_threads_may_use_kernels_and_change_their_number_at_once():
    x, weight = mr.randn(4, 3, 8, 8), mr.randn(5, 3, 3, 3)
    with cut(2, 1 << 10):
        expected = mr.ops.conv2d(x, weight).numpy()
        failures = []

        def work(seed: int) -> None:
            try:
                for i in range(30):
                    if seed == 0:
                        mr.set_num_threads(1 + i % 3)
                    y = mr.ops.conv2d(x, weight).numpy()
                    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
            except BaseException as error:
                failures.append(error)

        workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
    assert not failures
    assert threads.blas._holders == 0


def test_a_blas_with_a_limit_for_each_thread_is_held_in_every_thread(monkeypatch):
    class PerThread:
        """Like OpenBLAS on OpenMP: its limit is seen by the thread that set it alone."""

        threading_layer = "openmp"
        limits = threading.local()

        def get_num_threads(self) -> int:
            return getattr(self.limits, "count", 4)

        def set_num_threads(self, count: int) -> None:
            self.limits.count = count

    library = PerThread()
    monkeypatch.setattr(threads.blas, "_limits", ([], [threads._limit_of(library)]))
    assert threads.run(lambda part: library.get_num_threads(), range(3)) == [1, 1, 1]
    assert threads.run(lambda part: library.get_num_threads(), range(1)) == [1]
    assert library.get_num_threads() == 4


@pytest.mark.parametrize("n", [0, -1, True, 1.5, "2", None])
def test_a_senseless_number_of_threads_is_refused(n):
    with pytest.raises(ValueError, match="at least 1"):
        mr.set_num_threads(n)
    assert mr.get_num_threads() == 3


def test_where_blas_cannot_be_limited_there_is_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "_wanted", None)
    monkeypatch.setattr(threads.blas, "_limits", ([], []))
    assert mr.get_num_threads() == 1
    monkeypatch.setattr(threads.blas, "_limits", None)
    assert mr.get_num_threads() == threads.available()


def test_where_no_thread_can_be_started_the_caller_does_all_parts_once(monkeypatch):
    done = []

    def refuse(self):
        raise RuntimeError("can't start new thread")

    mr.set_num_threads(4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert threads.run(lambda part: done.append(part) or part, range(4)) == [0, 1, 2, 3]
    assert sorted(done) == [0, 1, 2, 3]
    assert threads._current_pool()._offered.empty()


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_kernel_is_kept_when_it_is_over(fails):
    class Large:
        """Stands for an array."""

    def kernel() -> list[weakref.ref]:
        seen = Large()
        alive = [weakref.ref(seen)]

        def work(part: int) -> Large:
            made = Large()
            alive.append(weakref.ref(made))
            if fails and part == 1:
                raise ArithmeticError(id(seen))
            return made

        with contextlib.suppress(ArithmeticError):
            assert len(threads.run(work, range(3))) == 3
        return alive

    alive = kernel()
    gc.collect()
    for _ in range(100):  # a thread may just be letting go
        if not any(reference() for reference in alive):
            break
        time.sleep(0.01)
    assert [reference() for reference in alive] == [None] * len(alive)


def test_a_thread_that_outlives_the_main_one_goes_on_computing():
    program = """
import threading, time
import minires as mr
mr.set_num_threads(2)
x, w = mr.randn(64, 3, 32, 32), mr.randn(16, 3, 3, 3)
def work():
    time.sleep(0.5)
    print(mr.ops.conv2d(x, w).shape)
threading.Thread(target=work).start()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "(64, 16, 30, 30)\n"
    assert run.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_too():
    """Also when the fork comes in the middle of a kernel, while another thread has every lock."""
    x, weight = mr.randn(4, 3, 8, 8), mr.randn(5, 3, 3, 3, requires_grad=True)
    entered, leave = threading.Event(), threading.Event()

    def lock() -> None:
        with threads.blas._lock, threads._settings_lock, buffers.pool._lock, tape._leaf_lock:
            entered.set()
            leave.wait(60)

    with cut(2, 1 << 10):
        expected = mr.ops.conv2d(x, weight).detach().numpy()
        with held():
            locker = threading.Thread(target=lock)
            locker.start()
            entered.wait(60)
            child = os.fork()
            if child == 0:
                signal.alarm(30)  # a child that hangs is ended, and so fails
            else:
                leave.set()
        if child == 0:
            # Nothing of pytest may run in the child: leave at once, whatever happens.
            same = False
            try:
                y = mr.ops.conv2d(x, weight)
                y.sum().backward()
                same = y.detach().numpy().tobytes() == expected.tobytes()
                same = same and threads.blas._holders == 0
            finally:
                os._exit(0 if same else 1)
        locker.join(60)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
