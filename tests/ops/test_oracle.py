"""PyTorch as a second opinion: values, gradients and second order of every op that it has too."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minires as mr
from minires import ops
from tests.helpers import assert_close, leaves, random_like, value_of, vjp_of
from tests.ops.table import ROWS, cases

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = pytest.mark.oracle

# Ops that PyTorch has not under a name of its own.
INNER = {
    *("conv2d_weight", "putitem", "getitem", "window_sums", "spread_sums", "dropout"),
    *("cross_entropy", "channel_sums"),
}
fewer = settings(max_examples=max(settings().max_examples // 4, 12))


@pytest.mark.parametrize("name", [name for name in ROWS if name not in INNER])
@given(st.data())
def test_values_and_gradients_are_pytorchs(name, data):
    case = data.draw(cases(name))
    theirs = [torch.tensor(x, requires_grad=True) for x in case.inputs]
    expected = case.torch(torch, *theirs)
    cotangent = random_like(expected.detach().numpy(), seed=1)
    expected.backward(torch.tensor(cotangent, dtype=expected.dtype))

    found = value_of(case.run, case.inputs)
    assert_close(found, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for gradient, x in zip(vjp_of(case.run, case.inputs, cotangent), theirs, strict=True):
        assert_close(gradient, x.grad.numpy(), rtol=1e-10, atol=1e-11)


@fewer
@given(
    st.integers(1, 2), st.integers(0, 1), st.sampled_from([1, 2]), st.booleans(), st.integers(0, 9)
)
def test_second_order_of_convolution_batch_norm_and_relu_is_pytorchs(
    stride, padding, groups, residual, seed
):
    """Differentiates <gradient, u>, where saved statistics could be mistaken for constants."""
    rng = np.random.default_rng(seed)
    residual = residual and stride == padding == 1
    shapes = (3, 4, 5, 4), (4, 4 // groups, 3, 3), (4,), (4,), (4,)
    arrays = [rng.standard_normal(shape) for shape in shapes]

    def block(functional, add, x, weight, bias, scale, shift):
        h = functional.conv2d(x, weight, bias, stride, padding, 1, groups)
        h = functional.batch_norm(h, None, None, scale, shift, training=True, eps=0.1)
        return add(x, functional.relu(h)) if residual else functional.relu(h)

    ours = leaves(*arrays)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = block(ops, ops.residual_add, *ours)
    expected = block(torch.nn.functional, torch.add, *theirs)
    cotangent = random_like(expected.detach().numpy(), 1)
    directions = [rng.standard_normal(shape) for shape in shapes]

    first = mr.grad((y * mr.tensor(cotangent)).sum(), ours, create_graph=True)
    slope = sum((g * mr.tensor(u)).sum() for g, u in zip(first, directions, strict=True))
    second = mr.grad(slope, ours, allow_unused=True)
    their_loss = (expected * torch.tensor(cotangent)).sum()
    their_first = torch.autograd.grad(their_loss, theirs, create_graph=True)
    pairs = zip(their_first, directions, strict=True)
    their_slope = sum((g * torch.tensor(u)).sum() for g, u in pairs)
    their_second = torch.autograd.grad(their_slope, theirs, allow_unused=True)

    for found, other in zip(first, their_first, strict=True):
        assert_close(found.detach(), other.detach().numpy(), rtol=1e-9, atol=1e-9)
    for found, other, shape in zip(second, their_second, shapes, strict=True):
        sides = [np.zeros(shape) if side is None else side.numpy() for side in (found, other)]
        assert_close(*sides, rtol=1e-8, atol=1e-8)


@given(st.integers(2, 5), st.floats(0.0, 1.0), st.integers(0, 99))
def test_running_statistics_are_pytorchs(count, momentum, seed):
    rng = np.random.default_rng(seed)
    x, mean, var = rng.standard_normal((count, 3, 2)), rng.standard_normal(3), rng.random(3)
    ours, theirs = (mr.tensor(mean), mr.tensor(var)), (torch.tensor(mean), torch.tensor(var))
    ops.batch_norm(mr.tensor(x), *ours, training=True, momentum=momentum)
    torch.nn.functional.batch_norm(torch.tensor(x), *theirs, training=True, momentum=momentum)
    for found, expected in zip(ours, theirs, strict=True):
        assert_close(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "values", [[1.0, 1.0, 0.0], [0.0, 0.0], [-1.0, 0.0, 2.0]], ids=["tie", "all equal", "apart"]
)
@pytest.mark.parametrize(
    "function",
    [
        "relu",
        "relu6",
        "abs",
        "amax",
        "amin",
        "leaky_relu",
        "maximum with 0",
        "clip at 0",
        "max along",
    ],
)
def test_kinks_and_ties_follow_pytorchs_convention(function, values):
    apply = {
        "relu": (ops.relu, torch.relu),
        "relu6": (lambda x: ops.relu6(6 * x), lambda x: torch.nn.functional.relu6(6 * x)),
        "abs": (abs, abs),
        "amax": (ops.amax, torch.amax),
        "amin": (ops.amin, torch.amin),
        "leaky_relu": (ops.leaky_relu, torch.nn.functional.leaky_relu),
        "maximum with 0": (
            lambda x: mr.maximum(x, 0.0),
            lambda x: torch.maximum(x, torch.tensor(0.0)),
        ),
        "clip at 0": (lambda x: mr.clip(x, 0.0), lambda x: torch.clip(x, 0.0)),
        "max along": (lambda x: x.max(0).values, lambda x: x.max(0).values),
    }
    ours, theirs = leaves(values)[0], torch.tensor(values, requires_grad=True)
    apply[function][0](ours).sum().backward()
    apply[function][1](theirs).sum().backward()
    assert ours.grad.tolist() == theirs.grad.tolist()


FUNCTIONAL = {
    "relu": "input",
    "relu6": "input",
    "leaky_relu": "input negative_slope",
    "gelu": None,
    "sigmoid": "input",
    "tanh": "input",
    "softmax": "input dim",
    "log_softmax": "input dim",
    "linear": None,
    "dropout": "input p training",
    "dropout2d": "input p training",
    "local_response_norm": "input size alpha beta k",
    "interpolate": "input size scale_factor mode align_corners",
    "batch_norm": "input running_mean running_var weight bias training momentum eps",
    "max_pool2d": None,
    "avg_pool2d": None,
    "adaptive_avg_pool2d": "input output_size",
    "adaptive_max_pool2d": None,
    "conv2d": None,
    "conv_transpose2d": None,
    "cross_entropy": "input target weight",
    "mse_loss": "input target",
    "pad": None,
}


def test_every_op_that_torch_nn_functional_has_is_listed():
    assert {n for n in ops.__all__ if hasattr(torch.nn.functional, n)} == set(FUNCTIONAL)


def positional(function):
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds]


@pytest.mark.parametrize("name", [name for name, names in FUNCTIONAL.items() if names])
def test_arguments_have_pytorchs_names_and_order(name):
    ours = positional(getattr(ops, name))
    assert ours == FUNCTIONAL[name].split()
    assert ours == positional(getattr(torch.nn.functional, name))[: len(ours)]


# Functions that PyTorch has in C show no signature; their first lines are these.
DOCUMENTED = {
    "conv2d": "input weight bias stride padding dilation groups",
    "conv_transpose2d": "input weight bias stride padding output_padding groups dilation",
    "avg_pool2d": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "max_pool2d": "input kernel_size stride padding dilation ceil_mode return_indices",
    "adaptive_max_pool2d": "input output_size return_indices",
    "linear": "input weight bias",
    "gelu": "input approximate",
    "pad": "input pad mode value",
}


@pytest.mark.parametrize("name", [name for name, names in FUNCTIONAL.items() if not names])
def test_arguments_of_pytorchs_built_in_functions_have_their_names_and_order(name):
    documented = inspect.getdoc(getattr(torch.nn.functional, name)).split("->")[0]
    documented = documented[documented.index("(") :]
    ours = list(inspect.signature(getattr(ops, name)).parameters)
    places = [documented.index(argument) for argument in ours]
    assert ours == DOCUMENTED[name].split()
    assert places == sorted(places)
