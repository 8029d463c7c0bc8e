"""The fast batch norm, addition and ReLU equal the plain ones, and keep their digits."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minires.devices import Normalizer, cpu
from tests.devices.plain import cut, plain
from tests.devices.test_blocked_convolution import CHANNELS, near
from tests.helpers import LAYOUTS, laid_out
from tests.ops.table import Dice


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def kernels(request, monkeypatch):
    """Every test runs with both kinds of passes, where Numba is installed."""
    name = "minires.devices." + {"numpy": "passes", "numba": "compiled_passes"}[request.param]
    if request.param == "numba":
        pytest.importorskip("numba", reason="the extra fast is not installed")
    monkeypatch.setattr(cpu, "passes", importlib.import_module(name))


# The fixture sets the same thing for all the cases that Hypothesis draws.
both_kinds = settings(
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.function_scoped_fixture]
)


class Drawn:
    """A batch, its gradient and vectors, and how the work is cut."""

    def __init__(self, data: Any) -> None:
        dice = Dice(data.draw)
        channels = dice.choose(*CHANNELS)
        shape = (dice.number(1, 9), channels, *dice.shape(0, 2, least=1))
        offset = dice.choose(0.0, 0.0, 30.0)
        self.x = self.ordered(dice, offset + dice.normal(*shape))
        self.g = self.ordered(dice, dice.normal(*shape))
        self.shortcut = self.ordered(dice, dice.normal(*shape)) if dice.flag() else None
        weight = dice.normal(channels) if dice.flag() else None
        bias = dice.normal(channels) if dice.flag() else None
        moments = offset + dice.normal(channels), dice.positive(channels)
        self.by = Normalizer(*moments, weight, bias, 1e-3, constant=dice.flag())
        self.cutting = dice.choose(1, 2, 3), dice.choose(8, 256, 1 << 18)

    @staticmethod
    def ordered(dice: Dice, x: np.ndarray) -> np.ndarray:
        layout = dice.choose("channels last", "C", *LAYOUTS)
        if layout == "channels last":
            return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        return x if layout == "C" else laid_out(x, layout)


@both_kinds
@given(st.data())
def test_it_equals_the_plain_one_forwards_and_backwards(data):
    case = Drawn(data)
    x, by = case.x, case.by
    expected = plain.normalize(x, by, case.shortcut, rectify=True)
    with cut(*case.cutting):
        for found, known in zip(cpu.batch_statistics(x), plain.batch_statistics(x), strict=True):
            near(found, known)
        near(cpu.normalize(x, by, case.shortcut), plain.normalize(x, by, case.shortcut))
        near(cpu.normalize(x, by, case.shortcut, rectify=True), expected)
        for output in (None, expected):
            found = cpu.batch_norm_backward(case.g, x, by, output, with_shortcut=True)
            known = plain.batch_norm_backward(case.g, x, by, output, with_shortcut=True)
            for gradient, plainly in zip(found, known, strict=True):
                near(gradient, plainly)


@both_kinds
@given(st.data())
def test_relu_equals_the_plain_one_in_any_memory_order(data):
    dice = Dice(data.draw)
    shape = dice.shape(1, 4)
    x, g = dice.normal(*shape), dice.normal(*shape)
    layouts = dice.choose("C", *LAYOUTS), dice.choose("C", *LAYOUTS)
    x, g = (
        a if layout == "C" else laid_out(a, layout)
        for a, layout in zip((x, g), layouts, strict=True)
    )
    with cut(dice.choose(1, 2, 3), dice.choose(8, 1 << 18)):
        y = cpu.relu(x)
        dx = cpu.relu_backward(g, y)
    np.testing.assert_array_equal(y, plain.relu(x))
    np.testing.assert_array_equal(dx, plain.relu_backward(g, y))
    if x.flags.f_contiguous and x.size > 1:
        assert y.flags.f_contiguous


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 3, 15, 16, 17, 100])
def test_relu_of_minus_zero_is_zero_and_of_nan_is_nan(size, dtype):
    """Each value stands at each place: vector lanes and the rest after them may differ."""
    tiny = np.finfo(dtype).smallest_subnormal
    minus_nan = -np.abs(np.array(np.nan, dtype))
    for value in (-0.0, 0.0, np.nan, minus_nan, np.inf, -np.inf, tiny, -tiny):
        x, g = np.full(size, value, dtype), np.arange(1, size + 1, dtype=dtype)
        with cut(1, 1 << 18):
            y, dx = cpu.relu(x), cpu.relu_backward(g, cpu.relu(x))
        assert not np.signbit(y[~np.isnan(y)]).any()
        np.testing.assert_array_equal(y, np.maximum(x, 0))
        passes = np.isnan(value) or value > 0
        np.testing.assert_array_equal(dx, g if passes else 0 * g)


def test_a_fused_block_masks_like_a_relu_of_its_own():
    """Exactly 0, -0.0 and NaN before the ReLU."""
    x = np.array([[0.0], [-0.0], [np.nan], [1.0], [-1.0]], "float32")
    by = Normalizer(*(np.array([v], "float32") for v in (0.0, 1.0)), None, None, 0.0, True)
    y = cpu.normalize(x, by, rectify=True)
    assert not np.signbit(y[[0, 1, 4]]).any()
    g = np.arange(1, 6, dtype="float32").reshape(5, 1)
    with np.errstate(invalid="ignore"):
        dx = cpu.batch_norm_backward(g, x, by, y).dx
    assert dx.ravel().tolist() == [0, 0, 3, 4, 0]


@pytest.mark.parametrize("ratio", [0, 1, 10, 30, 100, 1000])
@pytest.mark.parametrize("sign", [1, -1])
def test_statistics_keep_their_digits_far_from_zero(ratio, sign):
    """Against float64 of the same float32 numbers, at |mean| / std up to 1,000."""
    x = (sign * ratio + np.random.default_rng(0).standard_normal((64, 3, 32, 32))).astype("f4")
    mean, variance = cpu.batch_statistics(x)
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=2e-7, atol=1e-7)
    # One pass alone would err by the square of the ratio times 2^-24 / sqrt(65,536).
    np.testing.assert_allclose(variance, exact.var((0, 2, 3)), rtol=3e-7)


@pytest.mark.parametrize("ratio", [0, 3, 100])
def test_normalising_and_its_gradient_keep_their_digits_far_from_zero(ratio):
    rng = np.random.default_rng(0)
    x = (ratio + rng.standard_normal((32, 5, 16, 16))).astype("float32")
    g, weight = rng.standard_normal(x.shape).astype("float32"), rng.uniform(0.5, 2, 5)
    exact = x.astype("float64")
    precise = Normalizer(*plain.batch_statistics(exact), weight, None, 1e-5)
    by = Normalizer(*cpu.batch_statistics(x), weight.astype("float32"), None, 1e-5)
    # The mean itself has a rounding of 100 * 2^-24 in float32.
    tolerance = max(ratio, 1) * 4e-7
    np.testing.assert_allclose(
        cpu.normalize(x, by), plain.normalize(exact, precise), atol=4 * tolerance
    )
    found = cpu.batch_norm_backward(g, x, by)
    known = plain.batch_norm_backward(g.astype("float64"), exact, precise)
    np.testing.assert_allclose(found.dx, known.dx, atol=4 * tolerance)
    for name in ("d_weight", "d_bias"):
        expected = getattr(known, name)
        size = np.sqrt(x.size / 5)  # of a sum of so many random numbers
        np.testing.assert_allclose(getattr(found, name), expected, atol=tolerance * size)


def test_one_channel_without_spread_does_not_spoil_the_others():
    x = np.random.default_rng(0).standard_normal((8, 3, 4, 4)).astype("float32")
    x[:, 1] = 1e30
    mean, variance = cpu.batch_statistics(x)
    exact = x.astype("float64")
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(variance[[0, 2]], exact.var((0, 2, 3))[[0, 2]], rtol=1e-6)
    assert variance[1] == 0
