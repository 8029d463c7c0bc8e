"""Capture and replay: what a replay repeats, and what cannot be captured."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minires.devices.cuda.graph import CaptureError
from tests.devices.cuda import fake
from tests.devices.cuda.fake.graphs import DiedError


@pytest.fixture
def device() -> Iterator[Any]:
    with fake.installed() as device:
        yield device


def test_a_replay_computes_and_a_capture_does_not(device: Any) -> None:
    xp = device.xp
    x, y = device.array(np.float32([1, 2])), device.array(np.float32([5, 5]))

    with device.capture() as graph:
        z = x * 2
        y += z
    captured = y.get().tolist()
    graph.replay()
    graph.replay()

    assert captured == [5, 5]
    assert z.get().tolist() == [2, 4]
    assert y.get().tolist() == [9, 13]
    assert isinstance(z, xp.ndarray)


def test_what_a_capture_made_is_garbage_until_it_is_replayed(device: Any) -> None:
    x = device.array(np.float32([1, 2]))

    with device.capture() as graph:
        y = x + 1
    before = y.get()
    graph.replay()

    assert np.isnan(before).all()
    assert y.get().tolist() == [2, 3]


def test_a_replay_reads_the_memory_of_now_and_the_numbers_of_then(device: Any) -> None:
    x, rate = device.array(np.float32([1.0])), 2.0
    on_device = device.array(np.float32([2.0]))

    with device.capture() as graph:
        baked, read = x * rate, x * on_device
    rate = 3.0
    on_device[...] = rate
    x[...] = 10.0
    graph.replay()

    assert (float(baked.get()[0]), float(read.get()[0])) == (20.0, 30.0)


def test_a_replay_is_one_launch_and_nothing_is_captured_outside_of_the_block(device: Any) -> None:
    x = device.array(np.float32([1, 2]))
    with device.capture() as graph:
        y = ((x + 1) * 3).sum()

    with fake.counting() as counts:
        graph.replay()
    x += 1

    assert counts.launches == ["graph"]
    assert counts.uploads == counts.downloads == []
    assert x.get().tolist() == [2, 3]
    assert y.get() == 15


LOOKS = {
    "item": lambda device, x: x.sum().item(),
    "float": lambda device, x: float(x[0]),
    "if": lambda device, x: bool((x > 0).all()),
    "get": lambda device, x: x.get(),
    "mask": lambda device, x: x[x > 1],
    "wait": lambda device, x: device.xp.cuda.get_current_stream().synchronize(),
    "upload": lambda device, x: device.xp.asarray(np.float32([1, 2])),
    "device's upload": lambda device, x: device.array(np.float32([1, 2])),
}


@pytest.mark.parametrize("look", LOOKS)
def test_what_cannot_be_captured_ends_the_capture_and_is_named_with_its_line(
    device: Any, look: str
) -> None:
    x = device.array(np.float32([1, 2]))

    def captured() -> None:
        with device.capture():
            x.fill(7)
            LOOKS[look](device, x)

    with pytest.raises(CaptureError, match=r"test_graph\.py:\d+") as caught:
        captured()

    assert "keep values on the device" in str(caught.value)
    assert not device.is_capturing()
    assert (x + 1).get().tolist() == [2, 3]


def test_another_error_inside_a_capture_is_passed_on_and_ends_it(device: Any) -> None:
    with pytest.raises(ZeroDivisionError), device.capture() as graph:
        1 / 0  # noqa: B018

    assert not device.is_capturing()
    with pytest.raises(RuntimeError, match="nothing to replay"):
        graph.replay()


def test_a_refusal_that_somebody_swallowed_is_noticed_at_the_end(device: Any) -> None:
    x = device.array(np.float32([1, 2]))

    def captured() -> None:
        with device.capture(), contextlib.suppress(RuntimeError):
            x.fill(7)
            x.get()

    with pytest.raises(CaptureError, match="threw the recording away"):
        captured()

    assert x.get().tolist() == [1, 2]


def test_graphs_cannot_be_nested(device: Any) -> None:
    with pytest.raises(CaptureError, match="nested"), device.capture(), device.capture():
        pass


def test_memory_from_outside_that_died_before_the_replay_is_an_error(device: Any) -> None:
    outside = device.array(np.float32([1, 2]))
    with device.capture() as graph:
        y = outside + 1
    graph.replay()
    assert y.get().tolist() == [2, 3]

    del outside
    with pytest.raises(DiedError, match="add touches memory that died"):
        graph.replay()


def test_memory_of_the_graphs_own_pool_lives_as_long_as_the_graph(device: Any) -> None:
    x = device.array(np.float32([1, 2]))
    with device.capture() as graph:
        hidden = x + 1
        y = hidden * 2
    del hidden

    graph.pool.free_all_blocks()  # as CuPy does when memory runs short
    graph.replay()
    assert y.get().tolist() == [4, 6]
    del graph.pool, y
    with pytest.raises(DiedError):
        graph.replay()


def test_a_graph_and_its_memory_go_with_their_last_user_and_not_by_garbage_collection(
    device: Any,
) -> None:
    with device.capture() as graph:
        pass
    graph, pool = weakref.ref(graph), weakref.ref(graph.pool)

    assert graph() is None
    assert pool() is None


def test_cublas_keeps_one_workspace_for_all_captures(device: Any) -> None:
    a = device.array(np.ones((2, 2), "f4"))
    device.gemm(a, a)
    for _ in range(3):
        with device.capture():
            device.gemm(a, a)

    assert len(device.cublas._workspaces) == 2  # of the captures, and of eager steps


def test_memory_is_told_of_in_bytes(device: Any) -> None:
    before = device.memory()
    held = device.array(np.zeros(1000, np.float32))
    after = device.memory()

    assert after.used - before.used == held.nbytes
    assert after.used <= after.reserved <= after.total - after.free
    device.free_memory()
    assert device.memory().reserved == device.memory().used
