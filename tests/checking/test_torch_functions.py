"""Functions and modules of PyTorch, checked the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.checking import Kink

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = pytest.mark.oracle


def normal(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape))


class WrongSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * x


@pytest.mark.parametrize("mode", ["full", "random"])
def test_right_functions_are_accepted_to_second_order(mode: str) -> None:
    def function(x: Any, w: Any) -> Any:
        return torch.tanh(torch.nn.functional.conv2d(x, w, padding=1))

    assert mr.gradcheck(function, [normal(2, 2, 3, 2), normal(2, 2, 3, 3)], order=2, mode=mode)


def test_a_wrong_one_is_rejected() -> None:
    report = mr.gradcheck(WrongSquare.apply, normal(4))

    assert report.status == "wrong"
    assert report.inputs[0].wrong == 4


def test_float32_tensors_are_taken_in_float64() -> None:
    assert mr.gradcheck(torch.exp, normal(4).float())


def test_a_module_is_checked_in_its_inputs_and_parameters_on_a_copy() -> None:
    layer = torch.nn.Linear(3, 2)
    before = layer.weight.detach().clone()

    report = mr.gradcheck(layer, normal(4, 3), order=2)

    assert report
    assert [row.name for row in report.inputs][:3] == ["input 0 (input)", "weight", "bias"]
    assert layer.weight.dtype == torch.float32
    assert torch.equal(layer.weight, before)


def test_arrays_will_do_for_a_module() -> None:
    assert mr.gradcheck(torch.nn.Tanh(), np.ones(3))


def test_a_function_that_returns_an_array_is_named() -> None:
    report = mr.gradcheck(lambda x: x.detach().numpy(), normal(3))

    assert report.status == "unfit"
    assert "must return a Tensor or a tuple of Tensors, found ndarray" in report.explain()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.relu(x) - torch.relu(-x),
        lambda x: torch.clamp(x, min=0.0) - torch.clamp(-x, min=0.0),
        lambda x: torch.where(x > 0, x, torch.where(x < 0, x, 0 * x)),
    ],
    ids=["relu", "clamp", "where"],
)
def test_winners_are_seen(function: Any) -> None:
    x = torch.cat([normal(19), torch.zeros(1, dtype=torch.float64)])

    report = mr.gradcheck(function, x)

    assert report
    assert report.inputs[0].excluded == (((19,), Kink.WINNER),)


def test_under_no_grad_too() -> None:
    with torch.no_grad():
        assert mr.gradcheck(torch.sin, normal(3), order=2)
