"""What is seen in a wrong array: planted patterns are told, and chance never is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.classroom.comparing.observing import observations

RNG = np.random.default_rng(3)
X = RNG.standard_normal((3, 4, 5, 6))
G = RNG.standard_normal((3, 4))
PAIR = RNG.standard_normal((3, 4))
BORDER = np.pad(np.zeros((3, 4, 3, 4)), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1.0)
STRIDE = np.indices(X.shape)[2] % 2 * (np.indices(X.shape)[3] % 2)


@pytest.mark.parametrize(
    ("found", "expected", "call", "says"),
    [
        (G * 3, G, [X], "3 is the size of axis 0 of argument 1 and of axis 0 of y"),
        (-G, G, [X], "The sign is wrong everywhere: y = -what it should be."),
        (G * 2, G, [X], "y = 2 × what it should be everywhere."),
        (G / 30, G, [X], "1/30 × what it should be everywhere, and 30 is the size of axes 2 and 3"),
        (X.sum((2, 3)), X.mean((2, 3)), [X], "y = 30 × what it should be everywhere"),
        (G * np.float32(1) * 3, G, [X], "y = 3 × what it should be everywhere"),
        (X[:, :, :, ::-1], X, [], "y is the right one, but reversed along axis 3."),
        (X[:, :, ::-1, ::-1], X, [], "turned by 180° (axes 2 and 3 reversed)"),
        (
            X[:, :2, :4, :4].swapaxes(2, 3),
            X[:, :2, :4, :4],
            [],
            "transposed (axes 2 and 3 swapped)",
        ),
        (np.zeros((3, 4)), G, [X], "y is 0 everywhere."),
        (1e-18 * PAIR, G, [X], "y is 0 everywhere but for rounding."),
        (G[-1], G.sum(0), [G], "as if only the last entry along axis 0 of argument 1 counted"),
        (
            (G * PAIR)[-1],
            (G * PAIR).sum(0),
            [G, {"x_hat": PAIR}],
            "as if only the last entry along axis 0 of argument 1 × argument 2.x_hat counted",
        ),
        (G.sum(1), (G * PAIR).sum(1), [G, PAIR], "y is argument 1, summed over axis 1."),
        (G - PAIR, G, [PAIR], "What is missing is exactly argument 1."),
        (np.where(PAIR > 0, G, 0.0), G, [0.5, PAIR], "exactly where argument 2 is negative"),
        (X + BORDER * X.mean(), X, [], "Only the border of axes 2 and 3 is wrong."),
        (X + STRIDE, X, [], "Right and wrong repeat every 2 entries along axes 2 and 3."),
        (X * (np.arange(5) != 2)[:, None], X, [], "y is 0 at index 2 along axis 2"),
        (G * np.array([1.5, 2.5, 0.3, 4.0]), G, [], "depends on the place along axis 1 alone"),
        (G, G.sum(0), [], "Summed over axis 0 it would be right."),
        (G.T, G, [], "Transposed it would be right."),
        (G.sum(0)[None], G.sum(0), [], "Without its axes of size 1 it would be right."),
        (X.sum((0, 1, 2)), X.sum((0, 2, 3)), [X], "6 is the length of axis 3 of argument 1."),
    ],
)
def test_a_planted_pattern_is_told(found: Any, expected: Any, call: Any, says: str) -> None:
    told = observations("y", found, expected, call)

    assert says in " ".join(told)
    assert not [each for each in told if "?" in each or "gradient" in each or "numeric" in each]


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(), (1,), (2,), (5,), (3, 4), (2, 3, 4, 5), (4, 1, 3)]),
    st.sampled_from(["unrelated", "whole", "some"]),
)
def test_what_has_no_pattern_is_told_none(seed: int, shape: tuple[int, ...], kind: str) -> None:
    rng = np.random.default_rng(seed)
    found, expected = rng.standard_normal((2, *shape))
    if kind == "whole":
        found, expected = rng.integers(-3, 4, (2, *shape)).astype(float)
    elif kind == "some":
        found = np.where(rng.random(shape) < 0.5, found, expected)
    call = [rng.standard_normal(shape), rng.standard_normal((6, *shape))]

    assert observations("y", found, expected, call) == []


def test_a_factor_between_few_whole_numbers_is_chance() -> None:
    assert observations("y", np.array([2.0, 4.0]), np.array([1.0, 2.0]), []) == []
    assert observations("size", np.array(4), np.array(2), []) == []


@pytest.mark.parametrize(
    "found",
    [
        np.zeros((2,) * 20),
        np.zeros((1,) * 40),
        np.zeros(2**20),
        np.full((3, 4), 1e308),
        np.zeros((3, 0)),
    ],
)
def test_whatever_students_return_takes_no_time(found: Any) -> None:
    began = time.perf_counter()
    with np.errstate(all="ignore"):
        observations("y", found, G, [X, G])
    assert time.perf_counter() - began < 1
