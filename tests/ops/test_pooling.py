"""What the pools promise beyond their rows in the table."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves


def test_padding_never_wins_among_negative_numbers():
    x = -mr.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    y = mr.ops.max_pool2d(x, 3, stride=2, padding=1)
    assert y.tolist() == [[[[-1.0, -2.0], [-4.0, -5.0]]]]


def test_padding_never_wins_even_over_minus_infinity():
    (x,) = leaves(np.full((1, 1, 2, 2), -np.inf))
    y = mr.ops.max_pool2d(x, 2, padding=1)
    y.backward(np.ones(y.shape))
    assert (y.detach().numpy() == -np.inf).all()
    assert x.grad.tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


def test_padding_gets_no_gradient_where_pixels_are_as_small_as_it():
    (x,) = leaves(np.zeros((1, 1, 3, 3)))
    y = mr.ops.max_pool2d(x, 3, stride=2, padding=1)
    y.sum().backward()
    assert x.grad.tolist() == [[[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]]


def test_the_first_of_equal_pixels_gets_the_gradient():
    (x,) = leaves(np.ones((1, 1, 2, 2)))
    mr.ops.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]


def test_winners_say_where_in_their_image_they_stand():
    (x,) = leaves(np.random.default_rng(0).standard_normal((2, 3, 5, 7)))
    values, indices = mr.ops.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert (indices.shape, indices.dtype) == (values.shape, mr.int64)
    taken = np.take_along_axis(
        x.detach().numpy().reshape(2, 3, -1), indices.numpy().reshape(2, 3, -1), 2
    )
    assert (values.detach().numpy() == taken.reshape(values.shape)).all()
    assert (values.detach().numpy() == mr.ops.max_pool2d(x, 3, 2, 1).detach().numpy()).all()
    values.sum().backward()
    assert x.grad.numpy().sum() == indices.numel()


def test_the_places_of_equal_winners_are_the_first_ones():
    assert mr.ops.max_pool2d(mr.ones(1, 1, 2, 4), 2, return_indices=True).indices.tolist() == [
        [[[0, 2]]]
    ]


def test_a_pixel_that_wins_several_windows_gets_several_gradients():
    values = np.zeros((1, 1, 3, 3))
    values[0, 0, 1, 1] = 5.0
    (x,) = leaves(values)
    mr.ops.max_pool2d(x, 2, stride=1).sum().backward()
    assert x.grad.numpy()[0, 0, 1, 1] == 4.0
    assert x.grad.numpy().sum() == 4.0


def test_a_nan_wins_its_windows():
    values = np.zeros((1, 1, 2, 4))
    values[0, 0, 1, 0] = np.nan
    (x,) = leaves(values)
    y = mr.ops.max_pool2d(x, 2)
    y.sum().backward()
    assert np.isnan(y.detach().numpy()).tolist() == [[[[True, False]]]]
    assert x.grad.numpy()[0, 0, 1, 0] == 1.0


def test_integer_images_can_be_max_pooled():
    y = mr.ops.max_pool2d(mr.arange(-8, 8).reshape(1, 1, 4, 4), 2, padding=1)
    assert y.dtype == "int64"
    assert y.tolist() == [[[[-8, -6, -5], [0, 2, 3], [4, 6, 7]]]]


def test_ceil_mode_takes_the_last_window_over_the_edge():
    x = mr.arange(5.0).reshape(1, 1, 1, 5)
    assert mr.ops.max_pool2d(x, (1, 2)).tolist() == [[[[1.0, 3.0]]]]
    assert mr.ops.max_pool2d(x, (1, 2), ceil_mode=True).tolist() == [[[[1.0, 3.0, 4.0]]]]
    assert mr.ops.avg_pool2d(x, (1, 2), ceil_mode=True).tolist() == [[[[0.5, 2.5, 4.0]]]]


def test_the_mean_counts_the_padding_unless_told_not_to():
    x = mr.ones(1, 1, 2, 2)
    counted = mr.ops.avg_pool2d(x, 2, padding=1)
    assert counted.tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    alone = mr.ops.avg_pool2d(x, 2, padding=1, count_include_pad=False)
    assert alone.tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


def test_average_pool_with_a_rectangular_kernel():
    (x,) = leaves(np.arange(12.0).reshape(1, 1, 2, 6))
    y = mr.ops.avg_pool2d(x, (2, 3))
    y.sum().backward()
    assert y.tolist() == [[[[4.0, 7.0]]]]
    np.testing.assert_allclose(x.grad.numpy(), 1 / 6)


@pytest.mark.parametrize("size", [1, (1, 1), (None, None), (2, None), (3, 5)])
def test_adaptive_pooling_has_the_size_asked_for(size):
    y = mr.ops.adaptive_avg_pool2d(mr.ones(2, 3, 4, 5), size)
    given = (size, size) if isinstance(size, int) else size
    assert y.shape == (2, 3, given[0] or 4, given[1] or 5)
    np.testing.assert_allclose(y.numpy(), 1.0, rtol=1e-6)


@pytest.mark.parametrize("size", [1, (None, None), (2, None), (3, 5), (7, 2)])
def test_adaptive_maxima_say_where_in_their_image_they_stand(size):
    (x,) = leaves(np.random.default_rng(0).standard_normal((2, 3, 4, 5)))
    values, indices = mr.ops.adaptive_max_pool2d(x, size, return_indices=True)
    given = (size, size) if isinstance(size, int) else size
    assert values.shape == indices.shape == (2, 3, given[0] or 4, given[1] or 5)
    assert indices.dtype == mr.int64
    images, places = x.detach().numpy().reshape(2, 3, 20), indices.numpy().reshape(2, 3, -1)
    taken = np.take_along_axis(images, places, 2)
    np.testing.assert_array_equal(values.detach().numpy().ravel(), taken.ravel())
    values.sum().backward()
    counts = [np.bincount(image, minlength=20) for image in places.reshape(6, -1)]
    np.testing.assert_array_equal(x.grad.numpy().reshape(6, 20), counts)


def test_of_equal_pixels_in_a_part_the_first_one_wins_and_a_nan_wins_over_all():
    values = np.ones((1, 1, 3, 3))
    (x,) = leaves(values)
    mr.ops.adaptive_max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]]
    values[0, 0, 2, 0] = np.nan
    y = mr.ops.adaptive_max_pool2d(mr.tensor(values), 2).numpy()
    assert np.isnan(y).tolist() == [[[[False, False], [True, False]]]]


def test_maxima_stay_where_the_images_are():
    with mr.devices.default("meta"):
        x = mr.ones(1, 1, 4, 4, device="cpu")
        for pool in (mr.ops.max_pool2d, mr.ops.adaptive_max_pool2d):
            assert {each.device.name for each in pool(x, 2, return_indices=True)} == {"cpu"}


def test_integer_images_have_adaptive_maxima():
    y = mr.ops.adaptive_max_pool2d(mr.arange(-4, 5).reshape(1, 1, 3, 3), 2)
    assert (y.dtype, y.tolist()) == ("int64", [[[[0, 1], [3, 4]]]])


def test_pools_of_an_empty_batch():
    (x,) = leaves(np.zeros((0, 2, 4, 4)))
    pools = mr.ops.max_pool2d, mr.ops.avg_pool2d, mr.ops.adaptive_max_pool2d
    for y in (pool(x, 2) for pool in pools):
        y.sum().backward()
        assert y.shape == (0, 2, 2, 2)
    assert x.grad.shape == (0, 2, 4, 4)
