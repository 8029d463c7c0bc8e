"""What resizing promises beyond its rows in the table, and which memory order images keep."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import ops
from tests.helpers import leaves


def test_the_nearest_pixel_is_copied_whatever_it_is():
    x = mr.tensor(np.array([[[[np.inf, 1.0], [np.nan, -np.inf]]]]))
    expected = x.numpy().repeat(2, 2).repeat(3, 3)
    np.testing.assert_array_equal(ops.interpolate(x, scale_factor=(2, 3)).numpy(), expected)
    whole = ops.interpolate(mr.arange(4).reshape(1, 1, 2, 2), 1)
    assert (whole.dtype, whole.tolist()) == ("int64", [[[[0]]]])


RESIZED = {
    "larger": lambda x: ops.interpolate(x, (7, 11), mode="bilinear"),
    "smaller": lambda x: ops.interpolate(x, (3, 4), mode="bilinear"),
    "averaged": lambda x: ops.adaptive_avg_pool2d(x, (4, 3)),
}


@pytest.mark.parametrize("resize", RESIZED.values(), ids=RESIZED)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels_last", [False, True])
def test_what_is_not_finite_stays_where_it_has_a_part(resize, value, channels_last):
    """A pixel's share in the others is their change when it becomes larger by 1."""
    images = np.random.default_rng(0).standard_normal((2, 3, 5, 6)).astype("float32")
    if channels_last:
        images = images.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    plain, pixel = resize(mr.tensor(images)).numpy(), np.zeros_like(images)
    pixel[1, 2, 3, 2] = 1
    touched = resize(mr.tensor(pixel)).numpy() != 0
    assert touched.any()
    assert not touched[:, :2].any()

    images[1, 2, 3, 2] = value
    found = resize(mr.tensor(images)).numpy()

    np.testing.assert_array_equal(found[touched], value)
    np.testing.assert_allclose(found[~touched], plain[~touched], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", [1, 3, 7, 45, 62])
@pytest.mark.parametrize("wanted", [1, 2, 41, 49, 94, 129])
def test_the_nearest_pixel_is_found_without_rounding(length, wanted):
    x = mr.arange(length).reshape(1, 1, 1, length)
    y = ops.interpolate(x, (1, wanted))
    assert y.numpy().ravel().tolist() == [i * length // wanted for i in range(wanted)]


def test_a_factor_says_how_wide_a_pixel_is_and_a_size_does_not():
    """What the factor makes beyond whole pixels is cut off, not squeezed in."""
    x = mr.tensor([[[[0.0, 8.0]]]])
    by_factor = ops.interpolate(x, scale_factor=(1, 2.5), mode="bilinear")
    by_size = ops.interpolate(x, (1, 5), mode="bilinear")
    np.testing.assert_allclose(by_factor.numpy().ravel(), [0.0, 0.8, 4.0, 7.2, 8.0], rtol=1e-6)
    np.testing.assert_allclose(by_size.numpy(), by_factor.numpy(), rtol=1e-6)
    shorter = ops.interpolate(x, scale_factor=(1, 2.9), mode="bilinear")
    places = [min(max((i + 0.5) / 2.9 - 0.5, 0), 1) for i in range(5)]
    np.testing.assert_allclose(shorter.numpy().ravel(), np.multiply(8, places), rtol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_an_axis_that_keeps_its_length_stays_as_it_is_whatever_the_factor(mode):
    x = mr.randn(1, 2, 3, 4)
    np.testing.assert_array_equal(ops.interpolate(x, scale_factor=1.2, mode=mode), x)
    wider = ops.interpolate(x, scale_factor=(1.3, 3), mode=mode)
    np.testing.assert_array_equal(wider, ops.interpolate(x, (3, 12), mode=mode))


def test_an_axis_of_twice_the_length_shows_each_nearest_pixel_twice_whatever_the_factor():
    y = ops.interpolate(mr.arange(3).reshape(1, 1, 1, 3), scale_factor=(1, 2.3))
    assert y.numpy().ravel().tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_plane_stays_a_plane_between_the_outer_pixels(align_corners):
    rows, columns = np.mgrid[0:4, 0:5].astype(float)
    plane = mr.tensor((2 * rows - 3 * columns)[None, None])
    y = ops.interpolate(plane, (9, 11), mode="bilinear", align_corners=align_corners)
    inner = y.numpy()[0, 0, 2:-2, 2:-2]
    for axis in (0, 1):
        np.testing.assert_allclose(np.diff(inner, 2, axis), 0, atol=1e-12)


def test_the_gradient_of_a_sum_counts_how_often_a_pixel_is_shown():
    (x,) = leaves(np.zeros((1, 1, 1, 3)))
    ops.interpolate(x, (1, 7)).sum().backward()
    assert x.grad.tolist() == [[[[3.0, 2.0, 2.0]]]]


# What the classic networks do to images beside convolving and pooling them.
STEPS = {
    "nearest": lambda x: ops.interpolate(x, scale_factor=2),
    "bilinear": lambda x: ops.interpolate(x, (9, 3), mode="bilinear"),
    "adaptive mean": lambda x: ops.adaptive_avg_pool2d(x, (2, 3)),
    "local responses": lambda x: ops.local_response_norm(x, 3),
    "relu6": ops.relu6,
    "dropout2d": ops.dropout2d,
    "stochastic depth": lambda x: ops.stochastic_depth(x, 0.5, "row"),
    "gate": lambda x: x * ops.sigmoid(ops.mean(x, (2, 3), keepdim=True)),
    "concatenation": lambda x: ops.cat([x, x], 1),
}


def lies_channels_last(images):
    return images.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("name", STEPS)
def test_images_that_lie_channels_last_stay_so_there_and_back(name):
    values = np.random.default_rng(0).standard_normal((2, 4, 6, 5)).astype("float32")
    x = mr.tensor(np.moveaxis(np.moveaxis(values, 1, -1).copy(), -1, 1), requires_grad=True)
    y = STEPS[name](x)
    cotangent = np.ones((y.shape[0], *y.shape[2:], y.shape[1]), "float32").transpose(0, 3, 1, 2)
    y.backward(mr.tensor(cotangent))
    assert lies_channels_last(x.detach().numpy())
    assert lies_channels_last(y.detach().numpy())
    assert lies_channels_last(x.grad.numpy())
