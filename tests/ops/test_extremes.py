"""Values that overflow, vanish or coincide: half precision, large, small and equal numbers."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves


@pytest.mark.parametrize(
    ("dtype", "a", "b"),
    [("float16", 1000, 300), ("float16", 1e-4, 1e-4), ("float32", 1e30, 1e20)],
)
def test_the_gradient_of_a_quotient_neither_overflows_nor_vanishes(dtype, a, b):
    x, y = (mr.tensor([v], dtype=dtype, requires_grad=True) for v in (a, b))
    (x / y).sum().backward()
    expected = -float(x.detach().double()) / float(y.detach().double()) ** 2
    np.testing.assert_allclose(y.grad.numpy().astype("float64"), [expected], rtol=5e-3)


def test_the_mixed_second_derivative_of_a_power_holds_at_exponent_zero():
    a, b = leaves([2.0], [0.0])
    (d_base,) = mr.grad((a**b).sum(), a, create_graph=True)
    (mixed,) = mr.grad(d_base.sum(), b)
    assert mixed.item() == pytest.approx(0.5)  # d/db of b a^(b-1) at b = 0 is 1/a


def test_half_precision_sums_do_not_saturate():
    x = mr.full((70_000, 2), 0.01, dtype="float16")
    np.testing.assert_allclose(x.sum(0).numpy(), 700, rtol=1e-3)
    assert mr.ops.softmax(mr.zeros(70_000, dtype="float16")).numpy()[0] > 0
    assert mr.tensor([-600.0, 600.0], dtype="float16").std().item() == pytest.approx(
        848.5, rel=1e-3
    )


def test_half_precision_batch_norm_of_large_values_is_right_and_keeps_finite_statistics():
    rng = np.random.default_rng(0)
    x = (400 * rng.standard_normal((16, 3, 4, 4))).astype("float16")
    layer = mr.nn.BatchNorm2d(3)
    leaf = mr.tensor(x, requires_grad=True)
    y = layer(leaf)
    wide = x.astype("float64")
    mean, var = wide.mean((0, 2, 3), keepdims=True), wide.var((0, 2, 3), keepdims=True)
    assert y.dtype == "float16"
    expected = (wide - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(y.detach().numpy(), expected, atol=4e-3)
    assert np.isfinite(layer.running_var.numpy()).all()
    g = rng.standard_normal(x.shape)
    y.backward(g.astype("float16"))
    projected = g - g.mean((0, 2, 3), keepdims=True)
    projected -= expected * (g * expected).mean((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(
        leaf.grad.numpy().astype("float64"), projected / np.sqrt(var + 1e-5), atol=2e-5
    )


def test_the_standard_deviation_of_equal_values_has_gradient_zero():
    (x,) = leaves([2.0, 2.0, 2.0])
    x.std().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_a_nan_passes_relu_in_both_directions():
    (x,) = leaves([np.nan, 1.0, -1.0])
    y = mr.ops.relu(x)
    y.backward(np.ones(3))
    assert np.isnan(y.detach().numpy()[0])
    assert x.grad.tolist() == [1, 1, 0]


def test_numpy_integers_are_lengths_axes_and_strides():
    two = np.int64(2)
    assert mr.zeros(two, two).reshape(np.prod([2, 2])).shape == (4,)
    assert mr.arange(two).dtype == mr.int64
    assert mr.nn.Conv2d(1, 1, two, stride=two)(mr.ones(1, 1, 4, 4)).shape == (1, 1, 2, 2)


def test_a_tensor_without_axes_is_picked_from_as_if_it_had_one():
    (x,) = leaves(2.0)
    for index in (mr.tensor(0), mr.tensor([0]), mr.tensor([0, -1])):
        picked = x.gather(0, index)
        assert picked.shape == index.shape
        assert set(np.ravel(picked.tolist())) == {2.0}
        picked.sum().backward()
    assert x.grad.item() == 4.0


def test_a_window_may_be_given_as_a_tuple_of_one():
    x = mr.arange(36.0).reshape(1, 1, 6, 6)
    found = mr.ops.avg_pool2d(x, (2,), stride=[2], padding=(1,))
    np.testing.assert_array_equal(found.numpy(), mr.ops.avg_pool2d(x, 2, 2, 1).numpy())


def test_no_correction_is_the_correction_of_one():
    x = mr.arange(4.0)
    assert x.var(correction=None).item() == x.var().item()
    assert x.std(correction=None).item() == x.std().item()


def test_words_of_pytorch_that_learners_reach_for():
    x = mr.ones(2, 3)
    assert x.size() == (2, 3)
    assert (x.size(1), x.dim(), x.numel()) == (3, 2, 6)
    assert x.view(3, -1).shape == (3, 2)
    assert x.double().dtype == mr.float64
    assert x.double().float().dtype == mr.float32
    assert x.clamp(max=0.5).max().item() == 0.5
    assert mr.cat([x, x], dim=1).shape == (2, 6)


@pytest.mark.parametrize("row", [[-np.inf, -np.inf], [np.inf, 0.0]])
def test_cross_entropy_without_probabilities_is_nan_in_silence(row):
    x = mr.tensor([row, [0.0, 0.0]], requires_grad=True)
    loss = mr.ops.cross_entropy(x, [0, 1], reduction="none")
    loss.sum().backward()
    assert np.isnan(loss.detach().numpy()[0])
    assert loss[1].item() == pytest.approx(np.log(2))
    np.testing.assert_allclose(x.grad.numpy()[1], [0.5, -0.5])
