"""Columns, their transpose, and what follows a convolution: the CUDA source against NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices.cuda.convolution import COL2IM, FINISH, IM2COL
from minires.devices.cuda.kernel import Kernel
from minires.devices.cuda.sliding import Steps, alike, by_image, by_row
from tests.devices.cuda import host
from tests.devices.cuda.geometries import UNEVEN, Geometry, geometries
from tests.devices.plain import plain

Case = tuple[Any, tuple[Any, ...], str]


@pytest.fixture(autouse=True)
def _compiler():
    host.needs_compiler()


def orders_of_columns(at: Geometry) -> tuple[Steps, ...]:
    n, c = at.shape[:2]
    taps = at.window.taps
    return by_row(n, at.places, taps), by_image(c, at.places, taps)


def columns_shape(at: Geometry, steps: Steps) -> tuple[int, ...]:
    n, c = at.shape[:2]
    if steps.tap == 0:
        return c, n, at.places
    rows = c * at.window.taps
    return (rows, n * at.places) if steps.image == at.places else (n, rows, at.places)


def im2col_cases(at: Geometry, T: str = "float32") -> Iterator[Case]:
    """Both orders of columns; fewer blocks than channels."""
    n, c = at.shape[:2]
    for steps in orders_of_columns(at):
        x = at.images(T)
        columns = np.full(columns_shape(at, steps), np.nan, T)
        grid = IM2COL.grid(n * at.places), min(c, 2)
        yield grid, (x, columns, at.structure(x, steps)), T


def col2im_cases(at: Geometry, T: str = "float32") -> Iterator[Case]:
    """Both orders of columns, and columns whose taps are alike."""
    n, c, h, w = at.shape
    for steps in (*orders_of_columns(at), alike(n, at.places)):
        columns = at.normal(*columns_shape(at, steps), dtype=T)
        x = at.unset(*at.shape, dtype=T, order=at.order)
        grid = COL2IM.grid(n * h * w), min(c, 2)
        yield grid, (columns, x, at.structure(x, steps)), T


def finish_cases(T: str = "float32") -> Iterator[Case]:
    """Every choice of what follows, with zeros of both signs and a NaN among the values."""
    rng = np.random.default_rng(0)
    for with_bias, with_shortcut, rectify in np.ndindex(2, 2, 2):
        y = rng.standard_normal((5, 2, 3, 11)).astype(T).transpose(1, 0, 2, 3)
        y[0, 0, 0, :3] = 0.0, -0.0, np.nan
        shortcut = rng.standard_normal((5, 2, 3, 11)).astype(T).transpose(1, 0, 2, 3)
        bias = rng.standard_normal(5).astype(T) if with_bias else None
        args = y, bias, shortcut if with_shortcut else None, bool(rectify), 66, y.size
        yield FINISH.grid(y.size), args, T


def check(kernel: Kernel, cases: Iterator[Case]) -> None:
    for grid, args, T in cases:
        host.check(kernel, grid, args, T)


@given(geometries())
def test_columns(at):
    check(IM2COL, im2col_cases(at))


@given(geometries())
def test_images_from_columns(at):
    check(COL2IM, col2im_cases(at))


def test_bias_shortcut_and_relu():
    check(FINISH, finish_cases())


@pytest.mark.long
@pytest.mark.parametrize("T", ["float16", "float64"])
@given(data=st.data())
def test_in_other_dtypes(T, data):
    at = data.draw(geometries())
    check(IM2COL, im2col_cases(at, T))
    check(COL2IM, col2im_cases(at, T))
    check(FINISH, finish_cases(T))


@given(geometries())
def test_the_plain_versions_are_the_readable_kernels(at):
    for _, (x, columns, s), _ in im2col_cases(at):
        IM2COL.plain(x, columns, s)
        expected = plain.im2col(x, at.window)
        if columns.ndim == 2:
            expected = expected.transpose(1, 0, 2).reshape(columns.shape)
        np.testing.assert_array_equal(columns, expected)
    (_, (by_rows, x, s), _), (_, (columns, y, t), _), (_, (same, z, u), _) = col2im_cases(at)
    n, _c, h, w = at.shape
    COL2IM.plain(columns, y, t)
    # Where both orders are one, the columns have the shape of the first.
    columns = columns.reshape(n, -1, at.places)
    np.testing.assert_array_equal(y, plain.col2im(columns, at.window, (h, w)))
    COL2IM.plain(by_rows, x, s)
    moved = by_rows.reshape(-1, n, at.places).transpose(1, 0, 2)
    np.testing.assert_array_equal(x, plain.col2im(moved, at.window, (h, w)))
    COL2IM.plain(same, z, u)
    shared = same.transpose(1, 0, 2).reshape(at.output)
    np.testing.assert_array_equal(z, plain.spread_sums(shared, at.window, (h, w)))


IM2COL_MISTAKES = [
    ("place >= s.n", "place > s.n"),
    ("y >= 0 && ", ""),
    ("y < s.h", "y <= s.h"),
    ("z < s.w", "z <= s.w"),
    ("z < s.w", "z < s.h"),
    ("y * s.h_step + z * s.w_step", "y * s.w_step + z * s.h_step"),
    ("oy * s.vstep", "oy * s.hstep"),
    ("oy * s.vstep - s.top", "oy * s.vstep + s.top"),
    ("- s.left", "- s.top"),
    ("i * s.dh", "i * s.dw"),
    (" + c * s.c_step", ""),
    (" + c * s.channel", ""),
    ("n * s.image + ", ""),
    ("c += gridDim.y", "c += s.c"),
    ("/ s.ow % s.oh", "/ s.ow"),
]
COL2IM_MISTAKES = [
    ("pixel >= s.n", "pixel > s.n"),
    ("down < 0 || ", ""),
    ("oy >= s.oh", "oy > s.oh"),
    ("ox >= s.ow", "ox > s.ow"),
    ("oy * s.vstep != down || ", ""),
    ("row + s.top", "row - s.top"),
    ("column + s.left", "column + s.top"),
    ("- i * s.dh", "- i * s.dw"),
    ("i * s.kw + j", "i * s.kh + j"),
    ("i * s.kw + j", "j * s.kw + i"),
    (" + c * s.channel", ""),
    ("+ c * s.c_step", ""),
    ("oy * s.ow + ox", "oy * s.oh + ox"),
    ("/ s.w % s.h", "/ s.w % s.w"),
    ("A sum = 0;", "A sum = 1;"),
]
FINISH_MISTAKES = [
    ("i >= count", "i > count"),
    ("bias[i / plane]", "bias[i % plane]"),
    ("if (bias) value", "value"),
    ("if (shortcut) value", "value"),
    ("rectify && value <= 0", "value <= 0"),
    ("value <= 0 ?", "!(value > 0) ?"),
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("kernel", "cases", "mistakes"),
    [
        (IM2COL, [case for at in UNEVEN for case in im2col_cases(at)], IM2COL_MISTAKES),
        (COL2IM, [case for at in UNEVEN for case in col2im_cases(at)], COL2IM_MISTAKES),
        (FINISH, list(finish_cases()), FINISH_MISTAKES),
    ],
    ids=["im2col", "col2im", "finish"],
)
def test_mistakes_are_noticed(kernel, cases, mistakes):
    assert host.unnoticed(kernel, mistakes, cases) == []
