"""Random directions: what they see, where they say it is, and how likely they miss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.checking import examination

Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def cube(x: Array) -> Array:
    return x**3


def cube_vjp(g: Array, x: Array) -> Array:
    return 3 * x**2 * g


def test_large_inputs_are_looked_at_along_directions_and_small_ones_entry_by_entry() -> None:
    large, small = normal(70, 60), normal(7, 6)

    along = mr.gradcheck((cube, cube_vjp), large)
    each = mr.gradcheck((cube, cube_vjp), small)

    assert along
    assert (along.inputs[0].directions, along.inputs[0].tried) == (True, 4)
    assert "4 directions" in along.explain()
    assert each
    assert (each.inputs[0].directions, each.inputs[0].tried) == (False, 42)
    assert each.miss_probability == 0


@pytest.mark.parametrize(("mode", "tried"), [("full", 30), ("random", 7)])
def test_the_mode_can_be_chosen(mode: str, tried: int) -> None:
    report = mr.gradcheck((cube, cube_vjp), normal(5, 6), mode=mode, samples=7)

    assert report
    assert report.inputs[0].tried == tried


@given(
    row=st.integers(0, 39), column=st.integers(0, 49), seed=st.integers(0, 99), slip=st.floats(1, 9)
)
def test_a_single_wrong_entry_among_thousands_is_seen_and_found(
    row: int, column: int, seed: int, slip: float
) -> None:
    def vjp(g: Array, x: Array) -> Array:
        gradient = cube_vjp(g, x)
        gradient[row, column] += slip
        return gradient

    report = mr.gradcheck((cube, vjp), normal(40, 50, seed=seed), mode="random", seed=seed)

    assert report.status == "wrong"
    worst = report.inputs[0].worst
    assert worst is not None
    assert worst.index == (row, column)
    assert worst.analytic - worst.numeric == pytest.approx(slip, rel=1e-4)


def test_the_probability_of_missing_an_error_is_the_one_that_is_stated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Errors just above what is stated pass one direction as often as the formula says."""
    monkeypatch.setattr(examination, "not_linear", lambda *_: [])  # the errors planted here are not
    trials, passed, share = 150, 0, 10.0
    for seed in range(trials):
        x = normal(6, 5, seed=seed)
        error = np.asarray(np.random.default_rng(seed + 10_000).standard_normal(x.shape))

        def vjp(g: Array, x: Array, error: Array = error) -> Array:
            right = cube_vjp(g, x)
            return right + error * (1e-5 * np.linalg.norm(right) / np.linalg.norm(error))

        report = mr.gradcheck(
            (cube, vjp), x, mode="random", samples=1, seed=seed, rtol=1e-5 / share, atol=0.0
        )
        passed += bool(report)
    # |a . z| / |a| times the tolerance is below a normal number: about E|N| / share in the mean.
    expected = (2 / math.pi) / share
    assert 0.3 * expected * trials < passed < 2.5 * expected * trials


def test_more_directions_make_missing_less_likely() -> None:
    few, many = (
        mr.gradcheck((cube, cube_vjp), normal(9, 9), mode="random", samples=n).miss_probability
        for n in (1, 3)
    )

    assert many < few**2
    assert few < 1e-2


def test_a_wrong_gradient_is_not_given_a_probability_of_missing_one() -> None:
    report = mr.gradcheck((cube, lambda g, x: g), normal(9, 9), mode="random")

    assert "probability" not in report.explain()


def test_directions_across_a_kink_are_left_out_and_listed() -> None:
    x = normal(6, 6)
    x[2, 3] = 0.0

    report = mr.gradcheck(mr.ops.relu, x, mode="random", samples=4)

    assert report.status == "undecided"
    assert [index for index, _ in report.inputs[0].excluded] == [(0,), (1,), (2,), (3,)]
    assert "direction 0, direction 1" in report.explain()
    assert "0 of 4 directions could be compared" in report.explain()


def test_kinks_near_by_are_left_behind_by_smaller_steps() -> None:
    x = normal(100, 100)
    x[0, :20] = np.logspace(-3, -6, 20)

    assert mr.gradcheck(mr.ops.relu, x)


def test_the_probability_is_that_of_normal_numbers_below_the_tolerance() -> None:
    x, seed = normal(8, 5), 3
    (c,) = examination.draw_cotangents([cube(x)], seed)
    gradient = cube_vjp(c, x)
    rng = np.random.default_rng([seed, 1])
    slopes = [abs(float(np.vdot(rng.standard_normal(x.shape), gradient))) for _ in range(4)]

    report = mr.gradcheck((cube, cube_vjp), x, mode="random", seed=seed, atol=0.0)

    noticeable = 1e-3 * np.linalg.norm(gradient)
    expected = np.prod([math.sqrt(2 / math.pi) * 1e-6 * slope / noticeable for slope in slopes])
    assert report.miss_probability == pytest.approx(float(expected), rel=1e-3)
