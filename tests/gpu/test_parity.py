"""A GPU computes what the CPU computes: every op, the layers, the twins, the optimisers.

Float32 sums in another order differ by some units of its rounding, 6e-8, times the terms; half
precision stores 11 bits of a number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minires as mr
from minires.autograd import registry
from minires.devices import Device
from tests.devices.cuda import fake
from tests.ops.table import ROWS, Case, cases

TOLERANCES = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2}
TWINS = [name for name in ROWS if name in registry and registry[name].twin_function]
few = settings(max_examples=max(settings().max_examples // 8, 3))
# What is chosen by a mask is as much as the mask says, which the host must know.
LOOKING = {"getitem", "putitem"}


def put(x: np.ndarray, place: Any) -> mr.Tensor:
    """Upload an array; images arrive in the device's memory order, as those of a network do."""
    there = mr.tensor(x, device=place)
    if place == "cpu" or x.ndim != 4:
        return there
    images = place.empty_images(x.shape, x.dtype)
    images[...] = there.data
    return mr.tensor(images)


def everything(case: Case, dtype: str, place: Any) -> list[Any]:
    """An op's value, and its gradient in each input, on the host."""
    xs = [put(x.astype(dtype), place).requires_grad_() for x in case.inputs]
    y = case.run(*xs)
    cotangent = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    y.backward(mr.tensor(cotangent, device=y.device, dtype=y.dtype))
    return on_the_host([y, *(x.grad for x in xs)])


def to_second_order(case: Case, place: Any) -> list[Any]:
    """Its value, its gradients, and the gradients of a sum of these, in float64."""
    rng = np.random.default_rng(0)
    xs = [put(x, place).requires_grad_() for x in case.inputs]
    y = case.run(*xs)
    cotangent = put(rng.standard_normal(y.shape), place).requires_grad_()
    first = mr.grad(y, xs, cotangent, create_graph=True, allow_unused=True)
    total = mr.zeros((), dtype="float64", device=place)
    for gradient in first:
        if gradient is not None:
            total = total + (gradient * put(rng.standard_normal(gradient.shape), place)).sum()
    second = [None]
    if total.requires_grad:
        second = list(mr.grad(total, [*xs, cotangent], allow_unused=True))
    return on_the_host([y, *first, *second])


def on_the_host(tensors: list[Any]) -> list[Any]:
    """Arrays; they are asked for by name, and nothing else may have been looked at."""
    return [None if tensor is None else tensor.detach().numpy() for tensor in tensors]


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
    with fake.strict(name not in LOOKING):
        found = everything(case, "float32", device)

    assert_same(found, everything(case, "float32", "cpu"), TOLERANCES["float32"])


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=max(settings().max_examples // 12, 2))
@given(st.data())
def test_second_derivatives_are_the_cpus_in_float64(device: Device, name: str, data: Any) -> None:
    case = data.draw(cases(name))
    with fake.strict(name not in LOOKING):
        found = to_second_order(case, device)

    assert_same(found, to_second_order(case, "cpu"), TOLERANCES["float64"])


QUESTIONS: dict[str, Callable[..., mr.Tensor]] = {
    name: getattr(mr.ops, name) for name in registry if not registry[name].differentiable
}


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4, 5)])
def test_ops_without_a_gradient_answer_as_on_the_cpu(
    device: Device, name: str, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    operands = inspect.signature(QUESTIONS[name]).parameters.keys() & {"a", "b"} or {"x"}
    xs = [rng.integers(1, 4, shape) for _ in operands]
    if not name.startswith(("bitwise", "floor")):  # of infinity CuPy makes another quotient
        xs = [x.astype("float32") for x in xs]
        xs[0].reshape(-1)[:3] = -1.0, np.nan, -np.inf
    with fake.strict():
        found = QUESTIONS[name](*(put(x, device) for x in xs))

    assert found.device == device
    with np.errstate(invalid="ignore"):
        expected = QUESTIONS[name](*map(mr.tensor, xs))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


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


class Judged(mr.nn.Module):
    """A loss as a layer of its predictions."""

    def __init__(self, loss: mr.nn.Module, target: np.ndarray) -> None:
        super().__init__()
        self.loss, self.target = loss, target

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return self.loss(x, mr.tensor(self.target, device=x.device))


nn = mr.nn
IMAGES, ROWS_OF_FIVE = (2, 4, 9, 7), (4, 5)
SETTINGS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), ROWS_OF_FIVE),
    "convolution": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), IMAGES),
    "1x1 convolution": (lambda: nn.Conv2d(4, 3, 1), IMAGES),
    "grouped convolution": (lambda: nn.Conv2d(4, 6, 3, groups=2, dilation=2), IMAGES),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=1), IMAGES),
    "batch norm": (lambda: nn.BatchNorm2d(4), IMAGES),
    "batch norm, mean of all": (lambda: nn.BatchNorm2d(4, momentum=None, affine=False), IMAGES),
    "batch norm of rows": (lambda: nn.BatchNorm1d(5), ROWS_OF_FIVE),
    "max pool": (lambda: nn.MaxPool2d(3, 2, padding=1), IMAGES),
    "average pool": (lambda: nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), IMAGES),
    "adaptive pool": (lambda: nn.AdaptiveAvgPool2d(2), IMAGES),
    "adaptive max pool": (lambda: nn.AdaptiveMaxPool2d((2, 3)), IMAGES),
    "nearest pixels": (lambda: nn.Upsample(scale_factor=2), IMAGES),
    "between pixels": (lambda: nn.Upsample((5, 11), mode="bilinear"), IMAGES),
    "local responses": (lambda: nn.LocalResponseNorm(3, 0.5), IMAGES),
    "activations": (
        lambda: nn.Sequential(
            nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.GELU(), nn.Sigmoid(), nn.Tanh()
        ),
        IMAGES,
    ),
    "dropout": (lambda: nn.Sequential(nn.Identity(), nn.Dropout(0.3)), IMAGES),
    "dropout of channels": (lambda: nn.Sequential(nn.Identity(), nn.Dropout2d(0.3)), IMAGES),
    "stochastic depth": (lambda: nn.StochasticDepth(0.3, "row"), IMAGES),
    "flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Softmax()), IMAGES),
    "cross-entropy": (
        lambda: Judged(nn.CrossEntropyLoss(label_smoothing=0.1), np.array([0, 4, -100, 2])),
        ROWS_OF_FIVE,
    ),
    "squares": (lambda: Judged(nn.MSELoss(), np.ones(ROWS_OF_FIVE, "float32")), ROWS_OF_FIVE),
    "shortcut": (lambda: nn.PadShortcut(4, 6, 2), IMAGES),
    "block": (lambda: nn.BasicBlock(4, 6, 2, "A"), IMAGES),
    "bottleneck": (lambda: nn.Bottleneck(4, 2, 2), IMAGES),
    "pre-activation": (lambda: nn.PreActBlock(4, 6, 2), IMAGES),
    "pre-activation bottleneck": (lambda: nn.PreActBottleneck(4, 2, 2), IMAGES),
    "gated shortcut": (lambda: nn.BasicBlock(4, 6, 2, "exclusive_gating"), IMAGES),
    "scaled shortcut": (lambda: nn.BasicBlock(4, 6, 2, "scaling", reduction=2), IMAGES),
    "dropout on the shortcut": (lambda: nn.PreActBlock(4, 4, 1, "dropout"), IMAGES),
    "scalars instead of norms": (lambda: nn.BasicBlock(4, 4, norm="fixup"), IMAGES),
    "separable block": (lambda: nn.SeparableBlock(4, 6, 2), IMAGES),
    "inverted block": (lambda: nn.InvertedResidual(4, 4, expand_ratio=2), IMAGES),
    "paths": (
        lambda: nn.split_transform_merge(nn.Bottleneck(4, 4, groups=2, base_width=32)),
        IMAGES,
    ),
    "residual network": (lambda: mr.models.cifar_resnet(8, width=2), (2, 3, 8, 8)),
    "projections": (lambda: mr.models.cifar_resnet(8, shortcut="B", width=2), (2, 3, 8, 8)),
    "plain network": (lambda: mr.models.cifar_plain(8, width=2), (2, 3, 8, 8)),
}


