"""The fast convolution equals the plain one and PyTorch's, whatever the shapes and the cutting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices import Window, blocked_convolution, cpu
from minires.devices.columns import Block
from minires.devices.finish import Finish
from tests.devices.plain import cut, plain
from tests.helpers import LAYOUTS, laid_out
from tests.ops.table import Dice

CHANNELS = (1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 65)
GROUPS = ((1, 1), (2, 4), (3, 3), (4, 4), (16, 16), (32, 64), (33, 33), (34, 17))


def near(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal to 1e-10 of the largest value."""
    assert found.shape == expected.shape
    scale = max(np.abs(expected).max(), 1e-300)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * scale)


class Drawn:
    """One convolution: arrays, geometry, and how the work is cut."""

    def __init__(self, data: Any) -> None:
        dice = Dice(data.draw)
        self.kernel = dice.pair(1, 4)
        self.stride = dice.choose((1, 1), (1, 1), (2, 2), (1, 2), (3, 1))
        self.dilation = dice.choose((1, 1), (1, 1), (2, 2), (1, 3))
        self.padding = dice.pair(0, 3)
        self.groups, channels = 1, (dice.choose(*CHANNELS), dice.choose(*CHANNELS))
        if dice.flag():
            joined = dice.choose(*GROUPS)
            self.groups = int(np.gcd(*joined))
            channels = joined
        extent = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        least = [max(e - 2 * p, 1) for e, p in zip(extent, self.padding, strict=True)]
        size = [side + dice.number(0, 7) for side in least]
        self.x = dice.normal(dice.number(1, 5), channels[0], *size)
        self.weight = dice.normal(channels[1], channels[0] // self.groups, *self.kernel)
        self.bias = dice.normal(channels[1]) if dice.flag() else None
        layout = dice.choose("channels last", "C", *LAYOUTS)
        if layout != "C":
            self.x = in_order(self.x, layout)
        frames = tuple((p, p) for p in self.padding)
        self.window = Window(self.kernel, self.stride, frames, self.dilation)
        self.layout = dice.choose("channels last", "C")
        self.cutting = dice.choose(1, 2, 3), dice.choose(64, 1 << 12, 1 << 20)
        self.rng = dice.rng

    def cotangent(self, y: np.ndarray) -> np.ndarray:
        return in_order(self.rng.standard_normal(y.shape), self.layout)


def in_order(x: np.ndarray, layout: str) -> np.ndarray:
    if layout == "channels last":
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return x if layout == "C" else laid_out(x, layout)


@given(st.data())
def test_it_equals_the_plain_convolution_forwards_and_backwards(data):
    case = Drawn(data)
    x, weight, window, groups = case.x, case.weight, case.window, case.groups
    expected = plain.conv2d(x, weight, window, groups, case.bias)
    g = case.cotangent(expected)
    with cut(*case.cutting):
        near(cpu.conv2d(x, weight, window, groups, case.bias), expected)
        dx, dw = cpu.conv2d_backward(g, x, weight, window, groups, (True, True))
        alone = cpu.conv2d_input(g, weight, window, groups, x.shape[2:])
        weight_alone = cpu.conv2d_weight(g, x, window, groups)
        # What follows the convolution in its chunks, to the bit as one after the other.
        y, shortcut = cpu.conv2d(x, weight, window, groups, case.bias), case.cotangent(expected)
        fused = [cpu.conv2d_relu(x, weight, window, groups, case.bias, s) for s in (None, shortcut)]
    np.testing.assert_array_equal(fused[0], np.maximum(y, 0))
    np.testing.assert_array_equal(fused[1], np.maximum(y + shortcut, 0))
    near(fused[1], plain.conv2d_relu(x, weight, window, groups, case.bias, shortcut))
    for found in (dx, alone):
        near(found, plain.conv2d_input(g, weight, window, groups, x.shape[2:]))
    for found in (dw, weight_alone):
        near(found, plain.conv2d_weight(g, x, window, groups))


@pytest.mark.oracle
@given(st.data())
def test_it_equals_pytorchs_convolution(data):
    torch = pytest.importorskip("torch")
    case = Drawn(data)
    x, weight = torch.tensor(case.x.copy()).requires_grad_(), torch.tensor(case.weight)
    weight.requires_grad_()
    y = torch.nn.functional.conv2d(
        x,
        weight,
        None if case.bias is None else torch.tensor(case.bias),
        case.stride,
        case.padding,
        case.dilation,
        case.groups,
    )
    g = case.cotangent(y.detach().numpy())
    y.backward(torch.tensor(g.copy()))
    with cut(*case.cutting):
        near(
            cpu.conv2d(case.x, case.weight, case.window, case.groups, case.bias), y.detach().numpy()
        )
        found = cpu.conv2d_backward(g, case.x, case.weight, case.window, case.groups, (True, True))
    near(found[0], x.grad.numpy())
    near(found[1], weight.grad.numpy())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_number_of_threads_gives_the_same_bits(threads):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 5, 9, 9)).astype("float32")
    weight = rng.standard_normal((6, 5, 3, 3)).astype("float32")
    window = Window((3, 3), padding=((1, 1), (1, 1)))
    with cut(threads, 1 << 12):
        y = cpu.conv2d(x, weight, window, 1)
        first = cpu.conv2d_backward(y, x, weight, window, 1, (True, True))
        for _ in range(5):
            again = cpu.conv2d_backward(y, x, weight, window, 1, (True, True))
            assert [a.tobytes() for a in again] == [a.tobytes() for a in first]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["x", "weight", "g"])
