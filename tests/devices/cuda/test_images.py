"""Images on the fake device: what the readable kernels compute, in the device's memory order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.devices import Window, cpu
from minires.devices.cuda import convolution, elementwise
from minires.devices.cuda.layout import dense, fills_one_run, is_laid_out
from tests.devices.cuda import fake, host
from tests.devices.cuda.geometries import UNEVEN, Geometry, geometries
from tests.devices.plain import plain
from tests.helpers import LAYOUTS, laid_out

WINDOW = Window((3, 3), (1, 1), ((1, 1), (1, 1)))


@pytest.fixture(scope="module")
def cuda():
    with fake.installed() as device:
        yield device


def device_array(cuda: Any, x: np.ndarray, layout: str = "C") -> Any:
    """The same values on the device in a memory order that no upload gives."""
    axes = tuple(range(x.ndim))
    if layout == "F":
        return cuda.array(np.ascontiguousarray(x.T)).T
    if layout == "last axis first":
        turned = cuda.array(np.ascontiguousarray(np.moveaxis(x, -1, 0)))
        return turned.transpose(*axes[1:], 0)
    if layout == "reversed":
        return cuda.array(np.flip(x).copy())[(slice(None, None, -1),) * x.ndim]
    if layout == "sliced":
        return cuda.array(laid_out(x, layout).base)[(slice(1, None, 2),) * x.ndim]
    return cuda.array(x)


def near(found: Any, expected: np.ndarray, T: str = "float64") -> None:
    tolerance = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-10}[T]
    scale = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.get(), expected, rtol=0, atol=tolerance * scale)


class Drawn:
    """A convolution: its arrays on the host, and on the device in some memory order."""

    def __init__(self, cuda: Any, data: Any, T: str = "float64") -> None:
        at = data.draw(geometries())
        self.groups = data.draw(st.sampled_from([1, 1, 2, 3]))
        n, c, *size = at.shape
        outputs = data.draw(st.integers(1, 3)) * self.groups
        self.window = at.window
        shapes = {
            "x": (n, c * self.groups, *size),
            "weight": (outputs, c, *at.window.kernel),
            "bias": (outputs,),
            "g": (n, outputs, *at.output[2:]),
            "shortcut": (n, outputs, *at.output[2:]),
        }
        rng = np.random.default_rng(at.seed)
        self.host = {name: rng.standard_normal(shape).astype(T) for name, shape in shapes.items()}
        if data.draw(st.booleans()):
            del self.host["bias"]
        layouts = st.sampled_from(["C", "C", *LAYOUTS])
        self.device = {
            name: device_array(cuda, x, data.draw(layouts)) for name, x in self.host.items()
        }


def run(device: Any, case: Any, arrays: dict[str, Any]) -> list[Any]:
    """Everything a convolution has to do with."""
    x, weight, g = (arrays[name] for name in ("x", "weight", "g"))
    window, groups, bias = case.window, case.groups, arrays.get("bias")
    return [
        device.conv2d(x, weight, window, groups, bias),
        device.conv2d_relu(x, weight, window, groups, bias),
        device.conv2d_relu(x, weight, window, groups, bias, arrays["shortcut"]),
        device.conv2d_input(g, weight, window, groups, x.shape[2:]),
        device.conv2d_weight(g, x, window, groups),
        *device.conv2d_backward(g, x, weight, window, groups, (True, True)),
        device.im2col(x, window),
        device.window_sums(x, window),
        device.spread_sums(g, window, x.shape[2:]),
        *device.max_pool(x, window),
    ]


@given(data=st.data())
def test_convolution_and_pooling_equal_the_readable_kernels(cuda, data):
    case = Drawn(cuda, data)
    for found, expected in zip(
        run(cuda, case, case.device), run(plain, case, case.host), strict=True
    ):
        near(found, expected)


@pytest.mark.long
@pytest.mark.parametrize("T", ["float16", "float32"])
@given(data=st.data())
def test_they_do_in_other_dtypes(cuda, T, data):
    case = Drawn(cuda, data, T)
    if T == "float16":  # the readable products have no accumulator
        case.host = {name: x.astype("float32") for name, x in case.host.items()}
    pairs = zip(run(cuda, case, case.device), run(plain, case, case.host), strict=True)
    for found, expected in pairs:
        near(found, expected.astype(found.dtype), T)


@pytest.mark.parametrize("at", UNEVEN)
def test_the_sources_are_launched_with_enough_blocks(cuda, monkeypatch, at: Geometry):
    host.needs_compiler()
    monkeypatch.setattr(cuda, "kernels", "host")
    monkeypatch.setattr(cuda, "_functions", {})
    x, weight = at.images(), at.normal(4, at.shape[1], *at.window.kernel)
    x = np.tile(x, (40, 1, 1, 1))  # several blocks
    y = plain.conv2d(x, weight, at.window, 1)
    case = SimpleNamespace(window=at.window, groups=1)
    arrays = {"x": x, "weight": weight, "g": y, "shortcut": y[::-1], "bias": weight[:, 0, 0, 0]}
    uploaded = {name: cuda.array(array) for name, array in arrays.items()}
    for found, expected in zip(run(cuda, case, uploaded), run(plain, case, arrays), strict=True):
        near(found, expected, "float32")
    near(cuda.relu(uploaded["g"]), plain.relu(y), "float32")
    for name in ("add", "relu_backward"):
        pair = uploaded["g"], uploaded["shortcut"]
        near(getattr(cuda, name)(*pair), getattr(plain, name)(y, y[::-1]), "float32")
    winners = plain.max_pool(x, at.window)[1]
    g = np.where(winners < 0, 0, winners).astype("float32")
    found = cuda.max_pool_backward(cuda.array(g), cuda.array(winners), at.window, x.shape[2:])
    near(found, cpu.max_pool_backward(g, winners, at.window, x.shape[2:]), "float32")


@given(geometries())
def test_columns_and_images_are_each_others_transpose(cuda, at):
    x = at.images("float64")
    columns = plain.im2col(x, at.window)
    back = cuda.col2im(cuda.array(columns), at.window, at.shape[2:])
    near(back, plain.col2im(columns, at.window, at.shape[2:]))
    winners = plain.max_pool(x, at.window)[1]
    g = np.where(winners < 0, 0, at.normal(*at.output, dtype="float64"))
    found = cuda.max_pool_backward(cuda.array(g), cuda.array(winners), at.window, at.shape[2:])
    near(found, cpu.max_pool_backward(g, winners, at.window, at.shape[2:]))


@pytest.mark.parametrize("at", UNEVEN)
def test_images_come_out_in_the_devices_order(cuda, at: Geometry):
    x = cuda.array(at.images())
    weight = cuda.array(at.normal(5, at.shape[1], *at.window.kernel))
    y = cuda.conv2d(x, weight, at.window, 1)
    dx, dw = cuda.conv2d_backward(y, x, weight, at.window, 1, (True, True))
    values, winners = cuda.max_pool(x, at.window)
    made = [y, dx, values, winners, cuda.window_sums(x, at.window)]
    made += [cuda.spread_sums(values, at.window, at.shape[2:])]
    made += [cuda.max_pool_backward(values, winners, at.window, at.shape[2:])]
    made += [cuda.col2im(cuda.im2col(x, at.window), at.window, at.shape[2:])]
    made += [cuda.new_images((2, 3, 4, 5), "float32", 1.0), cuda.relu(y), cuda.add(dx, dx)]
    assert all(map(is_laid_out, made))
    assert dw.flags.c_contiguous


def launches(function: Any, *args: Any) -> list[str]:
    with fake.counting() as counts, fake.strict():
        function(*args)
    assert not counts.uploads
    return counts.launches


def test_a_convolution_is_two_launches_and_its_way_back_four(cuda):
    x, weight, bias = (cuda.array(np.ones(s, "float32")) for s in ((2, 3, 6, 6), (4, 3, 3, 3), 4))
    y = cuda.conv2d(x, weight, WINDOW, 1)
    assert launches(cuda.conv2d, x, weight, WINDOW, 1) == ["im2col", "gemm"]
    assert launches(cuda.conv2d, x, weight, WINDOW, 1, bias) == ["im2col", "gemm", "finish"]
    assert launches(cuda.conv2d_relu, x, weight, WINDOW, 1, bias, y) == ["im2col", "gemm", "finish"]
    back = launches(cuda.conv2d_backward, y, x, weight, WINDOW, 1, (True, True))
    assert sorted(back) == ["col2im", "gemm", "gemm", "im2col"]
    first = launches(cuda.conv2d_backward, y, x, weight, WINDOW, 1, (False, True))
    assert first == ["im2col", "gemm"]


def test_a_window_of_one_pixel_needs_no_columns(cuda):
    x = dense(cuda, cuda.array(np.ones((2, 3, 6, 6), "float32"))).transpose(1, 0, 2, 3)
    weight, point = cuda.array(np.ones((4, 3, 1, 1), "float32")), Window((1, 1))
    y = cuda.conv2d(x, weight, point, 1)
    assert launches(cuda.conv2d, x, weight, point, 1) == ["gemm"]
    back = launches(cuda.conv2d_backward, y, x, weight, point, 1, (True, True))
    assert back == ["gemm", "gemm"]


def test_what_the_kernels_cannot_take_is_left_to_the_readable_ones(cuda):
    whole = np.arange(36).reshape(1, 1, 6, 6)
    for x in (whole, np.zeros((0, 2, 6, 6), "float32")):
        weight = np.ones((3, x.shape[1], 3, 3), x.dtype)
        y = plain.conv2d(x, weight, WINDOW, 1)
        up = [cuda.array(part) for part in (y, x, weight)]
        np.testing.assert_array_equal(cuda.conv2d(up[1], up[2], WINDOW, 1).get(), y)
        found = cuda.conv2d_backward(*up, WINDOW, 1, (True, True))
        expected = plain.conv2d_backward(y, x, weight, WINDOW, 1, (True, True))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.get(), b)
        for a, b in zip(cuda.max_pool(up[1], WINDOW), plain.max_pool(x, WINDOW), strict=True):
            np.testing.assert_array_equal(a.get(), b)
        np.testing.assert_array_equal(cuda.relu(up[1]).get(), plain.relu(x))


def test_large_arrays_are_left_to_the_readable_kernels(cuda, monkeypatch):
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 5)).astype("float32")
    weight = np.ones((3, 2, 3, 3), "float32")
    monkeypatch.setattr(convolution, "TOO_LARGE", 2 * 18 * 25)
    monkeypatch.setattr(elementwise, "TOO_LARGE", x.size)
    up = cuda.array(x), cuda.array(weight)
    assert "im2col" not in launches(cuda.conv2d, *up, WINDOW, 1)
    assert launches(cuda.relu, up[0]) == ["maximum", "add"]
    near(cuda.conv2d(*up, WINDOW, 1), plain.conv2d(x, weight, WINDOW, 1), "float32")


def images(cuda: Any, *shape: int) -> tuple[np.ndarray, Any]:
    """Numbers on the host, and as images on the device."""
    x = np.random.default_rng(len(shape)).standard_normal(shape).astype("float32")
    laid = cuda.empty_images(shape, "float32")
    laid[...] = cuda.array(x)
    return x, laid


ONE_OPERAND = ["negative", "abs", "exp", "isnan", "isfinite", "sign", "sqrt"]
TWO_OPERANDS = ["add", "multiply", "maximum", "less", "power", "true_divide", "logical_and"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ONE_OPERAND + TWO_OPERANDS)
def test_an_elementwise_function_keeps_its_operands_order(cuda, name):
    x, laid = images(cuda, 2, 3, 4, 5)
    others: list[Any] = [None]
    if name in TWO_OPERANDS:
        others = [2.0, x, x[0], x[:, :1], np.float32(2), x[0, 0, 0], x[..., :1]]
    for other in others:
        operands = () if other is None else (other,)
        up = [cuda.array(o) if isinstance(o, np.ndarray) else o for o in operands]
        for order in (1, -1):
            found = cuda.apply(name, *(laid, *up)[::order])
            expected = getattr(np, name)(*(x, *operands)[::order])
            assert is_laid_out(found)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found.get(), expected, rtol=1e-6)


def test_operands_that_only_together_have_the_results_shape(cuda):
    (x, rows), (y, columns) = images(cuda, 2, 3, 4, 1), images(cuda, 1, 3, 1, 5)
    np.testing.assert_array_equal(cuda.apply("add", rows, columns).get(), x + y)


@pytest.mark.parametrize("layout", ["C", *LAYOUTS])
def test_addition_and_relu_take_any_memory_order(cuda, layout):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, 3, 4, 5))
    up = [device_array(cuda, a, layout), device_array(cuda, b)]
    np.testing.assert_array_equal(cuda.add(*up).get(), a + b)
    np.testing.assert_array_equal(cuda.relu(up[0]).get(), np.maximum(a, 0))
    for g, output in (up, up[::-1]):
        expected = np.where(output.get() <= 0, 0, g.get())
        np.testing.assert_array_equal(cuda.relu_backward(g, output).get(), expected)


def test_they_are_one_launch_each_where_orders_agree(cuda):
    _, x = images(cuda, 2, 3, 4, 5)
    assert launches(cuda.add, x, x) == ["add"]
    assert launches(cuda.relu, x) == ["relu"]
    assert launches(cuda.relu_backward, x, x) == ["relu_backward"]


def gradient_order(cuda: Any, function: Any) -> tuple[Any, Any]:
    """The images that an op makes of images, and the gradient that it sends back."""
    x = mr.tensor(images(cuda, 2, 4, 6, 6)[1], requires_grad=True)
    y = function(x)
    y.backward(mr.tensor(cuda.relu(y.data)))
    return y.data, x.grad.data


@pytest.mark.parametrize(
    "function",
    [
        lambda x: mr.ops.pad(x, (0, 0, 0, 0, 2, 1)),
        lambda x: mr.ops.pad(x[:, :, ::2, ::2], (1, 1)),
        lambda x: mr.concatenate([x, x], 1),
        lambda x: mr.ops.max_pool2d(x, 3, 2, padding=1),
        lambda x: mr.ops.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
        lambda x: mr.ops.leaky_relu(x),
        lambda x: mr.ops.sigmoid(x),
        lambda x: mr.ops.gelu(x),
        lambda x: mr.ops.clip(x, -1, 1),
        lambda x: mr.where(x > 0, x, 2 * x),
        lambda x: x.clone() * x - x / 2,
        lambda x: mr.ops.residual_add(x, mr.ops.relu(x)),
    ],
)
def test_ops_of_images_keep_the_devices_order(cuda, function):
    for array in gradient_order(cuda, function):
        assert is_laid_out(array), array.strides


def test_layouts_are_recognised():
    x = np.zeros((2, 3, 4, 5))
    assert is_laid_out(x.transpose(1, 0, 2, 3))
    assert not is_laid_out(x)
    assert fills_one_run(x.transpose(3, 1, 0, 2))
    for gaps in (x[:, :, ::2], x[::-1], np.broadcast_to(x[:1], x.shape)):
        assert not fills_one_run(gaps)
