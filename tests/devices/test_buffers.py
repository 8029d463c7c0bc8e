"""Buffers: memory is used again when nobody refers to it, and never before."""

from __future__ import annotations

import gc
import sys
import threading

import numpy as np
import pytest

from minires.devices import float32, uint8
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


def test_what_is_lent_and_free_never_exceeds_what_was_lent_at_once(pool):
    rng = np.random.default_rng(0)
    held: list = []
    most = 0
    for _ in range(300):
        if held and rng.random() < 0.5:
            held.pop(int(rng.integers(len(held))))
        held.append(pool.empty((SMALLEST * int(rng.integers(1, 6)),), uint8))
        most = max(most, pool.lent)
        assert pool.lent == sum(array.nbytes for array in held)
        assert pool.lent + pool.free <= most


def test_blocks_of_a_size_no_longer_asked_for_make_room(pool):
    del (big := [pool.empty((SIZE * 4,), float32) for _ in range(3)])[:]
    del big
    assert pool.free == 12 * SMALLEST
    small = [pool.empty((SIZE,), float32) for _ in range(4)]
    assert pool.lent + pool.free <= 12 * SMALLEST
    assert len(small) == 4


def test_clearing_gives_free_memory_back_and_leaves_lent_memory_alone(pool):
    kept, gone = pool.empty((SIZE,), float32), pool.empty((SIZE,), float32)
    kept[...] = 3
    del gone
    pool.clear()
    assert (pool.lent, pool.free) == (SMALLEST, 0)
    assert (kept == 3).all()


def test_a_request_that_memory_cannot_meet_changes_nothing(pool):
    kept = pool.empty((SIZE,), float32)
    with pytest.raises(MemoryError):
        pool.empty((1 << 52,), uint8)
    assert (pool.lent, pool.free, pool._most) == (SMALLEST, 0, SMALLEST)
    assert kept.size == SIZE


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
    assert pool.free == sum(b.size for blocks in pool._blocks.values() for b in blocks)


def test_dtypes_and_shapes_are_those_asked_for(pool):
    array = pool.empty((2, 3, SIZE), np.dtype("float64"))
    assert array.shape == (2, 3, SIZE)
    assert array.dtype == "float64"
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
