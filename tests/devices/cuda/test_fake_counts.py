"""What the stand-in for CuPy counts, refuses and allocates."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from tests.devices.cuda import fake
from tests.devices.cuda.fake.launching import Core
from tests.devices.cuda.fake.memory import OutOfMemoryError

xp = fake.module


def image_like():
    """(2, 3, 4, 5) in the memory order (3, 2, 4, 5)."""
    return xp.zeros((3, 2, 4, 5), "float32").transpose(1, 0, 2, 3)


def test_views_are_free_and_copies_are_launches():
    x = image_like()
    with fake.counting() as counts:
        views = x.T, x[0], x[:, ::2], x.transpose(1, 0, 2, 3).reshape(3, -1), xp.flip(x, 1)
    assert counts.launches == []
    assert all(view.mem is x.mem for view in views)
    with fake.counting() as counts:
        copies = x.reshape(-1), x.ravel(), xp.ravel(x), xp.ascontiguousarray(x)
    assert len(counts.launches) == 4
    assert not any(copy.mem is x.mem for copy in copies)


def test_results_are_c_contiguous_whatever_the_operands_are():
    x = image_like()
    for result in (
        x + x,
        -x,
        xp.exp(x),
        x > 0,
        x.sum(0),
        xp.where(x > 0, x, 0),
        xp.concatenate([x]),
    ):
        assert result.flags.c_contiguous


def test_copies_and_likes_keep_the_memory_order():
    x = image_like()
    likes = xp.empty_like(x), xp.zeros_like(x), xp.ones_like(x), xp.full_like(x, 2)
    for result in (*likes, xp.copy(x), x.copy("K"), x.astype("float32")):
        assert result.strides == x.strides
    assert x.copy().flags.c_contiguous


def test_out_keeps_its_memory_order_and_is_returned():
    x = image_like()
    out = xp.empty_like(x)
    assert xp.add(x, 1, out=out) is out
    assert out.strides == x.strides
    assert xp.sum(x, axis=0, out=x[0]) is not None
    x += 1
    assert x.strides == out.strides


def test_reductions_to_a_number_stay_on_the_device():
    total = xp.ones(3).sum()
    assert isinstance(total, fake.ndarray)
    assert total.shape == ()


def test_explicit_transfers_are_counted_with_their_place():
    with fake.counting() as counts, fake.strict():
        x = xp.asarray(np.ones(3, "float32"))
        x.set(np.zeros(3, "float32"))
        assert xp.asnumpy(x).tolist() == [0, 0, 0]
        x.get(out=np.empty(3, "float32"))
    assert (len(counts.uploads), len(counts.downloads), counts.hidden) == (2, 2, [])
    assert "test_fake_counts.py" in counts.uploads[0]


def test_hidden_transfers_are_counted_where_they_are_allowed():
    x = xp.ones(())
    with fake.counting() as counts:
        assert float(x) == 1
        assert x
    assert [what.split(" at ")[0] for what in counts.hidden] == [
        "hidden float()",
        "hidden bool() or if",
    ]


def test_strictness_can_be_lifted_for_a_while():
    x = xp.ones(())
    with fake.strict():
        with fake.strict(on=False):
            assert float(x) == 1
        with pytest.raises(fake.SynchronizedError, match=r"test_fake_counts\.py"):
            float(x)


def test_fetching_another_memory_order_costs_a_launch():
    x = image_like()
    with fake.counting() as counts:
        assert x.get().flags.c_contiguous
    assert counts.launches == ["ascontiguousarray"]


def test_uninitialised_memory_is_poisoned():
    assert np.isnan(xp.empty((2, 3), "float32").get()).all()
    assert (xp.empty(3, "int64").get() < 0).all()
    assert (xp.empty(3, "uint8").get() == 0xA5).all()


def test_pointer_is_the_address_of_the_memory():
    x = xp.asarray(np.arange(6, dtype="float32"))
    row = x.reshape(2, 3)[1]
    assert row.data.ptr - x.data.ptr == 12
    again = fake.ndarray((3,), "float32", row.data)
    assert again.get().tolist() == [3, 4, 5]
    assert row.base is x
    assert x.base is None


def test_memory_dies_with_its_last_view():
    x = xp.ones(3)
    view, memory = x[1:], weakref.ref(x.mem)
    del x
    assert memory() is not None
    del view
    gc.collect()
    assert memory() is None


def test_a_view_cannot_leave_its_memory():
    x = xp.zeros(6, "float32")
    with pytest.raises(fake.OutsideMemoryError):
        xp.lib.stride_tricks.as_strided(x, (4, 3), (8, 4))


def test_range_is_checked_on_the_indexed_axis():
    x = xp.zeros((2, 5))
    three = xp.asarray(np.array([3]))
    assert x[:, three].shape == (2, 1)
    assert xp.take(x, three, axis=1).shape == (2, 1)
    assert x[..., three].shape == (2, 1)
    for read in (
        lambda: x[three],
        lambda: xp.take(x, three, axis=0),
        lambda: x.take(three, axis=0),
    ):
        with pytest.raises(fake.OutOfRangeError):
            read()


def test_allocations_go_to_the_pool_in_use():
    pool = xp.cuda.MemoryPool()
    with xp.cuda.using_allocator(pool.malloc):
        x = xp.empty(100, "float32")
        y = x + 1
    assert x.mem.pool is y.mem.pool is pool
    assert pool.used_bytes() == 800
    del x, y
    assert (pool.used_bytes(), pool.total_bytes()) == (0, 800)


def test_a_pool_has_a_limit():
    pool = xp.cuda.MemoryPool()
    pool.set_limit(size=100)
    with xp.cuda.using_allocator(pool.malloc), pytest.raises(OutOfMemoryError):
        xp.empty(100, "float32")


def test_streams_nest():
    stream = xp.cuda.Stream(non_blocking=True)
    before = xp.cuda.get_current_stream().ptr
    with stream:
        assert xp.cuda.get_current_stream() is stream
    assert xp.cuda.get_current_stream().ptr == before != stream.ptr


def test_a_recorder_gets_every_launch_and_transfer_instead(monkeypatch):
    class Recorder:
        launches, transfers = [], []

        def launch(self, name, function, reads, writes):
            self.launches.append((name, [x.mem for x in reads], writes))

        def transfer(self, kind, what):
            self.transfers.append(kind)

    x = xp.ones(3)
    monkeypatch.setattr("tests.devices.cuda.fake.counts.Watch.recorder", recorder := Recorder())
    xp.add(x, 1, out=x)
    x.get()
    xp.asarray(np.ones(2))
    monkeypatch.undo()
    assert recorder.launches == [("add", [x.mem], (x,))]
    assert recorder.transfers == ["download", "upload"]
    assert x.get().tolist() == [1, 1, 1]


def test_division_by_zero_is_silent_as_on_a_gpu():
    assert np.isinf((xp.ones(2) / 0).get()).all()


def test_generator_has_other_streams_than_numpy():
    drawn = xp.random.default_rng(0).standard_normal(3, dtype="float32")
    assert isinstance(drawn, Core)
    assert not np.allclose(drawn.get(), np.random.default_rng(0).standard_normal(3, "float32"))


def test_waiting_is_counted_apart():
    with fake.counting() as counts, fake.strict():
        xp.cuda.Stream(non_blocking=True).synchronize()
        xp.cuda.runtime.deviceSynchronize()
    assert (len(counts.waits), counts.downloads) == (2, [])


def test_pinned_memory_is_a_buffer():
    pinned = xp.cuda.alloc_pinned_memory(16)
    host = np.frombuffer(pinned, "float32", 4)
    host[:] = 1
    assert host.ctypes.data == pinned.ptr
