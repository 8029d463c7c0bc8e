from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.devices.cuda import scatter
from tests.devices.cuda import fake, host

xp = fake.module
FLOATS = ["float16", "float32", "float64"]


@pytest.fixture
def in_order():
    mr.use_deterministic_algorithms(True)
    yield
    mr.use_deterministic_algorithms(False)


def test_the_switch_tells_what_it_was_told():
    assert not mr.are_deterministic_algorithms_enabled()
    mr.use_deterministic_algorithms(True)
    assert mr.are_deterministic_algorithms_enabled()
    mr.use_deterministic_algorithms(False)
    assert not mr.are_deterministic_algorithms_enabled()


def test_the_switch_has_two_positions():
    with pytest.raises(TypeError, match="must be True or False, found 'yes'"):
        mr.use_deterministic_algorithms("yes")
    assert not mr.are_deterministic_algorithms_enabled()


INDICES = {
    "repeated": np.array([1, 3, 1, 1, 0]),
    "negative": np.array([-1, 3, -4]),
    "pairs": (np.array([0, 0, 3]), np.array([1, 1, 2])),
    "column": (slice(None), np.array([2, 2, 0])),
    "broadcast": (np.array([[0], [1]]), np.array([2, 2, 0])),
    "with an ellipsis": (..., np.array([1, 1])),
    "with a new axis": (None, np.array([1, 1])),
    "with a number": (2, np.array([1, 1])),
    "number": 2,
    "slice": slice(1, 3),
    "mask": np.arange(20).reshape(4, 5) % 3 == 0,
    "empty": np.array([], int),
}


def on_device(index):
    if isinstance(index, tuple):
        return tuple([on_device(part) for part in index])
    return xp.asarray(index) if isinstance(index, np.ndarray) else index


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize(
    ("kernels", "dtype"),
    [
        ("plain", "float32"),
        ("plain", "float64"),
        ("host", "float32"),
        pytest.param("host", "float64", marks=pytest.mark.long),
    ],
)
def test_adding_in_order_gives_the_cpus_bits(in_order, index, dtype, kernels):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(4, 5)).astype(dtype)
    values = rng.normal(size=target[index].shape).astype(dtype)
    if kernels == "host":
        host.needs_compiler()
    with fake.installed(kernels) as device:
        found = xp.asarray(target)
        device.add_at(found, on_device(index), xp.asarray(values))
    np.add.at(target, index, values)
    np.testing.assert_array_equal(found.get(), target)


@pytest.mark.parametrize("wanted", [False, True])
def test_without_the_switch_cupy_adds(wanted):
    mr.use_deterministic_algorithms(wanted)
    try:
        with fake.installed() as device, fake.counting() as counts:
            device.add_at(
                xp.zeros(3, "float32"), xp.asarray(np.array([1, 1])), xp.ones(2, "float32")
            )
            device.add_at(xp.zeros(3, "int32"), xp.asarray(np.array([1, 1])), xp.ones(2, "int32"))
    finally:
        mr.use_deterministic_algorithms(False)
    assert counts.launches.count("add_runs") == wanted
    assert counts.launches.count("add.at") == 2 - wanted


def test_repeated_values_are_broadcast_and_other_memory_orders_are_kept(in_order):
    with fake.installed() as device:
        target = xp.asarray(np.zeros((3, 4))).T
        device.add_at(target, xp.asarray(np.array([1, 1, 2])), xp.asarray(np.arange(3.0)))
        np.testing.assert_array_equal(target.get()[:, 2], [0, 4, 2, 0])


def test_float16_is_added_up_in_float32(in_order):
    with fake.installed() as device:
        target = xp.asarray(np.full(1, 2048, "float16"))
        ones, zeros = xp.ones(2048, "float16"), xp.zeros(2048, "int64")
        device.add_at(target, zeros, ones)
        assert target.get() == 4096


def test_the_gradient_of_an_embedding_is_the_cpus(in_order):
    weight, rows = np.random.default_rng(0).normal(size=(5, 3)), np.array([1, 4, 1, 1])
    grads = []
    with fake.installed():
        for device in ("cpu", "cuda"):
            w = mr.tensor(weight, device=device, requires_grad=True)
            (w[mr.tensor(rows, device=device)] ** 2).sum().backward()
            grads.append(w.grad.to("cpu").numpy())
    np.testing.assert_array_equal(*grads)


def runs(places, size, dtype, seed):
    """Return the kernel's arguments for values that go to these places."""
    rng = np.random.default_rng(seed)
    places = np.array(places, "int64")
    order = np.argsort(places, kind="stable")
    values, target = (rng.normal(size=n).astype(dtype) for n in (len(places), size))
    return values, order, places[order], target, len(places)


@pytest.mark.parametrize(
    "dtype", ["float32", *[pytest.param(d, marks=pytest.mark.long) for d in ("float16", "float64")]]
)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=600), st.integers(0, 9))
def test_the_source_is_its_plain_version(dtype, places, seed):
    host.needs_compiler()
    args = runs(places, 10, dtype, seed)
    host.check(scatter.ADD_RUNS, scatter.ADD_RUNS.grid(len(places)), args, np.dtype(dtype))


@pytest.mark.long
@pytest.mark.parametrize(
    "change",
    [
        ("if (i >= count) return;", ""),
        ("i > 0 && places[i - 1]", "places[i - 1]"),
        ("if (i > 0 && places[i - 1] == place) return;", ""),
        ("A total = (A)target[place]", "A total = 0"),
        ("i < count && places[i]", "places[i]"),
        ("values[order[i]]", "values[i]"),
        ("(long long)blockIdx.x * BLOCK + threadIdx.x", "(long long)threadIdx.x"),
        ("target[place] = (T)total", "target[i] = (T)total"),
    ],
)
def test_a_mistake_is_caught(change):
    host.needs_compiler()
    rng = np.random.default_rng(0)
    T = np.dtype("float32")
    cases = [
        (scatter.ADD_RUNS.grid(n), runs(rng.integers(0, 50, n), 50, T, 0), T) for n in (3, 300, 700)
    ]
    assert host.caught(host.mutated(scatter.ADD_RUNS, *change), cases)
