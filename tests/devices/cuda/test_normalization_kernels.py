"""Batch normalisation on a GPU: against the readable kernels, hard numbers, and mutants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices import Normalizer
from minires.devices.cuda import blocks
from minires.devices.cuda.batch_norm import BATCH_NORM, NORMALIZE
from minires.devices.cuda.batch_norm_backward import BATCH_NORM_BACKWARD, SUM_GRADIENTS
from minires.devices.cuda.moments import FIND_MOMENTS, TELL_STATISTICS
from tests.devices.cuda import fake, host
from tests.devices.cuda.launches import check, launches_of, surviving
from tests.devices.plain import plain

DTYPES = ["float16", "float32", "float64"]
# The default tests compile for one of them; each takes a while.
EVERY = [pytest.param(T, marks=() if T == "float32" else pytest.mark.long) for T in DTYPES]
WIDE = {"float16": "float32", "float32": "float32", "float64": "float64"}
# Of results that are about 1 in size.
CLOSE = {"float16": 4e-3, "float32": 3e-5, "float64": 1e-13}


class Case:
    """A batch, and everything that may come with it."""

    def __init__(
        self, shape=(3, 4, 5, 6), T="float32", affine=True, shortcut=False, rectify=False, seed=0
    ):
        dice = np.random.default_rng(seed)
        self.T, self.rectify = T, rectify
        drift = np.linspace(0, 4, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        self.x = (dice.standard_normal(shape) * 2 + drift).astype(T)
        self.g = dice.standard_normal(shape).astype(T)
        self.shortcut = dice.standard_normal(shape).astype(T) if shortcut else None
        self.output = np.maximum(dice.standard_normal(shape), 0).astype(T) if rectify else None
        vectors = dice.uniform(0.5, 1.5, (6, shape[1])).astype(WIDE[T])
        self.weight, self.bias = vectors[:2] if affine else (None, None)
        self.running, self.given = vectors[2:4], vectors[4:]

    def train(self, device, put=np.copy):
        """y, mean, variance, and the running statistics after it."""
        running = put(self.running[0]), put(self.running[1])
        vectors = [v if v is None else put(v) for v in (self.weight, self.bias)]
        shortcut = None if self.shortcut is None else put(self.shortcut)
        given = put(self.x), *vectors, 1e-3, running, 0.1
        y, own = device.batch_norm(*given, shortcut=shortcut, rectify=self.rectify)
        return y, *own, *running

    def normalize(self, device, put=np.copy):
        shortcut = None if self.shortcut is None else put(self.shortcut)
        return device.normalize(put(self.x), self.by(put), shortcut, self.rectify)

    def backward(self, device, put=np.copy, constant=False):
        by = self.by(put, plain.batch_statistics(self.x), constant)
        output = None if self.output is None else put(self.output)
        given = put(self.g), put(self.x), by, output, self.shortcut is not None
        return tuple(device.batch_norm_backward(*given))

    def by(self, put, statistics=None, constant=False):
        vectors = (*(self.given if statistics is None else statistics), self.weight, self.bias)
        return Normalizer(*[None if v is None else put(v) for v in vectors], 1e-3, constant)

    def wider(self):
        """The same in float64."""
        case = object.__new__(Case)
        for name, value in vars(self).items():
            wide = value.astype("float64") if isinstance(value, np.ndarray) else value
            setattr(case, name, wide)
        return case

    def everything(self, device, put=np.copy):
        results = (*self.train(device, put), self.normalize(device, put))
        for constant in (False, True):
            results += self.backward(device, put, constant)
        return (*results, *device.batch_statistics(put(self.x)))


@st.composite
def cases(draw):
    spatial = draw(st.lists(st.integers(1, 6), max_size=3))
    shape = (draw(st.integers(2, 9)), draw(st.integers(1, 4)), *spatial)
    flags = [draw(st.booleans()) for _ in range(3)]
    return Case(shape, draw(st.sampled_from(DTYPES)), *flags, draw(st.integers(0, 99)))


def agree(found, expected, T):
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            size = max(1, abs(b.astype("float64")).max())
            np.testing.assert_allclose(a, b, CLOSE[T], CLOSE[T] * size)


def in_pieces(case, shortest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SHORTEST", shortest)
        return launches_of(case.everything)


@given(cases(), st.sampled_from([32, 1024]))
def test_kernels_equal_the_readable_ones(case, shortest):
    _, found = in_pieces(case, shortest)
    agree(found, case.wider().everything(plain), case.T)


@pytest.mark.long
@given(cases(), st.sampled_from([32, 1024]))
def test_sources_equal_their_plain_versions(case, shortest):
    host.needs_compiler()
    made, _ = in_pieces(case, shortest)
    check(made, rtol=CLOSE[case.T], atol=CLOSE[case.T])


@pytest.mark.parametrize("T", EVERY)
def test_many_values_in_several_pieces(T):
    host.needs_compiler()
    case = Case((30, 2, 9, 11), T, shortcut=True, rectify=True)
    made, found = launches_of(case.everything)
    assert made[1].grid == (2, 3)
    agree(found, case.wider().everything(plain), T)
    check(made, rtol=CLOSE[T], atol=10 * CLOSE[T])


@pytest.mark.parametrize(
    ("function", "kernels"),
    [
        (Case.train, [FIND_MOMENTS, BATCH_NORM]),
        (Case.backward, [SUM_GRADIENTS, BATCH_NORM_BACKWARD]),
        (Case.normalize, [NORMALIZE]),
    ],
)
@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 4, 5)])
def test_a_block_is_two_kernels_forward_and_two_backward(function, kernels, shape):
    case = Case(shape, shortcut=True, rectify=True)
    with fake.installed() as device:

        def put(a):
            there = device.array(a)
            if a.ndim < 3:
                return there
            images = device.empty_images(a.shape, a.dtype)
            images[...] = there
            return images

        arrays = [case.x, case.g, case.shortcut, case.output]
        there = {id(a): put(a) for a in arrays}
        with fake.counting() as counts:
            function(case, device, lambda a: there[id(a)] if id(a) in there else put(a))
    assert counts.launches == [kernel.name for kernel in kernels]
    assert not counts.downloads


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_any_memory_order_comes_in_and_the_devices_comes_out(order):
    case = Case(rectify=True, shortcut=True)
    back = [order.index(axis) for axis in range(4)]
    with fake.installed() as device:

        def put(a):
            if a.ndim < 4:
                return device.array(a)
            return device.array(np.ascontiguousarray(a.transpose(order))).transpose(back)

        images = (
            case.train(device, put)[0],
            case.normalize(device, put),
            case.backward(device, put)[0],
        )
        for made in images:
            assert made.transpose(1, 0, 2, 3).flags.c_contiguous
        agree([device.to_numpy(images[0])], [case.train(plain)[0]], "float32")


def difficult():
    dice = np.random.default_rng(1)
    shape = 20, 3, 10, 10
    yield "far from 0", 1e4 + 1e-2 * dice.standard_normal(shape), "float32"
    yield "far from 0, in float64", 1e8 + 1e-2 * dice.standard_normal(shape), "float64"
    yield "constant", np.full(shape, 0.1), "float32"
    yield "as large as halves get", 6e4 * np.sign(dice.standard_normal(shape)), "float16"
    yield "as small as halves get", 1e-6 * dice.standard_normal(shape), "float16"
    outlier = dice.standard_normal(shape)
    outlier[3, 1, 2, 2] = 1e6
    yield "one far out", outlier, "float32"


@pytest.mark.parametrize("kernels", ["plain", pytest.param("host", marks=pytest.mark.long)])
@pytest.mark.parametrize(("told", "values", "T"), list(difficult()))
def test_statistics_of_difficult_numbers_are_those_of_float64(kernels, told, values, T):
    if kernels == "host":
        host.needs_compiler()
    x = values.astype(T)
    wide = x.astype("longdouble")
    with fake.installed(kernels) as device:
        there = device.array(x)
        found = [device.to_numpy(a) for a in device.batch_statistics(there)]
        trained = device.batch_norm(there, None, None, 1e-5, None, 0.1)[1]
        for a, b in zip(found, trained, strict=True):
            np.testing.assert_array_equal(a, device.to_numpy(b))
    mean, variance = wide.mean((0, 2, 3)), wide.var((0, 2, 3))
    rounding, wide_rounding = float(np.finfo(WIDE[T]).eps), 2.0**-52
    np.testing.assert_allclose(found[0], mean, rounding, rounding * float(wide.std()))
    # Means of pieces are float64, and lose its digits only where they are far larger than the std.
    lost = float(wide_rounding * (abs(mean).max() / max(wide.std(), 1e-4)))
    lowest = (wide_rounding * float(abs(wide).max())) ** 2
    np.testing.assert_allclose(found[1], variance, 20 * rounding + lost, lowest)


def test_two_values_in_each_channel_have_a_variance():
    x = np.array([[1.0, 5.0], [3.0, 5.0]], "float32")
    with fake.installed() as device:
        running = device.array(np.zeros(2, "float32")), device.array(np.ones(2, "float32"))
        y, (mean, variance) = device.batch_norm(device.array(x), None, None, 0.5, running, 0.25)
        assert device.to_numpy(mean).tolist() == [2, 5]
        assert device.to_numpy(variance).tolist() == [1, 0]
        assert device.to_numpy(running[0]).tolist() == [0.5, 1.25]
        assert device.to_numpy(running[1]).tolist() == [1.25, 0.75]  # the unbiased 2 and 0
        np.testing.assert_allclose(device.to_numpy(y)[:, 1], 0)


@pytest.mark.parametrize("kernels", ["plain", "host"])
@pytest.mark.parametrize("T", EVERY)
def test_normalising_again_gives_the_same_bits(kernels, T):
    if kernels == "host":
        host.needs_compiler()
    case = Case((20, 3, 9, 9), T, rectify=True)
    with fake.installed(kernels) as device:
        y, mean, variance, *_ = case.train(device, device.array)
        by = Normalizer(mean, variance, device.array(case.weight), device.array(case.bias), 1e-3)
        again = device.normalize(device.array(case.x), by, rectify=True)
        np.testing.assert_array_equal(device.to_numpy(y), device.to_numpy(again))


@pytest.mark.parametrize("kernels", ["plain", "host"])
def test_a_relu_stops_zeros_and_lets_nan_pass(kernels):
    if kernels == "host":
        host.needs_compiler()
    output = np.array([[0.0], [-0.0], [1.0], [np.nan]], "float32")
    g = np.array([[1.0], [2.0], [4.0], [8.0]], "float32")
    with fake.installed(kernels) as device:
        one = device.array(np.ones(1, "float32"))
        by = Normalizer(one, one, None, None, 0.0, constant=True)
        given = (device.array(g), device.array(g), by, device.array(output), True)
        found = device.batch_norm_backward(*given)
        assert device.to_numpy(found.d_shortcut).ravel().tolist() == [0, 0, 4, 8]
        assert device.to_numpy(found.dx).ravel().tolist() == [0, 0, 4, 8]
        assert device.to_numpy(found.d_bias).tolist() == [12]

        x = device.array(np.array([[1.0], [-1.0], [np.nan], [-np.inf]], "float32"))
        y = device.to_numpy(device.normalize(x, by, None, True)).ravel()
        np.testing.assert_array_equal(y, [0, 0, np.nan, 0])
        assert not np.signbit(y[[0, 1, 3]]).any()


def test_a_channel_with_a_nan_does_not_touch_the_others():
    case = Case(rectify=True)
    clean = case.train(plain)
    case.x[1, 2, 3, 3] = np.nan
    _, found = launches_of(case.train)
    for a, b in zip(found, clean, strict=True):
        a, b = (v.reshape(3, 4, -1) if v.ndim > 1 else v.reshape(1, 4, 1) for v in (a, b))
        assert np.isnan(a[:, 2]).all()
        np.testing.assert_allclose(a[:, [0, 1, 3]], b[:, [0, 1, 3]], 1e-5, 1e-5)


def test_without_a_relu_the_shortcut_receives_the_gradient_itself():
    case = Case(shortcut=True)
    with fake.installed() as device:
        g = device.array(case.g)
        by = case.by(device.array)
        found = device.batch_norm_backward(g, device.array(case.x), by, with_shortcut=True)
        assert found.d_shortcut is g


@pytest.mark.parametrize(
    "change",
    [
        lambda case: setattr(case, "weight", case.weight.astype("float64")),
        lambda case: setattr(case, "running", case.running.astype("float64")),
        lambda case: setattr(case, "shortcut", case.x.astype("float64")),
        lambda case: setattr(case, "g", case.g.astype("float64")),
    ],
)
def test_mixed_dtypes_are_computed_as_on_any_device(change):
    case = Case()
    change(case)
    _, found = launches_of(case.everything)
    expected = case.everything(plain)
    agree(found, expected, "float32")
    assert [a is None or a.dtype for a in found] == [a is None or a.dtype for a in expected]


NUMBERS = {"rtol": 3e-5, "atol": 3e-5}


def trained():
    host.needs_compiler()
    case, far = Case((30, 2, 9, 11), shortcut=True, rectify=True, seed=3), Case((30, 1, 9, 11))
    far.x = (1e4 + 1e-2 * far.x).astype("float32")
    given = case, far, Case((40, 3))
    # More pieces than threads, which then add up several each.
    many = in_pieces(Case((40, 1, 15, 15), rectify=True), 32)[0]
    assert many[0].grid[1] > many[0].kernel.block
    return [*many, *(launch for one in given for launch in launches_of(one.everything)[0])]


MUTANTS = {
    FIND_MOMENTS: [
        ("half_way];\n        __syncthreads();", "half_way];"),
        ("start + length, count", "start + length - 1, count"),
        ("min(start + length, count)", "start + length"),
        ("sum += (A)channel", "sum = (A)channel"),
        ("away * away", "away"),
        ("- found.first * more", ""),
        ("blockIdx.x * gridDim.y + blockIdx.y", "blockIdx.y * gridDim.x + blockIdx.x"),
        ("if (threadIdx.x == 0) {\n        double more", "{\n        double more"),
        ("channel[m * step] - mean", "channel[m] - mean"),
    ],
    TELL_STATISTICS: [
        ("own.second;", "own.first;"),
        ("    __syncthreads();  // only now may the next sum write", ""),
        ("p < pieces", "p + 1 < pieces"),
        ("min(length, count - p * length) * own", "length * own"),
        ("* away * away", "* away"),
        ("moments + 2 * pieces", "moments + pieces"),
    ],
    NORMALIZE: [
        ("variance + eps", "variance"),
        ("v <= 0", "v < 0.1f"),
        ("if (shortcut) v +=", "if (shortcut) v -="),
        ("* scale + shift", "* scale"),
        ("start + length, count", "start + length + 1, count"),
        ("weight[blockIdx.x]", "weight[blockIdx.y]"),
        ("m * step;", "m;"),
    ],
    BATCH_NORM: [
        ("own_variance * unbias", "own_variance"),
        ("running_mean[c] * keep", "running_mean[c]"),
        ("blockIdx.y == 0 && threadIdx.x == 0", "threadIdx.x == 0"),
        ("blockIdx.y == 0 && threadIdx.x == 0", "blockIdx.y == 0"),
        ("min(length, count - p * length) * away", "length * away"),
        ("min(length, count - p * length) * own", "own"),
        ("block_sum(square) / count", "block_sum(square) / (count - 1)"),
        ("own[2 * p + 1] +", ""),
        ("square += own", "square = own"),
        ("sum += min(", "sum = min("),
        ("half_way];\n        __syncthreads();", "half_way];"),
    ],
    SUM_GRADIENTS: [
        ("<= 0", "< 0"),
        ("output[i] <= 0 ?", "output[i] >= 0 ?"),
        (" - centre", ""),
        ("start + length, count", "start + length - 1, count"),
        ("own[1] = found.second", "own[1] = found.first"),
        ("half_way];\n        __syncthreads();", "half_way];"),
    ],
    BATCH_NORM_BACKWARD: [
        ("<= 0", "< 0"),
        ("p < pieces", "p + 1 < pieces"),
        ("level + (", "("),
        ("mine = mine + Pair", "mine = Pair"),
        ("inverse_std * inverse_std / count", "inverse_std / count"),
        ("if (!constant) ", ""),
        ("masked[i] = (T)through", "masked[i] = g[i]"),
        ("through * scale", "through * inverse_std"),
        ("d_bias[c] = (A)total.first", "d_bias[c] = (A)mine.first"),
        ("total.first / count", "total.first / length"),
        ("blockIdx.y == 0 && threadIdx.x == 0", "threadIdx.x == 0"),
    ],
}


@pytest.mark.long
@pytest.mark.parametrize("kernel", MUTANTS, ids=lambda kernel: kernel.name)
def test_mutants_are_caught(kernel):
    assert surviving(kernel, MUTANTS[kernel], trained(), **NUMBERS) == []


@pytest.mark.long
@pytest.mark.parametrize("sanitize", ["thread", "address"])
def test_sources_are_clean_on_real_threads(sanitize):
    host.needs_compiler()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "SHORTEST", 32)
        made, _ = launches_of(Case((2, 1, 5, 5), shortcut=True, rectify=True).everything)
    one_of_each = {launch.kernel: launch for launch in made}
    assert one_of_each.keys() == MUTANTS.keys()
    check(one_of_each.values(), **NUMBERS, sanitize=sanitize)
