"""The host's checker of CUDA kernels is itself held to what it must notice."""

from __future__ import annotations

import time

import numpy as np
import pytest

from minires.devices.cuda.kernel import Kernel
from tests.devices.cuda import host
from tests.devices.cuda.samples import (
    EVERYONE_WRITES,
    SCALE,
    SOME_WAIT,
    TOTAL,
    UNSYNCHRONISED,
    kernel,
)

T = "float32"


@pytest.fixture(autouse=True)
def compiler():
    host.needs_compiler()


def rows(count: int = 100, T: str = T) -> tuple[np.ndarray, np.ndarray, int]:
    x = np.random.default_rng(0).standard_normal((3, count)).astype(T)
    return x, np.full(3, np.nan, T), count


# Each dtype is another text to compile, here and in the tests of all kernels.
@pytest.mark.parametrize(
    "T", ["float32", *[pytest.param(T, marks=pytest.mark.long) for T in ("float16", "float64")]]
)
def test_an_elementwise_kernel_equals_its_plain_version(T):
    x = np.arange(100, dtype=T)
    host.check(SCALE, SCALE.grid(100), (x, np.full_like(x, np.nan), 100, 0.5), T)


def test_results_are_written_into_the_arrays_and_threads_past_the_end_do_nothing():
    x, y = np.arange(40, dtype=T), np.full(50, np.nan, T)
    host.run(SCALE, SCALE.grid(40), (x, y, 40, 3), T)
    np.testing.assert_array_equal(y[:40], 3 * x)
    assert np.isnan(y[40:]).all()


def test_arrays_of_any_strides_are_their_memory():
    x = np.arange(24, dtype=T).reshape(2, 3, 4).transpose(1, 0, 2)
    y = np.full((3, 2, 4), np.nan, T).transpose(1, 0, 2)
    host.run(SCALE, SCALE.grid(24), (x, y, 24, 1), T)
    np.testing.assert_array_equal(y.transpose(1, 0, 2).ravel(), np.arange(24))


def test_memory_with_gaps_is_refused():
    with pytest.raises(ValueError, match="'x' has gaps"):
        host.run(SCALE, 1, (np.zeros(8, T)[::2], np.zeros(4, T), 4, 1), T)


def test_a_block_reduction_equals_its_plain_version():
    host.check(TOTAL, 3, rows(), T)


def test_an_index_out_of_bounds_names_kernel_array_and_index():
    with pytest.raises(IndexError, match=r"kernel total: block.*: x\[300\], but x has 300"):
        host.run(host.mutated(TOTAL, "< count", "<= count"), 3, rows(), T)


@pytest.mark.parametrize(
    ("change", "fault"),
    [(UNSYNCHRONISED, host.Race), (EVERYONE_WRITES, host.Race), (SOME_WAIT, host.Diverged)],
)
def test_a_wrong_reduction_is_caught(change, fault):
    mutant = host.mutated(TOTAL, *change)
    with pytest.raises(fault, match="kernel total: block"):
        host.run(mutant, 3, rows(), T)
    assert host.caught(mutant, [(3, rows(), T)])


@pytest.mark.long
@pytest.mark.parametrize("sanitize", ["thread", "address"])
def test_a_right_reduction_is_clean_on_real_threads(sanitize):
    host.check(TOTAL, 3, rows(), T, sanitize=sanitize)


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "fault", "told"),
    [
        (UNSYNCHRONISED, host.Unsanitary, "data race"),
        (EVERYONE_WRITES, host.Unsanitary, "data race"),
        (SOME_WAIT, host.Diverged, "never reach"),
        (("< count", "<= count"), host.OutOfBounds, r"x\[300\]"),
    ],
)
def test_thread_sanitizer_agrees(change, fault, told):
    with pytest.raises(fault, match=told):
        host.run(host.mutated(TOTAL, *change), 3, rows(), T, sanitize="thread")


@pytest.mark.long
def test_a_threads_own_array_is_watched_by_the_address_sanitizer():
    beyond = kernel("A own[4]; own[y.offset + 4] = 1; y[threadIdx.x] = (T)own[0];")
    with pytest.raises(host.Unsanitary, match=r"out of bounds|overflow"):
        host.run(beyond, 1, (np.zeros(4, T),), T, sanitize="address")


