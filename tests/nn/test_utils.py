from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.nn.utils import clip_grad_norm_
from tests.devices.cuda import fake


def parameters(gradients: list[Any], device: Any = "cpu") -> list[mr.Tensor]:
    made = []
    for gradient in gradients:
        parameter = mr.tensor(np.zeros_like(gradient), device=device, requires_grad=True)
        (parameter * mr.tensor(gradient, device=device)).sum().backward()
        made.append(parameter)
    return made


@pytest.mark.oracle
@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e6])
def test_clipping_is_pytorchs(device: Any, place: str, dtype: str, max_norm: float) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    rng = np.random.default_rng(0)
    gradients = [rng.standard_normal(shape).astype(dtype) for shape in [(3, 4), (5,), ()]]
    theirs = [torch.zeros(g.shape, dtype=getattr(torch, dtype)) for g in gradients]
    for parameter, gradient in zip(theirs, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    ours = parameters(gradients, place)

    total = clip_grad_norm_([*ours, mr.zeros(2, requires_grad=True)], max_norm)

    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    np.testing.assert_allclose(total.item(), expected.item(), rtol=1e-6)
    for one, other in zip(ours, theirs, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert one.grad.dtype == dtype
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-6)


def test_squares_that_would_overflow_are_clipped_to_numbers() -> None:
    (parameter,) = parameters([np.array([3e30, 4e30], np.float32)])

    assert clip_grad_norm_(parameter, 1.0).item() == pytest.approx(5e30)
    assert parameter.grad is not None
    np.testing.assert_allclose(parameter.grad.numpy(), [0.6, 0.8], rtol=1e-6)


def test_a_gpu_is_not_waited_for(device: Any) -> None:
    made = parameters([np.ones(3, np.float32)], device)

    with fake.strict(), fake.counting() as counts:
        clip_grad_norm_(made, 1.0)

    assert not counts.downloads


def test_without_gradients_the_norm_is_zero() -> None:
    assert clip_grad_norm_([mr.zeros(2, requires_grad=True)], 1.0).item() == 0.0


@pytest.mark.parametrize("max_norm", [0.0, -1.0, float("inf"), float("nan")])
def test_a_norm_that_is_no_positive_number_is_refused(max_norm: float) -> None:
    with pytest.raises(ValueError, match="max_norm must be a number above 0"):
        clip_grad_norm_([], max_norm)
