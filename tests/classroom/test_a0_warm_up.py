"""The warm-up: right beside minires' own, and what is said of files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from tests.classroom.assignments import Classroom


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a0_warm_up")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return executed(here.text, "a0_warm_up")


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("chain_backward", lambda x, w: (w * x) ** 2),
        ("residual_backward", lambda x, w: mr.ops.residual_add(x, (w * x) ** 2)),
    ],
)
def test_gradients_of_two_are_those_of_minires(solved: Any, name: str, op: Any) -> None:
    rng = np.random.default_rng(0)
    g, x, w = (rng.standard_normal((3, 4)) for _ in range(3))
    tensors = [mr.tensor(each, requires_grad=True) for each in (x, w)]
    expected = mr.grad(op(*tensors), tensors, mr.tensor(g))
    for found, right in zip(getattr(solved, name)(g, x, w), expected, strict=True):
        np.testing.assert_allclose(found, right.numpy(), rtol=1e-12)


def test_gradients_of_one_are_those_of_minires(solved: Any) -> None:
    rng = np.random.default_rng(0)
    g, x = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    tensor = mr.tensor(x, requires_grad=True)
    [expected] = mr.grad(tensor**2, [tensor], mr.tensor(g))
    np.testing.assert_allclose(solved.square_backward(g, x), expected.numpy(), rtol=1e-12)
    [expected] = mr.grad(tensor.sum(), [tensor], mr.tensor(2.5))
    np.testing.assert_array_equal(solved.total_backward(2.5, x.shape), expected.numpy())


def test_slopes_that_are_measured_agree_with_those_that_are_worked_out(solved: Any) -> None:
    rng = np.random.default_rng(0)
    g, x, w = (rng.uniform(0.5, 2, (3, 4)) for _ in range(3))

    def block(x: np.ndarray) -> Any:
        return x + solved.square(w * x)

    measured = g * solved.slope(block(x + 1e-5), block(x - 1e-5), 1e-5)
    assert solved.relative_error(measured, solved.residual_backward(g, x, w)[0]) < 1e-8