@pytest.mark.parametrize(
    ("groups", "channels", "stride", "padding"),
    [
        (1, (2, 2), 1, 1),
        (1, (33, 20), 1, 1),
        (2, (4, 4), 1, 1),
        (2, (4, 4), 2, 1),
        (4, (4, 4), 1, 1),
    ],
)
def test_what_is_not_finite_reaches_those_who_see_it_and_nobody_else(
    groups, channels, stride, padding, where, value
):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, channels[0], 6, 8))
    weight = rng.standard_normal((channels[1], channels[0] // groups, 3, 3))
    window = Window((3, 3), (stride, stride), ((padding, padding), (padding, padding)))
    g = rng.standard_normal(plain.conv2d(x, weight, window, groups).shape)
    spoilt = {"x": x, "weight": weight, "g": g}[where]
    spoilt[0, 0, 0, 1] = value

    def kernels(device):
        with np.errstate(invalid="ignore"):
            y = device.conv2d(x, weight, window, groups)
            both = device.conv2d_backward(g, x, weight, window, groups, (True, True))
            dx = device.conv2d_input(g, weight, window, groups, x.shape[2:])
            rectified = device.conv2d_relu(x, weight, window, groups, None, g)
            return y, *both, dx, device.conv2d_weight(g, x, window, groups), rectified

    for found, expected in zip(kernels(cpu), kernels(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_a_finished_chunk_has_no_negative_zero():
    y = np.full((1, 2, 3, 4), -0.0)
    Finish(rectify=True).of(y)(Block(0, 1, 0, 2))
    assert not np.signbit(y).any()


@pytest.mark.filterwarnings("error")
def test_infinities_in_a_strided_grouped_gradient_raise_no_alarm():
    g = np.zeros((1, 12, 2, 2))
    g[0, :, 0, 0], g[0, :, 1, 1] = np.inf, -np.inf
    weight, window = np.ones((12, 3, 3, 1)), Window((3, 1), (3, 1))
    found = cpu.conv2d_input(g, weight, window, 4, (6, 2))
    np.testing.assert_array_equal(found, plain.conv2d_input(g, weight, window, 4, (6, 2)))


def test_no_two_threads_fold_into_the_same_image():
    with cut(4, 1 << 10):
        parts = blocked_convolution._parts((3, 50), 1 << 30, by_rows=False)
    images = [image for part in parts for image in range(part.first, part.last)]
    assert sorted(images) == [0, 1, 2]
    assert all((part.top, part.bottom) == (0, 50) for part in parts)


def test_results_come_out_channels_last():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 4, 6, 6)), rng.standard_normal((4, 4, 3, 3))
    for window in (Window((3, 3)), Window((3, 3), (2, 2)), Window((1, 1))):
        weight = weight[:, :, : window.kernel[0], : window.kernel[1]]
        y = cpu.conv2d(x, weight, window, 1)
        dx, _ = cpu.conv2d_backward(y, x, weight, window, 1, (True, True))
        for images in (y, dx):
            assert images.transpose(0, 2, 3, 1).flags.c_contiguous


def test_what_blas_cannot_compute_is_computed_plainly():
    x, weight = np.arange(9).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2), int)
    assert cpu.conv2d(x, weight, Window((2, 2)), 1).tolist() == [[[[8, 12], [20, 24]]]]
    half = cpu.conv2d(x.astype("float16"), weight.astype("float16"), Window((2, 2)), 1)
    assert half.dtype == "float16"
