"""mr.expand: fused ops run as the steps they stand for."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import Onlooker, leaves


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def test_an_expanded_convolution_shows_its_steps():
    x, w, b = leaves(images(2, 3, 5, 5), images(4, 3, 3, 3), images(4))
    with mr.expand("conv2d"), Onlooker() as seen:
        mr.ops.conv2d(x, w, b, padding=1)
    assert seen.ops == ["im2col", "reshape", "reshape", "matmul", "reshape", "reshape", "add"]


def test_an_expanded_batch_norm_shows_mean_and_variance():
    x, w, b = leaves(images(4, 3, 2, 2), images(3), images(3))
    with mr.expand("batch_norm"), Onlooker() as seen:
        mr.ops.batch_norm(x, None, None, w, b, training=True)
    assert seen.ops[:2] == ["mean", "var"]
    assert {"sqrt", "sub", "div", "mul", "add"} <= set(seen.ops)


def test_an_expanded_batch_norm_moves_the_running_statistics_as_the_fused_one_does():
    x = mr.tensor(images(4, 3, 2, 2))
    statistics = []
    for names in ((), ("batch_norm",)):
        running = mr.zeros(3, dtype="float64"), mr.ones(3, dtype="float64")
        with mr.expand(*names):
            mr.ops.batch_norm(x, *running, training=True, momentum=0.3)
        statistics.append([r.numpy() for r in running])
    np.testing.assert_array_equal(statistics[0], statistics[1])


def test_an_expanded_block_has_the_fused_blocks_gradients():
    arrays = images(2, 3, 5, 5), images(3, 3, 3, 3), images(3), images(3)
    gradients = []
    for names in ((), ("conv2d", "batch_norm", "residual_add")):
        x, w, scale, shift = leaves(*arrays)
        with mr.expand(*names):
            h = mr.ops.conv2d(x, w, padding=1)
            h = mr.ops.batch_norm(h, None, None, scale, shift, training=True)
            y = mr.ops.residual_add(x, mr.ops.relu(h))
        (y * y).sum().backward()
        gradients.append([t.grad.numpy() for t in (x, w, scale, shift)])
    for fused, spelled_out in zip(*gradients, strict=True):
        np.testing.assert_allclose(fused, spelled_out, rtol=1e-10, atol=1e-12)


def test_twins_may_contain_further_twins():
    (x,) = leaves(images(2, 3))
    with mr.expand("softmax", "log_softmax", "logsumexp"), Onlooker() as seen:
        mr.ops.softmax(x, 1)
    assert not {"softmax", "log_softmax", "logsumexp"} & set(seen.ops)


def test_a_twin_runs_for_constants_too():
    with mr.expand("conv2d"), mr.no_grad(), Onlooker() as seen:
        mr.ops.conv2d(mr.ones(1, 1, 3, 3), mr.ones(1, 1, 2, 2))
    assert "conv2d" not in seen.ops


def test_the_backward_pass_is_not_expanded():
    (x,) = leaves(images(1, 1, 4, 4))
    y = mr.ops.conv2d(x, mr.ones(1, 1, 2, 2, dtype="float64")).sum()
    for differentiate in (
        lambda: mr.grad(y, x, create_graph=True),
        lambda: y.backward(None, True, True),
    ):
        with mr.expand("conv_transpose2d"), Onlooker() as seen:
            differentiate()
        assert "conv_transpose2d" in seen.ops


@pytest.mark.parametrize("name", ["relu", "conv3d"])
def test_what_has_no_twin_cannot_be_expanded(name):
    with pytest.raises(ValueError, match=rf"no spelled-out twin of '{name}'.*'conv2d'"):
        mr.expand(name).__enter__()


def test_expand_nests_and_ends():
    (x,) = leaves(images(2, 3))
    with mr.expand("var"):
        with mr.expand("softmax"), Onlooker() as inner:
            mr.ops.softmax(mr.ops.var(x, 0), 0)
        with Onlooker() as outer:
            mr.ops.softmax(x, 0)
    with Onlooker() as after:
        mr.ops.var(x)
    assert not {"var", "softmax"} & set(inner.ops)
    assert outer.ops == ["softmax"]
    assert after.ops == ["var"]
