"""What counts as equal: relative to the gradient's size, within what differences can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr

Array = np.ndarray[Any, Any]
scales = st.floats(-12, 12).map(lambda power: 10.0**power)


def scaled(factor: float, slip: float = 0.0) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """A cubic function with gradients as small or large as wanted, and a relative error in them."""
    return (
        lambda x: factor * x**3,
        lambda g, x: factor * 3 * x**2 * g * (1 + slip),
    )


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


@given(factor=scales)
def test_a_gradient_of_any_size_is_right_when_it_is(factor: float) -> None:
    assert mr.gradcheck(scaled(factor), normal(3, 4))


@given(factor=scales)
def test_a_gradient_of_any_size_is_wrong_when_it_is(factor: float) -> None:
    assert mr.gradcheck(scaled(factor, 1e-5), normal(3, 4)).status == "wrong"


@given(size=st.floats(-6, 6).map(lambda power: 10.0**power))
def test_the_step_follows_the_size_of_the_input(size: float) -> None:
    x = normal(6) * size

    def forward(x: Array) -> Array:
        return np.asarray(np.sin(x / size))

    assert mr.gradcheck((forward, lambda g, x: g * np.cos(x / size) / size), x)
    wrong = (forward, lambda g, x: g * np.cos(x / size) / size * (1 + 1e-5))
    assert mr.gradcheck(wrong, x).status == "wrong"


def test_inputs_that_are_all_zero_are_moved_by_the_scale_of_one() -> None:
    assert mr.gradcheck(lambda b: mr.ops.tanh(b + 0.3), np.zeros(4))


def test_values_far_from_zero_have_a_larger_rounding_error_which_is_no_mistake() -> None:
    x = normal(5)

    assert mr.gradcheck((lambda x: 1e8 + np.sin(x), lambda g, x: g * np.cos(x)), x)
    wrong = (lambda x: 1e8 + np.sin(x), lambda g, x: 1.5 * g * np.cos(x))
    assert mr.gradcheck(wrong, x).status == "wrong"


def test_terms_that_cancel_inside_hide_neither_a_right_nor_a_wrong_gradient() -> None:
    def forward(x: Array) -> Array:
        return np.asarray((np.sin(x) + 1e6) - 1e6)

    right = mr.gradcheck((forward, lambda g, x: g * np.cos(x)), normal(5))
    wrong = mr.gradcheck((forward, lambda g, x: 1.1 * g * np.cos(x)), normal(5))

    assert right.status != "wrong"
    assert wrong.status != "right"


def test_a_wrong_gradient_where_the_true_one_is_zero_is_found() -> None:
    x = normal(8, 3)

    def centred(x: Array) -> Array:
        return np.asarray(x - x.mean(0))

    report = mr.gradcheck(
        (lambda b: centred(x + b), lambda g, b: (g - g.mean(0)).sum(0) + 1e-6), normal(3)
    )

    assert report.status == "wrong"
    assert mr.gradcheck((lambda b: centred(x + b), lambda g, b: np.zeros(3)), normal(3))


def test_a_tolerance_that_differences_cannot_reach_decides_nothing() -> None:
    def expanded(x: mr.Tensor) -> mr.Tensor:
        return mr.ops.exp(x) * 0.1 + x

    report = mr.gradcheck(expanded, normal(6), rtol=1e-15, atol=0.0)

    assert report.status in {"right", "undecided"}


def test_a_complex_step_decides_what_differences_cannot() -> None:
    def bumpy(x: Array) -> Array:
        return np.asarray(np.exp(40 * x) * 1e-3 + 1e5)

    def slope(g: Array, x: Array) -> Array:
        return np.asarray(g * 40e-3 * np.exp(40 * x))

    x = np.linspace(-0.2, 0.1, 5)
    strict = {"rtol": 1e-10, "atol": 0.0}
    real = mr.gradcheck((lambda x: bumpy(np.real(x)), slope), x, **strict)
    whole = mr.gradcheck((bumpy, slope), x, **strict)

    assert whole.status == "right"
    assert whole.margin <= real.margin or real.status != "right"


def test_a_function_that_drops_the_imaginary_part_is_not_taken_by_a_complex_step() -> None:
    def dropping(x: Array) -> Array:
        return np.asarray(np.abs(x) ** 3 + 0j * x).real if x.dtype.kind == "f" else x * 0

    assert mr.gradcheck(
        (dropping, lambda g, x: 3 * g * np.abs(x) * x), np.array([0.5, -1.5]), rtol=1e-12
    ).status in {"right", "undecided"}


@pytest.mark.parametrize("eps", [1e-4, 1e-7])
def test_the_step_can_be_chosen(eps: float) -> None:
    moves: list[float] = []
    x = np.array([0.5])

    def forward(x: Array) -> Array:
        moves.append(abs(float(x[0]) - 0.5))
        return x * x

    assert mr.gradcheck((forward, lambda g, x: 2 * x * g), x, eps=eps)
    assert max(moves) == pytest.approx(eps * 0.5, rel=1e-6)


def test_the_margin_says_how_close_to_the_tolerance_a_right_gradient_is() -> None:
    x = normal(4)

    exact = mr.gradcheck(scaled(1.0), x)
    near = mr.gradcheck(scaled(1.0, 5e-7), x)

    assert exact.margin < 0.05
    assert 0.4 < near.margin < 0.6
    assert exact
    assert near


@given(offset=st.floats(2, 14).map(lambda power: 10.0**power), seed=st.integers(0, 99))
def test_no_offset_hides_a_wrong_gradient(offset: float, seed: int) -> None:
    x = mr.tensor(normal(4, seed=seed))
    half = mr.op(name="planted_half")(lambda x: np.sin(x) + offset)
    half.vjp(lambda g, x: mr.ops.mul(mr.ops.cos(x), g * 1.01))

    assert mr.gradcheck(half, x).status in {"wrong", "undecided"}


def test_a_function_of_tensors_far_from_zero_is_decided_by_larger_steps() -> None:
    x = normal(5)

    assert mr.gradcheck(lambda x: mr.ops.sin(x) + 1e7, x)
    assert mr.gradcheck(lambda x: mr.ops.sin(x) + 1e13, x).status == "undecided"
