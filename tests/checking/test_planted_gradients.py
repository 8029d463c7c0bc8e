"""What a report says about planted mistakes: who is to blame, where, and by how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.checking.bank import WRONG, Solution
from minires.checking.bank.normalization import batch_norm_vjp

Array = np.ndarray[Any, Any]


def planted(title: str) -> Solution:
    (solution,) = (solution for solution in WRONG if solution.title == title)
    return solution


def square(x: Array) -> Array:
    return x * x


def one_entry_off(g: Array, x: Array) -> Array:
    dx = 2 * x * g
    dx[2, 1] *= 1 + 1e-5
    return dx


@given(solution=st.sampled_from(WRONG), draw=st.integers(0, 1000), seed=st.integers(0, 1000))
def test_no_cotangent_saves_a_planted_wrong_gradient(
    solution: Solution, draw: int, seed: int
) -> None:
    case = solution.case(draw)

    report = mr.gradcheck((case.forward, case.vjp), case.inputs, seed=seed)

    assert report.status in ("wrong", "unfit")
    assert not report


@pytest.mark.parametrize("title", ["square: a NaN", "square: one entry missing"])
def test_one_wrong_entry_is_counted_as_one(title: str) -> None:
    case = planted(title).case(1)

    report = mr.gradcheck((case.forward, case.vjp), case.inputs)

    assert [row.wrong for row in report.inputs] == [1]


def test_only_the_input_with_the_wrong_gradient_is_blamed() -> None:
    case = planted("convolution: weight's gradient averaged").case(0)

    report = mr.gradcheck((case.forward, case.vjp), case.inputs)

    assert [row.name for row in report.inputs] == ["input 0 (x)", "input 1 (w)", "input 2 (b)"]
    assert [row.wrong for row in report.inputs] == [0, case.inputs[1].size, 0]


def test_an_error_of_one_in_100000_is_seen_everywhere() -> None:
    (x,) = planted("square: zeros").case(1).inputs

    report = mr.gradcheck((square, lambda g, x: 2 * x * g * (1 + 1e-5)), x)

    assert [row.wrong for row in report.inputs] == [x.size]


def test_the_worst_entry_is_shown_with_both_values() -> None:
    (x,) = planted("square: zeros").case(1).inputs

    report = mr.gradcheck((square, one_entry_off), x)

    (row,) = report.inputs
    assert row.wrong == 1
    assert row.worst is not None
    assert row.worst.index == (2, 1)
    assert row.worst.relative_error == pytest.approx(1e-5, rel=1e-2)
    assert row.worst.analytic == pytest.approx(row.worst.numeric * (1 + 1e-5), rel=1e-9)
    text = report.explain()
    for part in (
        "WRONG",
        "input 0 (x)",
        "(3, 4)",
        "(2, 1)",
        f"{row.worst.analytic:.8g}",
        "1.0e-05",
    ):
        assert part in text


def test_a_forgotten_batch_norm_gradient_hides_from_a_cotangent_of_ones_but_not_from_ours() -> None:
    solution = planted("batch norm: zeros for the input")
    case = solution.case(0)
    x, w, b = case.inputs

    seen_by_ones, _, _ = batch_norm_vjp(np.ones_like(x), x, w, b, **solution.geometries[0].options)

    np.testing.assert_allclose(seen_by_ones, 0, atol=1e-12)
    assert mr.gradcheck((case.forward, case.vjp), case.inputs).status == "wrong"
