"""What conv2d and its relatives promise beyond their rows in the table."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves, random_like
from tests.ops import naive


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def inner(a, b):
    return float((a * b).sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [
        (1, 1, 1, 1),
        (2, 1, 1, 1),
        (1, (0, 2), (2, 1), 1),
        ((1, 3), 0, 1, 2),
        (2, 3, 2, 4),
        (1, 1, 1, 8),
    ],
)
def test_a_convolution_of_real_size(dtype, stride, padding, dilation, groups):
    x, weight = images(2, 8, 9, 10).astype(dtype), images(8, 8 // groups, 3, 3).astype(dtype)
    found = mr.ops.conv2d(mr.tensor(x), mr.tensor(weight), None, stride, padding, dilation, groups)
    pairs = [v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation)]
    expected = naive.conv2d(x.astype("float64"), weight.astype("float64"), None, *pairs, groups)
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)


def test_col2im_is_the_transpose_of_im2col():
    """<im2col(x), c> = <x, col2im(c)> for any x and c."""
    x = images(2, 3, 7, 6)
    options = {"dilation": (2, 1), "padding": (1, 2), "stride": (2, 3)}
    columns = mr.ops.im2col(mr.tensor(x), (3, 2), **options).numpy()
    c = random_like(columns, 1)
    back = mr.ops.col2im(mr.tensor(c), (7, 6), (3, 2), **options).numpy()
    assert inner(columns, c) == pytest.approx(inner(x, back), rel=1e-12)


def test_conv_transpose2d_is_the_transpose_of_conv2d():
    x, weight = images(2, 4, 7, 8), images(6, 2, 3, 2)
    options = {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
    y = mr.ops.conv2d(mr.tensor(x), mr.tensor(weight), **options).numpy()
    g = random_like(y, 1)
    for extra in ((0, 0), (0, 2)):
        back = mr.ops.conv_transpose2d(
            mr.tensor(g), mr.tensor(weight), output_padding=extra, **options
        ).numpy()
        if back.shape == x.shape:
            break
    assert inner(y, g) == pytest.approx(inner(x, back), rel=1e-12)


def test_im2col_lays_channels_before_taps_before_positions():
    x = mr.arange(18.0).reshape(1, 2, 3, 3)
    columns = mr.ops.im2col(x, 2).numpy()
    assert columns.shape == (1, 8, 4)
    assert columns[0, :, 0].tolist() == [0, 1, 3, 4, 9, 10, 12, 13]
    assert columns[0, 0].tolist() == [0, 1, 3, 4]


def test_groups_do_not_see_each_other():
    x, weight = leaves(images(1, 4, 3, 3), images(4, 2, 3, 3))
    y = mr.ops.conv2d(x, weight, groups=2)
    y[:, :2].sum().backward()
    assert (x.grad.numpy()[:, 2:] == 0).all()
    assert (x.grad.numpy()[:, :2] != 0).all()
    assert (weight.grad.numpy()[2:] == 0).all()


def test_only_the_gradients_that_are_needed_are_computed():
    x, weight, bias = leaves(images(1, 1, 3, 3), images(1, 1, 2, 2), images(1))
    seen = []

    class Contributions(mr.autograd.EngineHook):
        def vjp_ran(self, node, g, contributions):
            seen.append([c is not None for c in contributions])

    for inputs in ((x.detach(), weight, bias), (x, weight.detach(), None)):
        y = mr.ops.conv2d(*inputs)
        with Contributions():
            y.backward(np.ones(y.shape))
    assert seen == [[False, True, True], [True, False, False]]


def test_integer_images_are_convolved_exactly():
    x, weight = mr.arange(16).reshape(1, 1, 4, 4), mr.ones(1, 1, 2, 2, dtype="int64")
    y = mr.ops.conv2d(x, weight)
    assert y.dtype == "int64"
    assert y.tolist() == [[[[10, 14, 18], [26, 30, 34], [42, 46, 50]]]]


def test_an_empty_batch_has_empty_results_and_zero_weight_gradients():
    x, weight, bias = leaves(np.zeros((0, 2, 5, 5)), images(3, 2, 3, 3), images(3))
    y = mr.ops.conv2d(x, weight, bias)
    y.sum().backward()
    assert y.shape == (0, 3, 3, 3)
    assert x.grad.shape == (0, 2, 5, 5)
    assert not weight.grad.numpy().any()
    assert bias.grad.tolist() == [0.0, 0.0, 0.0]


def test_argument_forms_are_equal():
    x, weight = mr.tensor(images(1, 2, 6, 6)), mr.tensor(images(2, 2, 3, 3))
    whole = mr.ops.conv2d(x, weight, stride=2, padding=1, dilation=1)
    pairs = mr.ops.conv2d(x, weight, stride=(2, 2), padding=[1, 1], dilation=(1, 1))
    np.testing.assert_array_equal(whole.numpy(), pairs.numpy())
