"""What counts as equal: relative to the gradient's size, within what differences can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.checking.examination import draw_cotangents

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

    x = np.linspace(-0.05, 0.1, 5)
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


def test_a_small_output_beside_a_large_one_is_checked_too() -> None:
    def forward(x: Array) -> tuple[Array, Array]:
        return 1e10 * np.sin(x), np.cos(x)

    def vjp(g: tuple[Array, Array], x: Array) -> Array:
        return 1e10 * np.cos(x) * g[0] - 1.5 * np.sin(x) * g[1]

    assert mr.gradcheck((forward, vjp), normal(4, 5)).status == "wrong"


@pytest.mark.parametrize("sign", [0.0, -1.0])
def test_small_gradients_beside_large_ones_are_checked_by_their_own_size(sign: float) -> None:
    x = np.random.default_rng(0).uniform(-15, 15, (6, 7))

    assert mr.gradcheck((np.exp, lambda g, x: g * np.exp(x)), x)
    masked = (np.exp, lambda g, x: g * np.exp(x) * np.where(x < -4, sign, 1.0))
    assert mr.gradcheck(masked, x).status == "wrong"


@given(power=st.floats(3, 6), width=st.floats(0.5, 2))
def test_a_forgotten_gradient_beside_a_large_loss_is_not_right(power: float, width: float) -> None:
    large = 10.0**power

    def loss(w: Array, small: Array) -> Array:
        return np.asarray(large * (w * w).sum() + (small * w[:3]).sum())

    def vjp(g: Array, w: Array, small: Array) -> tuple[Array, Array]:
        return g * (2 * large * w + np.append(small, 0)), np.zeros(3)

    inputs = [width * normal(4, seed=3), np.full(3, 1e-3)]
    assert mr.gradcheck((loss, vjp), inputs).status in {"wrong", "undecided"}


@given(distance=st.floats(-10, -4).map(lambda power: 10.0**power), side=st.sampled_from([-1, 1]))
def test_a_kink_near_by_never_makes_a_right_gradient_wrong(distance: float, side: int) -> None:
    x = np.array([side * distance, 0.5, -0.8, 1.2, 2.0, -1.7, 0.3, 0.9, 1.1, -0.4])

    right = mr.gradcheck(mr.ops.relu, x)
    wrong = mr.gradcheck((lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0) * 1.01), x)

    assert right.status in {"right", "undecided"}
    assert wrong.status == "wrong"


@given(shift=st.sampled_from([0.0, 1e3, 1e6]), seed=st.integers(0, 99))
def test_near_ties_far_from_zero_never_make_a_right_gradient_wrong(shift: float, seed: int) -> None:
    x = normal(3, 4, seed=seed) + shift

    assert mr.gradcheck(lambda x: x.amax(1), x).status in {"right", "undecided"}


def test_a_network_with_many_kinks_is_never_wrong() -> None:
    for seed in (28, 64, 82, 189):
        mr.manual_seed(seed)
        rng = np.random.default_rng(seed)
        net = mr.nn.Sequential(
            *(mr.nn.Linear(16, 128), mr.nn.ReLU(), mr.nn.Linear(128, 128), mr.nn.ReLU()),
            mr.nn.Linear(128, 4),
        )
        x, y = rng.standard_normal((64, 16)), rng.integers(0, 4, 64)
        report = mr.gradcheck_module(net, x, y, modes=["train"])
        assert report.status in {"right", "undecided"}


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12])
def test_edges_near_by_are_stepped_around(size: float) -> None:
    x = np.array([1.0, 2.0, 0.5, size])

    assert mr.gradcheck((np.log, lambda g, x: g / x), x)
    assert mr.gradcheck((np.log, lambda g, x: 1.01 * g / x), x).status == "wrong"


def test_a_cotangent_keeps_away_from_0() -> None:
    (drawn,) = draw_cotangents([np.ones(10_000)], seed=0)

    assert np.abs(drawn).min() >= 0.5


def test_directions_of_different_inputs_are_different() -> None:
    """The same direction for both would not see an error in one that the other undoes."""
    moved: list[tuple[Array, Array]] = []
    a, b = np.full(50, 0.5), np.full(50, 0.5)

    def forward(a: Array, b: Array) -> Array:
        moved.append((a - 0.5, b - 0.5))
        return a + b

    assert mr.gradcheck((forward, lambda g, a, b: (g.copy(), g.copy())), [a, b], mode="random")
    first = next(m for m, _ in moved if m.any())
    second = next(m for _, m in moved if m.any())
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.6


def test_noise_far_below_the_tolerance_is_named_all_the_same() -> None:
    rng = np.random.default_rng(0)
    noisy = (lambda x: x + 1e-9 * rng.standard_normal(x.shape), lambda g, x: g.copy())

    assert "the function is random" in str(mr.gradcheck(noisy, normal(3)))


def test_large_values_are_moved_in_proportion() -> None:
    moves: list[float] = []
    x = np.array([1.0, 1e4])

    def forward(x: Array) -> Array:
        moves.append(abs(float(x[1]) - 1e4))
        return x * 2

    assert mr.gradcheck((forward, lambda g, x: 2 * g), x)
    assert max(moves) == pytest.approx(6.06e-6 * 1e4, rel=0.01)


@given(factor=st.sampled_from([1.0, 10.0]), seed=st.integers(0, 99))
def test_saturation_never_makes_a_right_gradient_wrong(factor: float, seed: int) -> None:
    x = normal(3, 4, seed=seed)

    assert mr.gradcheck(lambda x: mr.ops.softmax(factor * x), x).status != "wrong"
    assert mr.gradcheck(lambda x: mr.ops.sigmoid(factor * x), x).status != "wrong"


@given(offset=st.sampled_from([0.0, 1e3, 1e6, 1e9]), seed=st.integers(0, 99))
def test_inputs_far_from_zero_never_make_a_right_gradient_wrong(offset: float, seed: int) -> None:
    x = normal(5, 3, seed=seed) + offset

    for function in (
        mr.ops.sin,
        mr.ops.log_softmax,
        lambda x: mr.ops.batch_norm(x, None, None, training=True),
    ):
        assert mr.gradcheck(function, x).status != "wrong"