@pytest.mark.long
def test_a_mutant_that_computes_something_else_is_caught_and_one_that_does_not_is_not():
    case = (3, rows(), T)
    assert host.caught(host.mutated(TOTAL, "A sum = 0", "A sum = 1"), [case])
    assert not host.caught(host.mutated(TOTAL, "A sum = 0", "A sum = (A)0"), [case])


@pytest.mark.long
def test_a_variable_that_nothing_has_set_is_noticed():
    assert host.caught(host.mutated(TOTAL, "A sum = 0", "A sum"), [(3, rows(), T)])


@pytest.mark.long
def test_pointers_count_and_compare_as_pointers():
    walk = kernel(
        "A sum = 0;\nconst T* end = x + count;\n"
        "for (const T* p = x + threadIdx.x; p < end; p++) sum += (A)*p;\n"
        "y[threadIdx.x] = (T)(sum + (end - x));",
        "const T* __restrict__ x, T* __restrict__ y, int count",
    )
    y = np.zeros(4, T)
    host.run(walk, 1, (np.arange(4, dtype=T), y, 4), T)
    np.testing.assert_array_equal(y, [10, 10, 9, 7])


@pytest.mark.long
def test_a_helpers_pointers_are_checked_too():
    helped = kernel(
        "__shared__ A s[BLOCK];\nset(s, threadIdx.x, 2);\n"
        "y[threadIdx.x] = (T)(get(s, threadIdx.x) + get(s + 1, x));",
        "T* y, int x",
        head="__device__ __forceinline__ A get(const A* from, int i) { return from[i]; }\n"
        "__device__ void set(A* to, int i, A v) { to[i] = v; }",
        block=1,
    )
    host.run(helped, 1, (np.zeros(1, T), -1), T)
    with pytest.raises(host.OutOfBounds, match=r"s\[3\], but s has 1"):
        host.run(helped, 1, (np.zeros(1, T), 2), T)


def test_a_mutation_must_change_something():
    with pytest.raises(AssertionError, match="has no"):
        host.mutated(TOTAL, "not in it", "")


def test_a_check_leaves_the_arrays_as_they_were():
    x, y, count = rows()
    before = x.copy()
    host.check(TOTAL, 3, (x, y, count), T)
    np.testing.assert_array_equal(x, before)
    assert np.isnan(y).all()


def test_reading_shared_memory_that_was_not_written_is_caught_in_every_block():
    once = kernel(
        "__shared__ A s[BLOCK];\nif (blockIdx.x == 0) s[threadIdx.x] = 1;\n"
        "y[blockIdx.x * BLOCK + threadIdx.x] = (T)s[threadIdx.x];"
    )
    host.run(once, 1, (np.zeros(4, T),), T)
    with pytest.raises(host.Uninitialised, match=r"block \(1, 0, 0\), thread 0: reads s\[0\]"):
        host.run(once, 2, (np.zeros(8, T),), T)


@pytest.mark.long
def test_a_shared_scalar_beside_a_shared_matrix():
    both = kernel(
        "__shared__ A s[2][BLOCK], first;\n"
        "int t = threadIdx.x;\n"
        "s[0][t] = t; s[1][t] = 10 * t; if (t == 0) first = 100;\n__syncthreads();\n"
        "y[t] = (T)(first + s[0][BLOCK - 1 - t] + s[1][BLOCK - 1 - t]);"
    )
    y = np.zeros(4, T)
    host.run(both, 1, (y,), T)
    np.testing.assert_array_equal(y, [133, 122, 111, 100])


@pytest.mark.long
def test_blocks_may_not_read_what_other_blocks_write():
    neighbour = kernel(
        "y[blockIdx.x] = (T)((A)x[blockIdx.x + 1] + 1);", "const T* x, T* y", block=1
    )
    x = np.zeros(5, T)
    host.run(neighbour, 4, (x, np.zeros(4, T)), T)
    with pytest.raises(host.Race, match=r"x\[1\]|y\[1\]"):
        host.run(neighbour, 4, (x, x), T)


@pytest.mark.long
def test_waiting_at_different_barriers_is_caught():
    apart = kernel("if (threadIdx.x) {\n__syncthreads(); } else {\n__syncthreads(); }")
    with pytest.raises(host.Diverged, match=r"line 3.*line 4"):
        host.run(apart, 1, (np.zeros(1, T),), T)


