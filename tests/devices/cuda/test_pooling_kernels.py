"""Pooling kernels: the CUDA source against NumPy, and NumPy against the readable kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices import Window, cpu
from minires.devices.cuda.kernel import Kernel
from minires.devices.cuda.pooling import MAX_POOL, MAX_POOL_BACKWARD, WINDOW_SUMS
from minires.devices.cuda.sliding import alike
from tests.devices.cuda import host
from tests.devices.cuda.geometries import UNEVEN, Geometry, geometries
from tests.devices.plain import plain

Case = tuple[Any, tuple[Any, ...], str]


@pytest.fixture(autouse=True)
def _compiler():
    host.needs_compiler()


def max_pool_case(at: Geometry, T: str = "float32") -> Case:
    """Numbers that occur several times, infinities and NaNs; fewer blocks than channels."""
    n, c = at.shape[:2]
    x = at.images(T)
    strange = np.random.default_rng(at.seed).integers(0, 12, at.shape)
    for number, value in enumerate((np.nan, -np.inf, np.inf)):
        x[strange == number] = value
    x[-1, -1] = -np.inf
    values, winners = at.unset(*at.output, dtype=T), at.unset(*at.output, dtype="int64")
    s = at.structure(x, alike(n, at.places))
    return (MAX_POOL.grid(n * at.places), min(c, 2)), (x, values, winners, s, -np.inf), T


def backward_case(at: Geometry, T: str = "float32") -> Case:
    """The winners are real ones, or -1 where a window sees nothing but padding."""
    _, (x, values, winners, s, lowest), _ = max_pool_case(at, T)
    MAX_POOL.plain(x, values, winners, s, lowest)
    n, c, h, w = at.shape
    g = at.normal(c, n, *at.output[2:], dtype=T).transpose(1, 0, 2, 3)
    dx = at.unset(*at.shape, dtype=T, order=at.order)
    told = at.structure(dx, alike(n, at.places))
    return (MAX_POOL_BACKWARD.grid(n * h * w), min(c, 2)), (g, winners, dx, told), T


def sums_case(at: Geometry, T: str = "float32") -> Case:
    n, c = at.shape[:2]
    x, y = at.images(T), at.unset(*at.output, dtype=T)
    told = at.structure(x, alike(n, at.places))
    return (WINDOW_SUMS.grid(n * at.places), min(c, 2)), (x, y, told), T


def check(kernel: Kernel, *cases: Case) -> None:
    for grid, args, T in cases:
        host.check(kernel, grid, args, T)


@given(geometries())
def test_max_pool(at):
    check(MAX_POOL, max_pool_case(at))


@given(geometries())
def test_the_way_back_from_max_pool(at):
    check(MAX_POOL_BACKWARD, backward_case(at))


@given(geometries())
def test_window_sums(at):
    check(WINDOW_SUMS, sums_case(at))


@pytest.mark.long
@pytest.mark.parametrize("T", ["float16", "float64"])
@given(data=st.data())
def test_in_other_dtypes(T, data):
    at = data.draw(geometries())
    check(MAX_POOL, max_pool_case(at, T))
    check(MAX_POOL_BACKWARD, backward_case(at, T))
    check(WINDOW_SUMS, sums_case(at, T))


@given(geometries())
def test_the_plain_versions_are_the_readable_kernels(at):
    _, (x, values, winners, s, lowest), _ = max_pool_case(at)
    MAX_POOL.plain(x, values, winners, s, lowest)
    for found, expected in zip((values, winners), plain.max_pool(x, at.window), strict=True):
        np.testing.assert_array_equal(found, expected)

    _, (g, winners, dx, s), _ = backward_case(at)
    MAX_POOL_BACKWARD.plain(g, winners, dx, s)
    won = np.where(winners < 0, 0, g)  # the readable kernel's windows all have a winner
    expected = cpu.max_pool_backward(won, winners, at.window, at.shape[2:])
    np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-5)

    _, (x, y, s), _ = sums_case(at)
    WINDOW_SUMS.plain(x, y, s)
    np.testing.assert_allclose(y, plain.window_sums(x, at.window), rtol=1e-5, atol=1e-5)


LOOKING = [
    ("place >= s.n", "place > s.n"),
    ("< 0 || ", "< -1 || "),
    (" >= s.h", " > s.h"),
    (" >= s.w", " > s.w"),
    (" >= s.w", " >= s.h"),
    ("oy * s.vstep", "oy * s.hstep"),
    ("- s.top", "+ s.top"),
    ("- s.left", "- s.top"),
    ("i * s.dh", "i * s.dw"),
    (" + c * s.c_step", ""),
    (" + c * s.channel", ""),
    ("c += gridDim.y", "c += s.c"),
    ("* s.h_step", "* s.w_step"),
]
MAX_POOL_MISTAKES = [
    *LOOKING,
    ("winner < 0 || ", ""),
    ("value > best", "value >= best"),
    ("value > best", "value < best"),
    (" || (value != value && best == best)", ""),
    (" && best == best", ""),
    ("y * s.w + z;", "y * s.h + z;"),
]
# Where height and width have a divisor in common, a wrong row is not just another order of pixels.
SQUARE = Geometry((2, 2, 6, 6), Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)))
BACKWARD_MISTAKES = [
    ("row = pixel / s.w", "row = pixel * s.w"),
    ("pixel >= s.n", "pixel > s.n"),
    ("down < 0 || ", ""),
    ("oy >= s.oh", "oy > s.oh"),
    ("ox >= s.ow", "ox > s.ow"),
    ("oy * s.vstep != down || ", ""),
    ("row + s.top", "row - s.top"),
    ("column + s.left", "column + s.top"),
    ("- i * s.dh", "- i * s.dw"),
    ("if (winners[at] == row * s.w + column) ", ""),
    ("row * s.w + column)", "row * s.h + column)"),
    (" + c * s.channel", ""),
    (" + c * s.c_step", ""),
    ("A sum = 0;", "A sum = 1;"),
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("kernel", "case", "mistakes"),
    [
        (MAX_POOL, max_pool_case, MAX_POOL_MISTAKES),
        (MAX_POOL_BACKWARD, backward_case, BACKWARD_MISTAKES),
        (WINDOW_SUMS, sums_case, LOOKING),
    ],
    ids=["max_pool", "max_pool_backward", "window_sums"],
)
def test_mistakes_are_noticed(kernel, case, mistakes):
    assert host.unnoticed(kernel, mistakes, map(case, (*UNEVEN, SQUARE))) == []
