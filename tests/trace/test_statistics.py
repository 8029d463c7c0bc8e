"""Norms that are right at the ends of a dtype's range, statistics, checksums, small pictures."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from minires.trace import statistics, thumbnails
from minires.trace.statistics import (
    checksum_of,
    flat,
    norm_of,
    stats_of,
    verify_sum,
)


def thumbnail_of(array):
    sample = thumbnails.sampled(array)
    picture = thumbnails.blank(sample)
    thumbnails.draw(picture, sample)
    assert len(picture.pixels) == thumbnails.length_of(picture)
    return picture


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e-20, 1.0, 1e18, 1e30, 1e38])
def test_a_norm_is_right_however_small_or_large_the_numbers(scale, size, dtype):
    values = np.random.default_rng(0).uniform(0.1, 1, size).astype("float64")
    array = (values * scale).astype(dtype)
    largest = np.longdouble(array.max()) or 1
    expected = float(largest * np.sqrt((np.square(array.astype(np.longdouble) / largest)).sum()))
    assert norm_of(array) == pytest.approx(expected, rel=1e-5 if dtype == "float32" else 1e-12)


def test_small_numbers_beside_each_other_are_not_lost():
    # Each square is a subnormal number of few digits; the sum of ten million of them is normal.
    array = np.full(10_000_000, 3e-23, np.float32)
    assert norm_of(array) == pytest.approx(3e-23 * 1e7**0.5, rel=1e-5)


def test_float16_is_summed_in_a_wider_dtype():
    assert norm_of(np.full(10_000, 100, np.float16)) == pytest.approx(10_000, rel=1e-6)
    assert norm_of(np.full(10_000, 1e-6, np.float16)) == pytest.approx(
        float(np.float16(1e-6)) * 100, rel=1e-6
    )


@given(
    arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    ),
    st.randoms(use_true_random=False),
)
def test_statistics_agree_with_numpys_in_every_memory_order(array, random):
    axes = list(range(array.ndim))
    random.shuffle(axes)
    array = array.transpose(axes)
    found = stats_of(array)
    wide = array.astype(np.longdouble) if array.dtype.kind == "f" else array.astype("float64")
    assert found.nans == np.isnan(wide).sum()
    assert found.infs == np.isinf(wide).sum()
    if array.size == 0:
        assert found.norm == 0
        return
    if not found.finite:
        assert not np.isfinite(found.norm)
        return
    assert found.norm == pytest.approx(float(np.sqrt((wide * wide).sum())), rel=1e-5)
    assert found.rms == pytest.approx(found.norm / array.size**0.5)
    assert (found.min, found.max) == (float(array.min()), float(array.max()))
    assert found.zeros == (wide == 0).mean()
    if np.abs(wide).max() < 1e150:
        assert found.mean == pytest.approx(float(wide.mean()), rel=1e-9, abs=1e-300)
        spread = float(np.abs(wide).max())
        assert found.std == pytest.approx(float(wide.std()), rel=1e-6, abs=1e-7 * spread)
    if array.dtype.kind == "f":
        smallest = np.finfo(array.dtype).tiny
        assert found.tiny == ((np.abs(wide) < smallest) & (wide != 0)).mean()
    assert found.sample == 0


def test_a_large_array_is_sampled_evenly_and_says_so():
    array = np.random.default_rng(0).standard_normal((64, 64, 64)).astype("float32")
    found, exact = stats_of(array), stats_of(array, exact=True)
    assert statistics.SAMPLE <= found.sample < 2 * statistics.SAMPLE
    assert exact.sample == 0
    assert found.norm == exact.norm
    assert exact.mean == pytest.approx(array.mean(dtype="float64"), abs=1e-9)
    assert abs(found.mean - exact.mean) < 5 / found.sample**0.5
    assert found == stats_of(array.copy())  # the same sample every time


def test_a_single_nan_in_a_large_array_is_counted():
    array = np.ones((64, 64, 64), np.float32)
    array[3, 5, 7] = np.nan
    array[9, 9, 9] = -np.inf
    found = stats_of(array)
    assert (found.nans, found.infs) == (1, 1)
    assert not found.finite


def test_an_array_that_fills_its_memory_is_not_copied():
    array = np.zeros((2, 3, 4, 5), np.float32)
    for view in (array, array.transpose(0, 3, 1, 2), array.T):
        assert np.shares_memory(flat(view), array)
    assert flat(array[:, ::2]).size == array[:, ::2].size


def test_a_checksum_tells_one_bit():
    array = np.random.default_rng(0).standard_normal((3, 4))
    other = array.copy()
    other[1, 1] = np.nextafter(other[1, 1], 2)
    assert checksum_of(array) == checksum_of(array.copy())
    assert checksum_of(array) != checksum_of(other)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_sum_is_verified_chunk_by_chunk(count, dtype):
    random = np.random.default_rng(0)
    shape = (2, 3, 100, 70)  # more than one chunk
    parts = [
        random.standard_normal(shape).astype(dtype).transpose(0, 3, 1, 2) for _ in range(count)
    ]
    parts[-1] = np.ascontiguousarray(parts[-1])  # another memory order
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    equal, shares = verify_sum(parts, total)
    assert equal
    square = (total.astype("float64") ** 2).sum()
    for part, share in zip(parts, shares, strict=True):
        assert share == pytest.approx((part.astype("float64") * total).sum() / square, abs=1e-4)
    assert sum(shares) == pytest.approx(1, abs=2e-3 if dtype == "float16" else 1e-5)
    wrong = total.copy()
    wrong[-1, -1, -1, -1] = np.nextafter(wrong[-1, -1, -1, -1], np.array(9, dtype))
    assert not verify_sum(parts, wrong)[0]


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e-24, 1e-20, 1e-16, 1.0, 1e18, 1e22, 1e30, 1e37])
def test_shares_are_right_however_small_or_large_the_gradient(scale):
    random = np.random.default_rng(0)
    parts = [(random.uniform(0.5, 1, 40_000) * scale).astype("float32") for _ in range(2)]
    total = parts[0] + parts[1]
    equal, shares = verify_sum(parts, total)
    assert equal
    wide = total.astype(np.longdouble)
    for part, share in zip(parts, shares, strict=True):
        expected = (part.astype(np.longdouble) * wide).sum() / (wide * wide).sum()
        assert share == pytest.approx(float(expected), rel=1e-5)


def test_what_is_zero_or_not_finite_has_no_shares():
    one = np.ones(3, np.float32)
    assert verify_sum([one, -one], one - one) == (True, [None, None])
    infinite = one * np.float32(np.inf)
    assert verify_sum([one, infinite], one + infinite) == (True, [None, None])


def test_nan_counts_as_the_same_and_a_lost_sign_of_zero_does_not():
    nan, one = np.array([np.nan, 1.0]), np.array([1.0, 1.0])
    assert verify_sum([nan, one], nan + one)[0]
    zero = np.array([-0.0])
    assert verify_sum([zero, zero], np.array([-0.0]))[0]
    assert not verify_sum([zero, zero], np.array([0.0]))[0]


@pytest.mark.parametrize(
    "shape",
    [(), (1,), (5,), (2000,), (3, 4), (100, 90), (1, 8, 8), (3, 8, 8), (2, 16, 33, 32), (0, 3)],
)
def test_a_thumbnail_is_small_and_symmetric_about_zero(shape):
    array = np.random.default_rng(0).standard_normal(shape)
    found = thumbnail_of(array)
    pixels = np.frombuffer(base64.b64decode(found.pixels), np.int8)
    assert pixels.size == found.rows * found.columns
    assert found.rows <= 32
    assert found.columns <= 32
    if array.size:
        assert np.abs(pixels).max() == 127
        assert found.scale <= np.abs(array).max()
        if array.ndim == 2 and array.size <= 1000:
            shown = pixels.reshape(found.rows, found.columns) / 127 * found.scale
            np.testing.assert_allclose(shown, array, atol=found.scale / 127)


def test_what_is_not_finite_is_marked_in_a_thumbnail():
    pixels = base64.b64decode(thumbnail_of(np.array([[1.0, np.nan], [np.inf, -1.0]])).pixels)
    assert np.frombuffer(pixels, np.int8).tolist() == [127, -128, -128, -127]


@pytest.mark.parametrize("shape", [(4, 224, 224, 3), (32, 7, 7, 64), (6, 50, 50, 5), (64, 64, 64)])
def test_a_sample_meets_every_channel_alike(shape):
    levels = np.arange(shape[-1], dtype=np.float32)
    array = np.broadcast_to(levels, shape).copy()
    for view in (array, np.moveaxis(array, -1, 1), np.ascontiguousarray(np.moveaxis(array, -1, 1))):
        found = stats_of(view)
        assert found.sample > 0
        assert (found.min, found.max) == (0, levels[-1])
        assert found.mean == pytest.approx(levels.mean(), rel=0.1)
        assert found.zeros == pytest.approx(1 / shape[-1], abs=0.05)


def test_exact_statistics_of_a_large_array_are_those_of_all_elements():
    array = np.random.default_rng(0).standard_normal(200_000).astype("float32") + 1000
    array[:1000] = 0
    array[1000:1500] = 1e-40
    found = stats_of(array, exact=True)
    assert found.zeros == 1000 / 200_000
    assert found.tiny == 500 / 200_000
    assert found.std == pytest.approx(array.std(dtype="float64"), rel=1e-9)
    assert (found.min, found.max) == (0, array.max())


def test_a_colour_image_shows_all_its_channels():
    image = np.zeros((3, 8, 8))
    image[2] = 1  # blue
    found = thumbnail_of(image)
    assert (found.rows, found.columns, found.scale) == (16, 16, 1)
    pixels = np.frombuffer(base64.b64decode(found.pixels), np.int8).reshape(16, 16)
    assert (pixels[8:, :8] == 127).all()
    assert not pixels[:8].any()
    assert not pixels[8:, 8:].any()


def test_an_empty_batch_of_images_has_an_empty_thumbnail():
    assert thumbnail_of(np.zeros((0, 3, 8, 8))).pixels == ""


@pytest.mark.parametrize("scale", [1e-300, 1e-208, 1e-150, 1.0, 1e150, 1e300])
def test_a_deviation_is_right_at_the_ends_of_float64(scale):
    found = stats_of(np.array([2.0, 0.0, -1.0]) * scale)
    assert found.std == pytest.approx(float(np.std([2.0, 0.0, -1.0])) * scale)