def test_no_layer_is_left_out() -> None:
    public = [getattr(nn, name) for name in nn.__all__]
    layers = {each for each in public if isinstance(each, type) and issubclass(each, nn.Module)}
    met = {type(module) for make, _ in SETTINGS.values() for module in make().modules()}

    # Which compute nothing; and which needs several ranks, its op being in the table.
    assert layers - met == {nn.Module, nn.MeetingShortcut, nn.SyncBatchNorm}


def through(layer: mr.nn.Module, x: np.ndarray, place: Any) -> list[Any]:
    """Output, input gradient, parameter gradients and buffers, in training and in evaluation."""
    layer.to(place)
    mr.manual_seed(1)
    given = put(x, place).requires_grad_()
    y = layer.train()(given)
    weights = np.random.default_rng(1).standard_normal(y.shape).astype("float32")
    (y * mr.tensor(weights, device=place)).sum().backward()
    told = [y.detach(), given.grad, *(p.grad for p in layer.parameters()), *layer.buffers()]
    told.append(layer.eval()(given).detach())
    return [each.numpy() for each in told]


@pytest.mark.parametrize("name", SETTINGS)
def test_layers_train_and_evaluate_as_on_the_cpu(device: Device, name: str) -> None:
    make, shape = SETTINGS[name]
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    mr.manual_seed(0)
    ours = make()
    mr.manual_seed(0)
    cpus = make()

    with fake.strict():
        found = through(ours, x, device)

    # A network normalises again and again what is rounded.
    assert_same(found, through(cpus, x, "cpu"), 10 * TOLERANCES["float32"])


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


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cifar_resnet8_c", {"norm": "fixup", "reduction": 2}),
        ("se_resnet18", {"zero_init_residual": True, "reduction": 2}),
        ("googlenet_aux", {"num_classes": 5}),
    ],
)
def test_a_network_made_on_a_device_starts_from_the_same_numbers(
    device: Device, name: str, options: dict[str, Any]
) -> None:
    there, here = (
        mr.models.create(name, seed=0, device=place, width=4, **options).state_dict()
        for place in (device, "cpu")
    )

    assert {value.device for value in there.values()} == {device}
    assert there.keys() == here.keys()
    for key, value in here.items():
        np.testing.assert_array_equal(there[key].numpy(), value.numpy(), key)
