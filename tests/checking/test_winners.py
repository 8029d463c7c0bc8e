"""Which branch or maximum won: seen in ops, in NumPy functions, and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.checking import Kink
from minires.checking.winners import CHOOSING, winners_of_numpy, winners_of_ops

Array = np.ndarray[Any, Any]
ops = mr.ops


def image(*values: float) -> Any:
    return mr.tensor(np.array(values)).requires_grad_()


ZEROS, ONES = mr.zeros(1, dtype=mr.float64), mr.ones(1, dtype=mr.float64)


CHOICES: dict[str, Callable[[mr.Tensor], Any]] = {
    "relu": ops.relu,
    "relu6": ops.relu6,
    "relu6, at 6": lambda x: ops.relu6(x + 6.0),
    "leaky_relu": ops.leaky_relu,
    "abs": ops.abs,
    "clip": lambda x: ops.clip(x, 0.0, 5.0),
    "maximum": lambda x: ops.maximum(x, 0.0),
    "minimum": lambda x: ops.minimum(0.0, x),
    "where": lambda x: ops.where(x > 0, x, 2.0 * x),
    "amax": lambda x: ops.amax(ops.stack([x, mr.zeros(2).to("float64")]), 0),
    "amin": lambda x: ops.amin(ops.stack([x, mr.zeros(2).to("float64")]), 0, keepdim=True),
    "max along": lambda x: ops.max(ops.stack([x, mr.zeros(2).to("float64")]), 0).values,
    "max_pool2d": lambda x: ops.max_pool2d(
        ops.stack([x, mr.zeros(2).to("float64")]).reshape(1, 1, 2, 2), 2
    ),
    "adaptive_max_pool2d": lambda x: ops.adaptive_max_pool2d(
        ops.stack([x, mr.zeros(2).to("float64")]).reshape(1, 1, 2, 2), 1
    ),
    "sign": lambda x: x * ops.sign(x),
    "floor division": lambda x: x * (x // 1.0),
    "remainder": lambda x: x * (x % 1.0),
    "argmax": lambda x: x + ops.argmax(mr.cat([x, mr.zeros(1, dtype=mr.float64)])),
    "Python's if": lambda x: x * 2.0 if (x[0] > 0).item() else x,
    "batch_norm_relu": lambda x: ops.batch_norm_relu(x.reshape(2, 1, 1, 1), ZEROS, ONES),
    "conv2d_relu": lambda x: ops.conv2d_relu(
        x.reshape(2, 1, 1, 1), mr.ones(1, 1, 1, 1, dtype=mr.float64)
    ),
    "batch_norm_relu_conv2d": lambda x: ops.batch_norm_relu_conv2d(
        x.reshape(2, 1, 1, 1), ZEROS, ONES, None, None, ONES.reshape(1, 1, 1, 1)
    ),
}


@pytest.mark.parametrize("name", CHOICES)
def test_ops_that_choose_are_seen_choosing(name: str) -> None:
    run = CHOICES[name]

    right, same, left = (
        winners_of_ops(lambda x=x: run(image(x, -0.3))) for x in (1e-3, 2e-3, -1e-3)
    )

    assert right == same
    assert right != left


def test_every_fused_op_that_chooses_has_a_twin_to_be_watched_in() -> None:
    for name in CHOOSING:
        assert mr.autograd.registry[name].twin_function is not None


NUMPY: dict[str, Callable[[Array], Any]] = {
    "comparison": lambda x: x * (x > 0),
    "where": lambda x: np.where(x > 0, x, 0.1 * x),
    "maximum": lambda x: np.maximum(x, 0),
    "fmin": lambda x: np.fmin(x, 0),
    "abs": np.abs,
    "sign": lambda x: np.sign(x) * x,
    "clip": lambda x: np.clip(x, 0, 5),
    "method clip": lambda x: x.clip(0, 5),
    "max": lambda x: np.max(np.stack([x, np.zeros(2)]), axis=0),
    "method max": lambda x: np.stack([x, np.zeros(2)]).max(0),
    "argmax": lambda x: np.argmax(np.append(x, 0.0)),
    "method argmax": lambda x: np.stack([x, np.zeros(2)]).argmax(0),
    "sort": lambda x: np.argsort(np.concatenate([x, [0.0]])),
    "Python's if": lambda x: x if x[0] > 0 else 2 * x,
    "Python's max": lambda x: np.stack([max(x[0], 0.0 * x[1]), x[1]]),
}


@pytest.mark.parametrize("name", NUMPY)
def test_numpy_functions_are_seen_choosing(name: str) -> None:
    run = NUMPY[name]

    right, same, left = (winners_of_numpy(run, [np.array([x, -0.3])]) for x in (1e-3, 2e-3, -1e-3))

    assert right == same
    assert right != left


def test_watching_changes_neither_values_nor_the_function_s_own_arrays() -> None:
    x = np.array([0.5, -1.0])
    seen = []

    def forward(x: Array) -> Array:
        y = np.maximum(x, 0) @ np.ones((2, 3))
        seen.append(np.asarray(y))
        return y

    assert winners_of_numpy(forward, [x]) is not None
    np.testing.assert_array_equal(seen[0], forward(x))
    assert type(x) is np.ndarray


def test_a_function_that_cannot_be_watched_has_no_winners() -> None:
    def refusing(x: Array) -> Array:
        if type(x) is not np.ndarray:
            raise TypeError("plain arrays only")
        return x

    assert winners_of_numpy(refusing, [np.ones(2)]) is None
    assert mr.gradcheck((refusing, lambda g, x: g), np.ones(2))


@pytest.mark.parametrize("route", ["ops", "NumPy"])
def test_a_kink_whose_sides_have_the_same_slope_is_seen_by_its_winners(route: str) -> None:
    """relu(x) - relu(-x) is x, but its gradient at 0 is 0 by the convention for ReLU."""
    x = np.append(np.random.default_rng(0).standard_normal(19), 0.0)
    fn: Any = lambda x: ops.relu(x) - ops.relu(-x)  # noqa: E731
    if route == "NumPy":
        fn = (
            lambda x: np.maximum(x, 0) - np.maximum(-x, 0),
            lambda g, x: g * (x > 0) + g * (x < 0),
        )

    report = mr.gradcheck(fn, x)

    assert report
    assert report.inputs[0].excluded == (((19,), Kink.WINNER),)
    assert "another branch or maximum wins on its other side" in report.explain()