def test_after_a_fault_the_next_launch_is_right():
    one_more = host.mutated(TOTAL, "< count", "<= count")
    x, y, count = rows(100)
    with pytest.raises(IndexError):
        host.run(one_more, 3, (x, y, count), T)
    host.run(one_more, 3, (x, y, count - 1), T)
    sums = [x.reshape(-1)[99 * block : 99 * block + 100].sum() for block in range(3)]
    np.testing.assert_allclose(y, sums, rtol=1e-5)


@pytest.mark.long
def test_null_pointers_can_be_asked_for_and_not_be_used():
    optional = kernel("y[threadIdx.x] = bias ? (T)bias[threadIdx.x] : (T)7;", "const T* bias, T* y")
    y = np.zeros(4, T)
    host.run(optional, 1, (None, y), T)
    assert (y == 7).all()
    with pytest.raises(host.OutOfBounds, match=r"x\[0\], but x is a null pointer"):
        host.run(SCALE, 1, (None, y, 4, 1.0), T)


@pytest.mark.long
def test_a_constant_array_cannot_be_written():
    with pytest.raises(host.DoesNotCompile, match=r"trial\.cu:2"):
        host.run(kernel("x[0] = 1;", "const T* x"), 1, (np.zeros(1, T),), T)


def test_a_read_only_array_is_not_taken_where_the_kernel_writes():
    y = np.broadcast_to(np.float32(0), (1,))
    with pytest.raises(ValueError, match="'y' is read-only"):
        host.run(SCALE, 1, (np.zeros(1, T), y, 1, 1), T)


@pytest.mark.parametrize("grid", [0, (1, 0), (1, 2**16), (1, 1, 1, 1)])
def test_a_grid_that_a_gpu_refuses_is_refused(grid):
    with pytest.raises(ValueError, match="a GPU takes"):
        host.run(SCALE, grid, (np.zeros(1, T), np.zeros(1, T), 1, 1), T)


TABLE = np.dtype({"names": ["y", "size"], "formats": [("u8", 2), ("i4", 2)]}, align=True)
TABLES = kernel(
    "T* y = table.y[blockIdx.x];\n"
    "if (threadIdx.x < table.size[blockIdx.x]) y[threadIdx.x] += (T)by;",
    "Table table, A by",
    head="struct Table { T* y[2]; int size[2]; };",
    types={"Table": TABLE},
)


def table(*arrays: np.ndarray, size: int = 0) -> np.ndarray:
    given = np.zeros((), TABLE)
    given["y"] = [array.ctypes.data for array in arrays]
    given["size"] = [len(array) + size for array in arrays]
    return given


@pytest.mark.long
@pytest.mark.parametrize("memory", [True, False])
def test_structures_by_value_bring_pointers(memory):
    a, b = np.zeros(3, T), np.ones(4, T)
    host.run(TABLES, 2, (table(a, b), 2.0), T, memory={"a": a, "b": b} if memory else None)
    assert (a == 2).all()
    assert (b == 3).all()


@pytest.mark.long
def test_pointers_of_structures_are_checked_where_their_memory_is_told():
    a, b = np.zeros(2, T), np.ones(3, T)
    with pytest.raises(host.OutOfBounds, match=r"a\[2\], but a has 2 elements"):
        host.run(TABLES, 2, (table(a, b, size=1), 2.0), T, memory={"a": a, "b": b})
    with pytest.raises(host.OutOfBounds, match="not told"):
        host.run(TABLES, 2, (table(a, b), 2.0), T, memory={"a": a})


@pytest.mark.long
def test_a_structure_laid_out_otherwise_than_its_dtype_does_not_compile():
    wrong = Kernel(
        TABLES.source, TABLES.plain, 4, {"Table": np.dtype([("size", "i4", 2), ("y", "u8", 2)])}
    )
    with pytest.raises(host.DoesNotCompile, match="static assertion"):
        host.compiled(wrong, T)


def test_what_was_compiled_is_not_compiled_again():
    before = host.compiled(SCALE, T)
    written = before.stat().st_mtime_ns
    time.sleep(0.01)
    assert host.compiled(SCALE, np.float32) == before
    assert before.stat().st_mtime_ns == written


def test_without_a_compiler_tests_are_skipped_unless_one_is_required(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("MINIRES_REQUIRE_COMPILER", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"g\+\+ is not installed"):
        host.needs_compiler()
    monkeypatch.setenv("MINIRES_REQUIRE_COMPILER", "1")
    with pytest.raises(pytest.fail.Exception, match=r"g\+\+ is not installed"):
        host.needs_compiler()
