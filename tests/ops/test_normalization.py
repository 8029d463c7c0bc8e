"""What batch_norm and dropout promise beyond their rows in the table."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves, random_like


def batch(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 7), (2, 3, 4, 5)])
def test_every_channel_is_normalised_over_all_other_axes(shape):
    x = 7 + 3 * batch(*shape)
    y = mr.ops.batch_norm(mr.tensor(x), None, None, training=True, eps=0.0).numpy()
    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(y.mean(axes), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(axes), 1.0, rtol=1e-12)


def test_the_training_gradient_is_free_of_the_two_directions_that_normalising_takes_away():
    """sum(dx) = 0 and sum(dx * x_hat) = 0 in every channel, whatever the cotangent."""
    (x,) = leaves(batch(4, 3, 2, 2))
    y = mr.ops.batch_norm(x, None, None, training=True, eps=0.0)
    y.backward(random_like(y.detach(), 1))
    dx, x_hat = x.grad.numpy(), y.detach().numpy()
    np.testing.assert_allclose(dx.sum((0, 2, 3)), 0.0, atol=1e-12)
    np.testing.assert_allclose((dx * x_hat).sum((0, 2, 3)), 0.0, atol=1e-12)


def test_running_statistics_move_by_momentum_towards_mean_and_unbiased_variance():
    x = batch(4, 2, 3)
    mean, var = mr.tensor([10.0, 20.0], dtype="float64"), mr.ones(2, dtype="float64")
    mr.ops.batch_norm(mr.tensor(x), mean, var, training=True, momentum=0.25)
    values = x.transpose(1, 0, 2).reshape(2, -1)
    np.testing.assert_allclose(mean.numpy(), [7.5, 15] + 0.25 * values.mean(1))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * values.var(1, ddof=1))


def test_eval_mode_uses_the_running_statistics_and_leaves_them():
    (x,) = leaves(batch(3, 2))
    mean, var = mr.tensor([1.0, -1.0]), mr.tensor([4.0, 0.25])
    y = mr.ops.batch_norm(x, mean, var, eps=0.0)
    y.backward(np.ones((3, 2)))
    expected = (x.detach().numpy() - [1.0, -1.0]) / [2.0, 0.5]
    np.testing.assert_allclose(y.detach().numpy(), expected)
    np.testing.assert_allclose(x.grad.numpy(), np.full((3, 2), [0.5, 2.0]))
    assert mean.tolist() == [1.0, -1.0]
    assert var.tolist() == [4.0, 0.25]


def test_the_variance_of_far_away_values_does_not_cancel():
    x = (1e4 + batch(64, 1)).astype("float32")
    y = mr.ops.batch_norm(mr.tensor(x), None, None, training=True).numpy()
    exact = (x - x.astype("float64").mean()) / x.astype("float64").std()
    np.testing.assert_allclose(y, exact, rtol=1e-2, atol=2e-3)


def test_results_have_the_inputs_dtype_whatever_the_statistics():
    x = mr.ones(2, 3, dtype="float16")
    mean, var = mr.zeros(3), mr.ones(3)
    assert mr.ops.batch_norm(x, mean, var).dtype == "float16"
    assert mr.ops.batch_norm(x.to("float64"), mean, var).dtype == "float64"
    assert mr.ops.batch_norm(x, mean, var, training=True).dtype == "float16"
    assert mean.dtype == var.dtype == "float32"


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 3, 0, 4), (2, 0, 3, 3)])
def test_an_empty_batch_changes_no_statistics(shape):
    channels = shape[1]
    mean, var = mr.zeros(channels), mr.ones(channels)
    x, weight, bias = leaves(np.zeros(shape), np.ones(channels), np.ones(channels))
    y = mr.ops.batch_norm(x, mean, var, weight, bias, training=True)
    y.sum().backward()
    assert y.shape == shape
    assert mean.tolist() == [0.0] * channels
    assert var.tolist() == [1.0] * channels
    assert weight.grad.tolist() == bias.grad.tolist() == [0.0] * channels


def test_dropout_keeps_the_mean_and_scales_what_it_keeps():
    with mr.devices.random.seeded(1):
        y = mr.ops.dropout(mr.ones(10_000), 0.2)
    assert set(y.tolist()) == {0.0, 1.25}
    assert y.mean().item() == pytest.approx(1.0, abs=0.02)


def test_dropout_passes_the_gradient_where_it_passed_the_value():
    (x,) = leaves(np.ones(100))
    y = mr.ops.dropout(x, 0.5)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_dropout_does_nothing_outside_of_training_or_with_p_0():
    (x,) = leaves([1.0])
    assert mr.ops.dropout(x, 0.5, training=False) is x
    assert mr.ops.dropout(x, 0.0) is x


def test_dropout_repeats_with_the_seed():
    draws = []
    for _ in range(2):
        with mr.devices.random.seeded(5):
            draws.append([mr.ops.dropout(mr.ones(20), 0.5).tolist() for _ in range(2)])
    assert draws[0] == draws[1]
    assert draws[0][0] != draws[0][1]
