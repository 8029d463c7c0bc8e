"""A GPU computes what the CPU computes: every op, the layers, the twins, the optimisers.

Float32 sums in another order differ by some units of its rounding, 6e-8, times the terms; half
precision stores 11 bits of a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minires as mr
from minires.autograd import registry
from minires.devices import Device
from tests.ops.table import ROWS, Case, cases

TOLERANCES = {"float32": 2e-4, "float16": 2e-2}
TWINS = [name for name in ROWS if name in registry and registry[name].twin_function]
few = settings(max_examples=max(settings().max_examples // 8, 3))


def everything(case: Case, dtype: str, place: Any) -> list[Any]:
    """An op's value, and its gradient in each input, on the host."""
    xs = [mr.tensor(x.astype(dtype), device=place).requires_grad_() for x in case.inputs]
    y = case.run(*xs)
    cotangent = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    y.backward(mr.tensor(cotangent, device=y.device, dtype=y.dtype))
    return [y.detach().numpy(), *(None if x.grad is None else x.grad.numpy() for x in xs)]


def assert_same(found: list[Any], expected: list[Any], tolerance: float) -> None:
    for ours, cpus in zip(found, expected, strict=True):
        assert (ours is None) == (cpus is None)
        if cpus is not None:
            assert (ours.dtype, ours.shape) == (cpus.dtype, cpus.shape)
            scale = max(1.0, float(np.abs(cpus).max(initial=0.0)))
            np.testing.assert_allclose(ours, cpus, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", ROWS)
@few
@given(st.data())
def test_every_op_and_its_gradient_are_the_cpus_in_float32(
    device: Device, name: str, data: Any
) -> None:
    case = data.draw(cases(name))

    assert_same(
        everything(case, "float32", device),
        everything(case, "float32", "cpu"),
        TOLERANCES["float32"],
    )


@pytest.mark.parametrize(
    "name", ["add", "mul", "relu", "matmul", "conv2d", "max_pool2d", "avg_pool2d", "cross_entropy"]
)
@few
@given(st.data())
def test_half_precision_is_stored_and_summed_in_float32(
    device: Device, name: str, data: Any
) -> None:
    case = data.draw(cases(name))

    assert_same(
        everything(case, "float16", device),
        everything(case, "float16", "cpu"),
        TOLERANCES["float16"],
    )


@pytest.mark.parametrize("name", TWINS)
@few
@given(st.data())
def test_the_twin_of_an_op_agrees_with_it(device: Device, name: str, data: Any) -> None:
    case = data.draw(cases(name))
    fused = everything(case, "float32", device)
    with mr.expand(name):
        spelled_out = everything(case, "float32", device)

    assert_same(spelled_out, fused, TOLERANCES["float32"])


LAYERS: dict[str, tuple[Callable[[], mr.nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: mr.nn.Linear(5, 3), (4, 5)),
    "convolution": (lambda: mr.nn.Conv2d(3, 4, 3, stride=2, padding=1), (2, 3, 9, 7)),
    "1x1 convolution": (lambda: mr.nn.Conv2d(3, 4, 1), (2, 3, 5, 5)),
    "batch norm": (lambda: mr.nn.BatchNorm2d(3), (4, 3, 5, 6)),
    "residual network": (lambda: mr.models.cifar_resnet(8, width=2), (2, 3, 8, 8)),
    "projections": (lambda: mr.models.cifar_resnet(8, shortcut="B", width=2), (2, 3, 8, 8)),
    "plain network": (lambda: mr.models.cifar_plain(8, width=2), (2, 3, 8, 8)),
}


def through(layer: mr.nn.Module, x: np.ndarray, place: Any) -> list[Any]:
    """Output, input gradient, parameter gradients and buffers, in training and in evaluation."""
    layer.to(place)
    given = mr.tensor(x, device=place, requires_grad=True)
    y = layer.train()(given)
    weights = np.random.default_rng(1).standard_normal(y.shape).astype("float32")
    (y * mr.tensor(weights, device=place)).sum().backward()
    told = [y.detach(), given.grad, *(p.grad for p in layer.parameters()), *layer.buffers()]
    told.append(layer.eval()(given).detach())
    return [each.numpy() for each in told]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_train_and_evaluate_as_on_the_cpu(device: Device, name: str) -> None:
    make, shape = LAYERS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    mr.manual_seed(0)
    ours = make()
    mr.manual_seed(0)
    cpus = make()

    # A network normalises again and again what is rounded.
    assert_same(through(ours, x, device), through(cpus, x, "cpu"), 10 * TOLERANCES["float32"])


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: mr.optim.SGD(p, lr=0.1),
    "momentum": lambda p: mr.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "Nesterov": lambda p: mr.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: mr.optim.Adam(p, lr=0.01, weight_decay=1e-2),
    "AdamW": lambda p: mr.optim.AdamW(p, lr=0.01, weight_decay=1e-2),
}


def descended(make: Callable[[Any], Any], place: Any) -> list[Any]:
    """Parameters of several shapes after three steps of given gradients."""
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (7,), (2, 3, 3, 3), (1,)]
    parameters = [
        mr.nn.Parameter(mr.tensor(rng.standard_normal(shape).astype("f4"), device=place))
        for shape in shapes
    ]
    optimizer = make(parameters)
    for _ in range(3):
        for parameter in parameters:
            gradient = rng.standard_normal(parameter.shape).astype("f4")
            parameter.grad = mr.tensor(gradient, device=place)
        optimizer.step()
    return [parameter.numpy() for parameter in parameters]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_update_as_on_the_cpu(device: Device, name: str) -> None:
    make = OPTIMIZERS[name]

    assert_same(descended(make, device), descended(make, "cpu"), TOLERANCES["float32"])
