"""How far single precision is from double, beside PyTorch: the gradient as a whole.

A ReLU's input within rounding of 0 may come out on either side of it, in either library, and moves
the gradient a thousand times as much as rounding does. Batches are so small that this is rare, and
the medians of several are compared.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from minires.models import ResNet, cifar_plain, cifar_resnet
from tests.models import residual_in_torch as t
from tests.models.beside_torch import batch, distance, drawn, of_minires, of_torch

pytestmark = pytest.mark.oracle


def cifar(add, blocks):
    return partial(t.cifar, blocks=blocks, unit=partial(t.basic, add=add))


NETWORKS = {
    "plain-20": (partial(cifar_plain, 20, width=8), cifar(t.plain, 3), 16),
    "ResNet-20": (partial(cifar_resnet, 20, width=8), cifar(t.option_a, 3), 16),
    "ResNet-56": (partial(cifar_resnet, 56, width=8), cifar(t.option_a, 9), 16),
    "ResNet-20 as in the paper": (partial(cifar_resnet, 20), cifar(t.option_a, 3), 32),
    "ResNet-50": (partial(ResNet, 50, width=4, num_classes=10), t.resnet(50), 64),
}
LONG = {"ResNet-56", "ResNet-20 as in the paper", "ResNet-50"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] * (name in LONG)) for name in NETWORKS]
)
def test_single_precision_is_at_most_twice_as_far_from_double_as_pytorchs(name):
    ours, theirs, size = NETWORKS[name]
    model = ours()
    errors = []
    for seed in range(5):
        arrays, given = drawn(model, seed), batch((4, 3, size, size), seed + 10)
        arrays = {name: array.astype("float32") for name, array in arrays.items()}
        given = [array.astype("float32") for array in given]
        exact = of_torch(theirs, arrays, *(array.astype("float64") for array in given)).gradient
        found = of_minires(model, arrays, *given).gradient
        expected = of_torch(theirs, arrays, *given).gradient
        errors.append((distance(found, exact), distance(expected, exact)))
    error, torchs = np.median(errors, axis=0)
    assert error <= 2 * torchs
    assert torchs < 1e-3
