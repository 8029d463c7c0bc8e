"""The stand-in for CuPy flags the mistakes of the bank, and lets pass what is fine."""

from __future__ import annotations

import numpy as np
import pytest

from minires.devices import cuda
from tests.devices.cuda import api, fake
from tests.devices.cuda.bank import BUGS, FINE, Bench

xp = fake.module

# The mistakes that this stand-in was planned to flag; the others came to the bank later.
SEEDED = (
    "asarray_of_device", "device_plus_host", "host_eye_indexed_by_device_labels",
    "device_indexed_by_host_labels", "host_zeros_plus_equals_device", "host_permutation_of_device",
    "isinstance_dispatch", "float_of_loss", "if_on_a_device_scalar", "fstring_of_loss",
    "boolean_mask_index", "range_of_a_device_integer", "max_initial", "sum_where", "maximum_reduce",
    "einsum_path", "errstate", "clip_min", "generator_normal",
    "gather_that_waits_for_an_index_error", "repeated_index_in_an_assignment",
    "uninitialised_empty", "float64_through_a_numpy_scalar", "python_loop_over_rows",
)  # fmt: skip


def on_the_fake():
    return Bench(xp, xp.asarray)


def on_numpy():
    return Bench(np, np.asarray)


def test_the_bank_holds_what_the_stand_in_was_planned_for():
    assert len(SEEDED) == 24
    assert set(SEEDED) <= set(BUGS)


@pytest.mark.parametrize("name", [name for name, bug in BUGS.items() if bug.error])
def test_fake_raises_at(name):
    bench = on_the_fake()
    with fake.strict(), pytest.raises(BUGS[name].error):
        BUGS[name].function(bench)


@pytest.mark.parametrize("name", [name for name, bug in BUGS.items() if bug.check])
def test_fake_shows_to_a_check(name):
    bench, bug = on_the_fake(), BUGS[name]
    with fake.strict(), fake.counting() as counts:
        result = bug.function(bench)
    assert not bug.check(bench, result, len(counts.launches))


# NumPy shows these to the same check: they are slips of arithmetic, not of the device.
@pytest.mark.parametrize("name", BUGS)
def test_numpy_says_nothing_of(name):
    with np.errstate(all="ignore"):
        BUGS[name].function(on_numpy())


@pytest.mark.parametrize("name", FINE)
def test_fake_lets_pass(name):
    bench = on_the_fake()
    with fake.strict(), fake.counting() as counts:
        result = FINE[name](bench)
    assert (counts.uploads, counts.downloads) == ([], [])
    np.testing.assert_allclose(result.get(), FINE[name](on_numpy()), rtol=1e-6)


# CuPy's __array__ does not know NumPy 2's copy=, which NumPy says before it raises.
not_of_copy = pytest.mark.filterwarnings("ignore:__array__ implementation")


@pytest.fixture
def cupy():
    cupy = pytest.importorskip("cupy", reason="needs CuPy, without a GPU")
    if cupy.__version__ != api.VERSION:
        pytest.skip(f"the bank is of CuPy {api.VERSION}, installed is {cupy.__version__}")
    return cupy


@pytest.fixture
def on_a_gpu(cupy):
    if reason := cuda.missing():
        pytest.skip(f"no GPU: {reason}")
    return Bench(cupy, cupy.asarray)


def in_host_memory(cupy, array):
    """One of CuPy's arrays that needs no GPU, as long as nothing is launched."""
    array = np.ascontiguousarray(array)
    memory = cupy.cuda.UnownedMemory(array.ctypes.data, array.nbytes, array, 0)
    return cupy.ndarray(array.shape, array.dtype, cupy.cuda.MemoryPointer(memory, 0))


@not_of_copy
def test_what_cupy_refuses_without_a_gpu_is_what_the_bank_says(cupy):
    refused = {}
    for name, bug in BUGS.items():
        bench = Bench(cupy, lambda array: in_host_memory(cupy, array))
        try:
            bug.function(bench)
        except cupy.cuda.runtime.CUDARuntimeError:
            continue  # it was going to compute
        except Exception as error:
            refused[name] = error
    unexpected = {
        name: error
        for name, error in refused.items()
        if BUGS[name].cupy != "raises" or not isinstance(error, BUGS[name].error)
    }
    assert unexpected == {}
    assert len(refused) >= 26


@not_of_copy
@pytest.mark.gpu
@pytest.mark.parametrize("name", BUGS)
def test_cupy_does_what_the_bank_says(on_a_gpu, name):
    bug = BUGS[name]
    if bug.cupy == "raises":
        with pytest.raises(bug.error):
            bug.function(on_a_gpu)
    else:
        bug.function(on_a_gpu)


# Of what shows to a check, memory that nothing has set may hold anything, and CuPy does not count.
SHOWN = ("float64_through_a_numpy_scalar", "ufunc_that_loses_the_memory_order",
         "upload_that_loses_the_memory_order")  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("name", SHOWN)
def test_cupy_shows_to_a_check_what_the_fake_shows(on_a_gpu, name):
    assert not BUGS[name].check(on_a_gpu, BUGS[name].function(on_a_gpu), 0)


@pytest.mark.gpu
@pytest.mark.parametrize("name", FINE)
def test_cupy_computes(on_a_gpu, name):
    result = FINE[name](on_a_gpu)
    np.testing.assert_allclose(result.get(), FINE[name](on_numpy()), rtol=1e-6)
