"""Summaries on a GPU: against NumPy, the sources against their plain versions, and mutants."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices.cuda import blocks
from minires.devices.cuda.summary import JOIN_SUMMARIES, SUMMARIZE_PIECES, SUMMARY_FIELDS
from tests.devices.cuda import fake, host
from tests.devices.cuda.launches import check, launches_of, surviving

DTYPES = ["float16", "float32", "float64"]
# Each dtype is another text to compile; one is enough in every run.
EVERY = ["float32", *[pytest.param(T, marks=pytest.mark.long) for T in ("float16", "float64")]]


def summary(array):
    made, found = launches_of(lambda device, put: device.summarize(put(array)))
    return made, dict(zip(SUMMARY_FIELDS, found.tolist(), strict=True))


def mixed(size=5000, T="float32", seed=0):
    dice = np.random.default_rng(seed)
    x = (dice.standard_normal(size) * 10.0 ** dice.integers(-4, 4, size) + 1).astype(T)
    limits = np.finfo(T)
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, limits.tiny / 2, -limits.tiny / 4, limits.tiny]
    places = dice.integers(0, size, size // 10)
    x[places] = np.array(special)[dice.integers(0, len(special), places.size)]
    return x


@pytest.mark.parametrize("T", DTYPES)
def test_a_summary_is_of_all_elements(T):
    x = mixed(T=T)
    made, found = summary(x)
    wide = x.astype("float64")
    finite = wide[np.isfinite(wide)]
    largest = abs(finite).max()
    assert len(made) == 2
    assert found["nan"] == np.isnan(x).sum() > 0
    assert found["inf"] == np.isinf(x).sum() > 0
    assert found["zero"] == (x == 0).sum() > 0
    assert found["tiny"] == ((abs(finite) < np.finfo(T).tiny) & (finite != 0)).sum() > 0
    assert (found["min"], found["max"]) == (finite.min(), finite.max())
    assert found["largest"] == largest
    assert found["sum"] == pytest.approx(math.fsum(finite), rel=1e-12)
    assert found["square"] == pytest.approx(math.fsum((finite / largest) ** 2), rel=1e-12)
    mean = math.fsum(finite / largest) / finite.size
    assert found["spread"] == pytest.approx(math.fsum((finite / largest - mean) ** 2), rel=1e-12)


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e300, 1.7e308])
def test_squares_leave_the_range_of_float64_in_no_direction(size):
    x = np.linspace(0.25, 1, 3000) * size
    _, found = summary(x)
    assert found["largest"] == x.max()
    expected = ((x / x.max()) ** 2).sum()
    assert found["square"] == pytest.approx(expected, rel=1e-12)


def test_the_spread_of_numbers_far_from_zero_keeps_its_digits():
    x = 1e8 + np.random.default_rng(0).standard_normal(10000)
    _, found = summary(x)
    std = found["largest"] * math.sqrt(found["spread"] / x.size)
    assert std == pytest.approx(x.std(), rel=1e-7)


@pytest.mark.parametrize("x", [np.zeros((0, 3), "float32"), np.full(3, np.nan)])
def test_without_finite_elements_there_are_no_extremes(x):
    _, found = summary(x)
    assert found == dict.fromkeys(SUMMARY_FIELDS, 0) | {
        "nan": x.size,
        "min": math.inf,
        "max": -math.inf,
    }


def test_integers_and_bools_are_numbers():
    _, found = summary(np.array([-(2**40), 0, 7]))
    assert (found["min"], found["max"], found["zero"]) == (-(2.0**40), 7, 1)
    _, found = summary(np.array([True, False, True]))
    assert found["sum"] == 2


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_no_memory_order_is_copied(order):
    x = mixed(600).reshape(10, 12, 5)
    with fake.installed() as device:
        there = device.array(x).transpose(order)
        with fake.counting() as counts:
            device.summarize(there)
    assert len(counts.launches) == 2
    assert not counts.downloads


@pytest.mark.parametrize("T", EVERY)
@given(st.integers(1, 5000), st.integers(0, 99))
def test_sources_equal_their_plain_versions(T, size, seed):
    host.needs_compiler()
    made, _ = summary(mixed(size, T, seed))
    check(made, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count", [1, 31, 1024, 1025, 10**5, 131072, 3 * 10**9])
@pytest.mark.parametrize("groups", [1, 16, 64, 5000])
def test_pieces_cover_a_row_and_none_is_empty(count, groups):
    pieces, length = blocks.cut(count, groups)
    assert (pieces - 1) * length < count <= pieces * length
    assert pieces == 1 or pieces * groups <= 2 * blocks.BLOCKS


@pytest.mark.long
def test_mutants_of_the_pieces_kernel_are_caught():
    host.needs_compiler()
    made, _ = summary(mixed())
    changes = [
        ("half_way];\n        __syncthreads();", "half_way];"),
        ("    __syncthreads();  // only now may the next sum write", ""),
        ("start + length, count", "start + length - 1, count"),
        ("start + length, count", "start + length + 1, count"),
        ("min(start + length, count)", "start + length"),
        ("fabs(v) < smallest", "fabs(v) <= smallest"),
        ("v != 0 && fabs", "fabs"),
        ("if (isnan(v)) mine.nan", "if (false) mine.nan"),
        ("- all.nan - all.inf", "- all.nan"),
        ("sum += v / size", "sum += v"),
        ("(v / size - mean) * (v / size - mean)", "(v / size) * (v / size)"),
        ("max(-low, high)", "high"),
    ]
    assert surviving(SUMMARIZE_PIECES, changes, made, rtol=1e-12, atol=1e-12) == []


@pytest.mark.long
def test_mutants_of_the_joining_kernel_are_caught():
    host.needs_compiler()
    made = summary(mixed())[0] + summary(np.full(2000, -3.0))[0]
    changes = [
        ("p < pieces", "p < pieces - 1"),
        ("p < pieces", "p <= pieces"),
        ("count - p * length", "count"),
        ("min(length, count - p * length)", "length"),
        ("- row[0] - row[1];\n        sum", ";\n        sum"),
        ("* (size_of(row[4], row[5]) / size)", ""),
        ("within * away * away", "away * away"),
        ("row[7] * ratio * ratio", "row[7] * ratio"),
        ("max(max(-all.low, all.high), 0.0)", "all.high"),
        ("finite * mean * mean", "mean * mean"),
    ]
    assert surviving(JOIN_SUMMARIES, changes, made, rtol=1e-12, atol=1e-12) == []


@pytest.mark.long
@pytest.mark.parametrize("sanitize", ["thread", "address"])
def test_sources_are_clean_on_real_threads(sanitize):
    host.needs_compiler()
    made, _ = summary(mixed(2000))
    check(made, rtol=1e-12, atol=1e-12, sanitize=sanitize)
