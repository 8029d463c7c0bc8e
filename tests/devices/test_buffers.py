"""Buffers: memory is used again when nobody refers to it, and never before."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import threading

import numpy as np
import pytest

from minires.devices import buffers, float32, uint8
from minires.devices.buffers import SMALLEST, BufferPool

SIZE = SMALLEST // 4  # float32 values


@pytest.fixture
def pool():
    return BufferPool(slack=0)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_nobody_refers_to_is_lent_again(pool):
    first = pool.empty((SIZE,), float32)
    where = address(first)
    del first
    assert (pool.lent, pool.free) == (0, SMALLEST)
    assert address(pool.empty((2, SIZE // 2), float32)) == where


@pytest.mark.parametrize(
    "keep",
    [
        lambda a: a,
        lambda a: a[3:5],
        lambda a: a.reshape(4, -1).T[1],
        lambda a: a.view("int32")[::-1],
        lambda a: memoryview(a),
        lambda a: np.asarray(memoryview(a))[2:],
        lambda a: np.broadcast_to(a[:1], (5,)),
        lambda a: np.frombuffer(a, "uint8"),
    ],
)
def test_any_kind_of_view_keeps_the_memory(pool, keep):
    array = pool.empty((SIZE,), float32)
    array[...] = 7
    kept = keep(array)
    before = np.array(kept)
    del array
    gc.collect()
    assert pool.lent == SMALLEST
    other = pool.empty((SIZE,), float32)
    other[...] = 1
    np.testing.assert_array_equal(np.asarray(kept), before)
    del kept
    gc.collect()
    assert pool.free == SMALLEST


def test_an_array_caught_in_a_cycle_comes_back_with_the_garbage_collector(pool):
    ring: list = [pool.empty((SIZE,), float32)]
    ring.append(ring)
    del ring
    gc.collect()
    assert pool.lent == 0


def test_small_arrays_are_left_to_the_systems_allocator(pool):
    small = pool.empty((SIZE - 1,), float32)
    assert small.base is None
    assert pool.lent == 0


def check(pool: BufferPool, held: list[np.ndarray]) -> None:
    """Lent pieces are apart, free ones joined, and together they are all that is held."""
    gc.collect()
    assert pool.lent >= sum(array.nbytes for array in held)
    pool._take_back()
    pool._cut(1 << 60)
    spans = [(*span, "free") for span in pool._starting.items()]
    pieces = [(segment, start, stop, "free") for (segment, start), stop, _ in spans]
    for array in held:
        lease = array
        while isinstance(lease, np.ndarray):
            lease = lease.base
        pieces.append((*lease._piece, "lent"))
    by_segment: dict = {}
    for segment, *piece in sorted(pieces):
        by_segment.setdefault(segment, []).append(piece)
    assert by_segment.keys() == pool._segments.keys()
    for segment, row in by_segment.items():
        assert [start for start, _, _ in row] == [0, *(stop for _, stop, _ in row[:-1])]
        assert row[-1][1] == pool._segments[segment].size
        kinds = [kind for _, _, kind in row]
        assert ("free", "free") not in itertools.pairwise(kinds)
    lengths = sorted(
        (stop - start, segment, start) for segment, start, stop, kind in pieces if kind == "free"
    )
    assert lengths == pool._lengths
    assert {
        (segment, stop): start
        for _, segment, start in lengths
        for stop in [pool._starting[segment, start]]
    } == pool._ending
    assert pool.free == sum(length for length, _, _ in lengths)
    assert pool.lent + pool.free == sum(segment.size for segment in pool._segments.values())


@pytest.mark.parametrize(
    ("seed", "steps"),
    [(0, 150), *[pytest.param(seed, 400, marks=pytest.mark.long) for seed in range(4)]],
)
def test_pieces_fit_together_whatever_is_lent_and_given_back(pool, seed, steps):
    rng = np.random.default_rng(seed)
    held: list[np.ndarray] = []
    for step in range(steps):
        if held and rng.random() < (0.4 if step % 100 < 50 else 0.7):
            array = held.pop(int(rng.integers(len(held))))
            assert (array == array[0]).all(), "somebody else wrote into it"
            del array
        held.append(pool.empty((SMALLEST * int(rng.integers(4, 24)) // 4 + 3,), uint8))
        held[-1][...] = step % 251
        if step % 10 == 0:
            check(pool, held)
            # Pieces that stay pin their segments; by how much more is held than was ever lent.
            assert pool.lent + pool.free < 2 * pool._most
    for array in held:
        assert (array == array[0]).all()


def test_more_is_held_than_was_once_lent_only_where_pieces_do_not_fit(pool):
    """The sizes of a network's stages in turn: the next cuts or joins what the last gave back."""
    for _ in range(3):
        for size in (8, 4, 2, 1):
            held = [pool.empty((size * SMALLEST,), uint8) for _ in range(16 // size)]
            assert pool.lent == 16 * SMALLEST
            assert pool.free == 0
            del held
        assert (pool.lent, pool.free) == (0, 16 * SMALLEST)


def test_of_pieces_of_a_size_the_last_one_given_back_is_the_first_to_go(pool):
    arrays = [pool.empty((SMALLEST,), uint8) for _ in range(4)]
    places = [address(array) for array in arrays]
    for index in (2, 0, 3, 1):
        arrays[index] = None
    again = [pool.empty((SMALLEST,), uint8) for _ in range(4)]
    assert [address(array) for array in again] == [places[index] for index in (1, 3, 0, 2)]


def test_segments_that_no_request_fits_go_back_before_new_ones_come(pool):
    del (small := [pool.empty((SMALLEST,), uint8) for _ in range(12)])[:]
    del small
    assert pool.free == 12 * SMALLEST
    large = pool.empty((12 * SMALLEST,), uint8)
    assert (pool.lent, pool.free) == (large.nbytes, 0)


def test_the_bound_does_not_grow_with_use(pool):
    for _ in range(20):
        del (small := [pool.empty((SMALLEST,), uint8) for _ in range(4)])[:]
        del small
    large = pool.empty((12 * SMALLEST,), uint8)
    assert (pool.lent, pool.free) == (large.nbytes, 0)


def test_with_slack_some_of_them_stay():
    pool = BufferPool(slack=5 * SMALLEST)
    del (small := [pool.empty((SMALLEST,), uint8) for _ in range(12)])[:]
    del small
    large = pool.empty((12 * SMALLEST,), uint8)
    assert (pool.lent, pool.free) == (large.nbytes, 5 * SMALLEST)


def test_what_comes_back_while_the_pool_is_at_work_waits(pool, monkeypatch):
    """The garbage collector and signal handlers may run between any two lines of the pool."""
    kept, kernels = [pool.empty((SMALLEST,), uint8) for _ in range(3)], []
    add = pool._add

    def interrupted(piece):
        kept.clear()
        kernels.append(pool.empty((SMALLEST,), uint8))
        add(piece)

    monkeypatch.setattr(pool, "_add", interrupted)
    pool.empty((SMALLEST,), uint8)  # given back at once
    array = pool.empty((2 * SMALLEST,), uint8)
    assert kernels
    assert all(inner.base is None for inner in kernels)
    monkeypatch.undo()
    check(pool, [array])


def test_a_request_that_memory_cannot_meet_harms_nobody(pool):
    kept, gone = pool.empty((SIZE,), float32), pool.empty((SIZE,), float32)
    kept[...] = 3
    del gone
    with pytest.raises(MemoryError):
        pool.empty((1 << 52,), uint8)
    other = pool.empty((SIZE,), float32)
    other[...] = 1
    assert (kept == 3).all()
    del kept
    check(pool, [other])


def test_before_a_request_fails_free_memory_goes_back_to_the_system(pool, monkeypatch):
    gone = pool.empty((3 * SMALLEST,), uint8)
    pool.empty((SMALLEST,), uint8)
    del gone
    asked, given = [], buffers._from_the_system

    def scarce(size):
        asked.append(pool._held)
        if pool._held:
            raise MemoryError
        return given(size)

    monkeypatch.setattr(buffers, "_from_the_system", scarce)
    pool._slack = 100 * SMALLEST
    assert pool.empty((4 * SMALLEST,), uint8).nbytes == 4 * SMALLEST
    assert asked == [4 * SMALLEST, 0]


def test_an_interrupt_at_any_line_leaves_a_pool_that_works():
    """Ctrl-C raises between any two lines; what is alive must stay whole, and lending go on."""
    lines = 0

    def work(pool: BufferPool, stop: int) -> list[np.ndarray]:
        """Lend and give back, interrupted at the line number `stop`; return what is alive."""
        nonlocal lines
        lines = 0

        def trace(frame, event, _):
            nonlocal lines
            # What is raised in a finaliser Python itself does not let out.
            code = frame.f_code
            if code.co_filename != buffers.__file__ or code.co_name == "__del__":
                return None
            lines += event == "line"
            if lines == stop:
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        held: list[np.ndarray] = []
        try:
            sys.settrace(trace)
            for size in (4, 1, 1, 2, 8, 3):
                held.append(pool.empty((size * SMALLEST,), uint8))
                if size == 1:
                    held.pop(0)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        return held

    work(BufferPool(slack=0), -1)
    total = lines
    assert total > 100
    for stop in range(1, total + 1):
        pool = BufferPool(slack=0)
        held = work(pool, stop)
        held += [pool.empty((size * SMALLEST,), uint8) for size in (1, 2, 1, 4)]
        for number, array in enumerate(held):
            array[...] = number
        for number, array in enumerate(held):
            assert (array == number).all(), f"interrupted at line {stop}, memory is lent twice"
        assert not pool._busy


def test_threads_that_lend_and_give_back_at_once_leave_the_account_right(pool):
    def work() -> None:
        for count in range(2000):
            array = pool.empty((SMALLEST * (1 + count % 3),), uint8)
            array[0] = 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
    finally:
        sys.setswitchinterval(before)
    assert pool.lent == 0
    check(pool, [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_anew_and_keeps_what_it_was_lent(pool):
    array = pool.empty((SIZE,), float32)
    array[...] = 3
    pool._lengths.append("a thread of the parent was in the middle of something")
    pool._lock.acquire()
    child = os.fork()
    if not child:
        status = 1
        try:
            pool.after_fork()
            other = pool.empty((SIZE,), float32)
            other[...] = 1
            assert (array == 3).all()
            array[...] = 5
            del array
            assert pool.lent == SMALLEST
            status = 0
        finally:
            os._exit(status)
    pool._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (array == 3).all()


def test_dtypes_and_shapes_are_those_asked_for(pool):
    array = pool.empty((2, 3, SIZE), np.dtype("float64"))
    assert array.shape == (2, 3, SIZE)
    assert array.dtype == "float64"
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
