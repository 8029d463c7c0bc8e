"""The CPU's kernels on plain arrays: against loops, in any memory order, to full precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires import devices
from minires.devices import Window, cpu
from tests.helpers import LAYOUTS, laid_out
from tests.ops import naive
from tests.ops.table import Dice
from tests.ops.table.windows import fitting, geometry, window_of

UNEVEN = Window((2, 3), (1, 2), ((1, 0), (0, 2)), (2, 1))


def images(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@given(st.data())
def test_convolution_and_its_two_transposes(data):
    dice = Dice(data.draw)
    window = geometry(dice)
    x = dice.normal(2, 2, *fitting(dice, window))
    weight = dice.normal(2, 1, *window["kernel"])
    y = cpu.conv2d(x, weight, window_of(window), 2)
    options = {name: window[name] for name in ("stride", "padding", "dilation")}
    np.testing.assert_allclose(y, naive.conv2d(x, weight, None, **options, groups=2), atol=1e-12)

    g = dice.normal(*y.shape)
    dx = cpu.conv2d_input(g, weight, window_of(window), 2, x.shape[2:])
    dw = cpu.conv2d_weight(g, x, window_of(window), 2)
    assert (y * g).sum() == pytest.approx((x * dx).sum(), rel=1e-9, abs=1e-12)
    assert (y * g).sum() == pytest.approx((weight * dw).sum(), rel=1e-9, abs=1e-12)


def test_padding_may_differ_on_the_two_sides():
    x = images(1, 2, 4, 5)
    columns = cpu.im2col(x, UNEVEN)
    framed = np.pad(x, ((0, 0), (0, 0), *UNEVEN.padding))
    plain = UNEVEN._replace(padding=((0, 0), (0, 0)))
    np.testing.assert_array_equal(columns, cpu.im2col(framed, plain))
    back = cpu.col2im(columns, UNEVEN, (4, 5))
    assert (columns**2).sum() == pytest.approx((x * back).sum(), rel=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_kernels_take_any_memory_order(layout):
    x, weight = images(2, 4, 5, 6), images(6, 2, 3, 3)
    window = Window((3, 3), (2, 1), ((1, 1), (1, 1)))
    y = cpu.conv2d(x, weight, window, 2)
    moved = laid_out(x, layout), laid_out(weight, layout)
    np.testing.assert_allclose(cpu.conv2d(*moved, window, 2), y, rtol=1e-12)
    np.testing.assert_allclose(cpu.im2col(moved[0], window), cpu.im2col(x, window))
    for found, expected in zip(
        cpu.max_pool(moved[0], window), cpu.max_pool(x, window), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_convolutions_come_out_channels_last():
    y = cpu.conv2d(images(2, 3, 5, 5), images(4, 3, 3, 3), Window((3, 3)), 1)
    assert y.shape == (2, 4, 3, 3)
    assert y.transpose(0, 2, 3, 1).flags["C_CONTIGUOUS"]


def test_max_pool_says_where_each_winner_stood():
    x = images(2, 3, 5, 6)
    window = Window((3, 2), (2, 2), ((1, 1), (1, 1)))
    values, places = cpu.max_pool(x, window)
    flat = x.reshape(2, 3, 30)
    np.testing.assert_array_equal(
        np.take_along_axis(flat, places.reshape(2, 3, -1), 2).reshape(values.shape), values
    )


def test_batch_statistics_of_many_equal_values_are_exact():
    x = np.full((1000, 2), 0.1, "float32")
    mean, variance = cpu.batch_statistics(x)
    np.testing.assert_array_equal(mean, x[0])
    assert variance.max() < 1e-14


def test_half_precision_statistics_are_gathered_in_single_precision():
    x = np.full((5000, 1), 300.0, "float16")
    mean, variance = cpu.batch_statistics(x)
    assert mean.tolist() == [300.0]
    assert variance.tolist() == [0.0]
    assert mean.dtype == "float32"


def test_batch_norms_backward_is_its_formula():
    x, g, weight = images(4, 3, 2), images(4, 3, 2)[::-1], images(3)
    mean, variance = cpu.batch_statistics(x)
    by = devices.Normalizer(mean, variance, weight, None, 0.1)
    dx, _, dw, db = cpu.batch_norm_backward(g, x, by)
    column = (1, 3, 1)
    std = np.sqrt(variance + 0.1).reshape(column)
    x_hat = (x - mean.reshape(column)) / std
    averaged = g - g.mean((0, 2), keepdims=True)
    averaged -= x_hat * (g * x_hat).mean((0, 2), keepdims=True)
    np.testing.assert_allclose(dx, weight.reshape(column) / std * averaged, rtol=1e-10)
    np.testing.assert_allclose(dw, (g * x_hat).sum((0, 2)))
    np.testing.assert_allclose(db, g.sum((0, 2)))


def test_add_at_counts_every_repetition():
    total = np.zeros(3)
    cpu.add_at(total, np.array([0, 2, 2, 2]), np.array([1.0, 1.0, 2.0, 3.0]))
    assert total.tolist() == [1.0, 0.0, 6.0]


def test_a_fingerprint_changes_with_any_number_in_any_memory_order():
    x = images(3, 4)
    before = cpu.fingerprint(x)
    assert cpu.fingerprint(np.asfortranarray(x)) == before
    x[2, 3] += 1e-9
    assert cpu.fingerprint(x) != before
    for odd in (np.zeros(()), np.zeros((0, 2)), x[::2, ::-1]):
        assert cpu.fingerprint(odd) == cpu.fingerprint(odd.copy())


def test_views_share_memory_and_copies_do_not():
    x = images(4, 4)
    assert cpu.shares_memory(x, x.T[1:])
    assert not cpu.shares_memory(x, x[[0, 1]])


def test_a_read_only_view_refuses_writes_and_its_array_does_not():
    x = images(4, 4)
    view = cpu.read_only(x)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    x[0] = 1
    assert view[0, 0] == 1


def test_the_device_goes_by_its_name():
    assert devices.get() is devices.get("cpu") is devices.get(cpu) is cpu
    assert str(cpu) == "cpu"
    with pytest.raises(ValueError, match="unknown device 'tpu'"):
        devices.get("tpu")


@pytest.mark.parametrize(
    ("window", "size", "padded", "out"),
    [
        (Window((3, 3)), (5, 6), (5, 6), (3, 4)),
        (Window((3, 2), (2, 2), ((1, 1), (0, 1))), (5, 6), (7, 7), (3, 3)),
        (Window((2, 2), dilation=(3, 1)), (4, 4), (4, 4), (1, 3)),
        (UNEVEN, (4, 5), (5, 7), (3, 3)),
    ],
)
def test_where_windows_stand(window, size, padded, out):
    assert window.padded_size(size) == padded
    assert window.output_size(size) == out
    assert window.taps == window.kernel[0] * window.kernel[1]


@pytest.mark.parametrize("asked", ["memory", "free_memory", "capture"])
def test_what_only_a_gpu_has_is_told_with_where_to_ask(asked: str) -> None:
    told = rf"{asked}: device 'cpu' has no .*mr\.devices\.get\('cuda'\)\.{asked}\(\)"
    with pytest.raises(RuntimeError, match=told):
        getattr(cpu, asked)()
