"""The op that a folded network consists of: what its kernel does not know goes another way."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr


def test_operands_of_several_dtypes_are_brought_to_one():
    x, weight = mr.randn(2, 3, 5, 5), mr.randn(4, 3, 3, 3, dtype="float64")
    shortcut = mr.randn(2, 4, 3, 3)
    y = mr.ops.conv2d_relu(x, weight, shortcut=shortcut)
    expected = mr.ops.relu(mr.ops.conv2d(x, weight) + shortcut)
    assert y.dtype == "float64"
    np.testing.assert_array_equal(y.numpy(), expected.numpy())
    alone = mr.ops.conv2d_relu(x, weight)
    np.testing.assert_array_equal(alone.numpy(), mr.ops.relu(mr.ops.conv2d(x, weight)).numpy())


@pytest.mark.parametrize("shape", [(4, 3, 3), (2, 1, 3, 3), (1, 4, 3, 3), (2, 4, 1, 1)])
def test_a_shortcut_is_never_broadcast(shape):
    x, weight = mr.randn(2, 3, 5, 5), mr.randn(4, 3, 3, 3)
    with pytest.raises(
        ValueError, match=r"conv2d_relu: shortcut has shape .* \(2, 4, 3, 3\); they must be eq"
    ):
        mr.ops.conv2d_relu(x, weight, shortcut=mr.zeros(*shape))


def test_expanded_it_is_its_steps():
    x, weight = mr.randn(2, 3, 5, 5), mr.randn(4, 3, 3, 3, requires_grad=True)
    with mr.expand("conv2d_relu"):
        y = mr.ops.conv2d_relu(x, weight, shortcut=mr.zeros(2, 4, 3, 3))
    assert repr(y.grad_fn) == "<relu>"
