"""The steps of the classic networks, at their own windows and group counts, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minires import ops
from tests.helpers import assert_close, random_like, value_of, vjp_of

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
pytestmark = pytest.mark.oracle
functional = torch.nn.functional

# What the two libraries have under one name and call alike: the name, shapes, and options.
SAME: dict[str, tuple[str, list[tuple[int, ...]], dict[str, Any]]] = {
    "AlexNet's halves": ("conv2d", [(2, 8, 9, 9), (6, 4, 5, 5), (6,)], {"padding": 2, "groups": 2}),
    "ResNeXt's 32 groups": (
        "conv2d",
        [(2, 64, 6, 6), (64, 2, 3, 3)],
        {"stride": 2, "padding": 1, "groups": 32},
    ),
    "one filter per channel": ("conv2d", [(2, 12, 7, 7), (12, 1, 3, 3)], {"groups": 12}),
    "a dilated window": ("conv2d", [(1, 3, 12, 11), (4, 3, 3, 3)], {"padding": 4, "dilation": 4}),
    "Inception's row of seven": ("conv2d", [(2, 5, 6, 9), (4, 5, 1, 7)], {"padding": (0, 3)}),
    "a learnt upsampling": (
        "conv_transpose2d",
        [(2, 4, 5, 4), (4, 3, 4, 4), (3,)],
        {"stride": 2, "padding": 1},
    ),
    "a grouped and dilated one": (
        "conv_transpose2d",
        [(2, 4, 4, 5), (4, 3, 3, 3)],
        {"stride": 2, "output_padding": 1, "groups": 2, "dilation": 2},
    ),
    "GoogLeNet's pool": (
        "max_pool2d",
        [(2, 3, 14, 15)],
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    ),
    "the pool of one of its branches": (
        "max_pool2d",
        [(2, 3, 7, 8)],
        {"kernel_size": 3, "stride": 1, "padding": 1, "ceil_mode": True},
    ),
    "AlexNet's overlapping pool": ("max_pool2d", [(2, 3, 13, 13)], {"kernel_size": 3, "stride": 2}),
    "a mean over the edge": (
        "avg_pool2d",
        [(2, 3, 14, 15)],
        {"kernel_size": 5, "stride": 3, "padding": 1, "ceil_mode": True},
    ),
    "VGG's grid of 7": ("adaptive_avg_pool2d", [(1, 3, 9, 16)], {"output_size": 7}),
    "AlexNet's local responses": (
        "local_response_norm",
        [(2, 16, 5, 5)],
        {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0},
    ),
}


def squeezed_and_excited(library: Any, sigmoid: Any, x: Any, w1: Any, w2: Any) -> Any:
    pooled = library.adaptive_avg_pool2d(x, 1)
    return x * sigmoid(library.conv2d(library.relu(library.conv2d(pooled, w1)), w2))


def dense(library: Any, cat: Any, x: Any, w1: Any, w2: Any) -> Any:
    """Two layers, each of which sees all that came before it, and is seen in the end."""
    seen = cat([x, library.conv2d(library.relu(x), w1, padding=1)], 1)
    return cat([seen, library.conv2d(library.relu(seen), w2, padding=1)], 1)


COMPOSED: dict[str, tuple[Any, Any, list[tuple[int, ...]]]] = {
    "SE's gate": (
        lambda *xs: squeezed_and_excited(ops, ops.sigmoid, *xs),
        lambda *xs: squeezed_and_excited(functional, torch.sigmoid, *xs),
        [(3, 8, 5, 6), (2, 8, 1, 1), (8, 2, 1, 1)],
    ),
    "DenseNet's concatenation": (
        lambda *xs: dense(ops, ops.cat, *xs),
        lambda *xs: dense(functional, torch.cat, *xs),
        [(2, 4, 5, 6), (3, 4, 3, 3), (3, 7, 3, 3)],
    ),
}


def against_pytorch(ours: Any, theirs: Any, shapes: list[tuple[int, ...]]) -> None:
    inputs = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = theirs(*tensors)
    cotangent = random_like(expected.detach().numpy(), seed=9)
    expected.backward(torch.tensor(cotangent))

    assert_close(value_of(ours, inputs), expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for found, tensor in zip(vjp_of(ours, inputs, cotangent), tensors, strict=True):
        assert_close(found, tensor.grad.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", SAME)
def test_a_step_and_its_gradients_are_pytorchs(name):
    function, shapes, options = SAME[name]
    against_pytorch(
        lambda *xs: getattr(ops, function)(*xs, **options),
        lambda *xs: getattr(functional, function)(*xs, **options),
        shapes,
    )


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composition_and_its_gradients_are_pytorchs(name):
    against_pytorch(*COMPOSED[name])
