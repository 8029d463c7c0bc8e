"""Cases of convolution and pooling: unequal sizes along every axis, so that no two are confused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minires import ops
from minires.autograd import no_grad, registry
from minires.devices import Window

from .case import Array, Case, Draw

Pair = tuple[int, int]

# Options, image (N, C, H, W), weight (O, C / groups, KH, KW).
_CONVOLUTIONS: tuple[tuple[dict[str, Any], Any, Any], ...] = (
    ({}, (3, 2, 3, 4), (3, 2, 2, 3)),
    ({"stride": 2, "padding": 1}, (3, 2, 3, 4), (3, 2, 3, 2)),
    ({"stride": (1, 2), "dilation": (2, 1), "padding": (0, 1)}, (3, 2, 3, 4), (1, 2, 2, 3)),
    ({"groups": 2, "padding": (1, 0)}, (3, 4, 1, 2), (2, 2, 2, 1)),
    ({"groups": 3, "padding": (1, 0)}, (3, 3, 2, 3), (3, 1, 3, 2)),
    ({"stride": 2}, (3, 3, 2, 3), (2, 3, 1, 1)),
)
# Kernel, stride, padding, dilation, image size.
_WINDOWS = (
    ((2, 3), (1, 1), (0, 0), (1, 1), (3, 4)),
    ((3, 2), (2, 1), (1, 0), (1, 1), (4, 3)),
    ((2, 2), (1, 2), (1, 1), (2, 1), (3, 4)),
)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw = Draw(4)
    for options, image, filters in _CONVOLUTIONS:
        yield from _convolutions(draw, options, image, filters)
    for kernel, stride, padding, dilation, size in _WINDOWS:
        window = _window(kernel, stride, padding, dilation)
        yield from _columns(draw, window, size)
    yield from _transposed(draw)
    yield from _pools(draw)


def _window(kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Window:
    (top, left) = padding
    return Window(kernel, stride, ((top, top), (left, left)), dilation)


def _told(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items()) or "stride 1"


def _convolutions(draw: Draw, options: dict[str, Any], image: Any, filters: Any) -> Iterator[Case]:
    about = _told(options)

    def conv2d(*xs: Any) -> Any:
        return ops.conv2d(*xs, **options)

    def conv2d_relu(*xs: Any) -> Any:
        return ops.conv2d_relu(*xs, **options)

    def before_relu(x: Array, weight: Array, bias: Array, shortcut: Array | float = 0.0) -> Any:
        with no_grad():
            y = conv2d(ops.tensor(x), ops.tensor(weight), ops.tensor(bias))
            return y.numpy() + shortcut

    shapes = image, filters, filters[:1]
    inputs = draw.beside(before_relu, *shapes)
    yield Case("conv2d", about, conv2d, inputs)
    if about == "stride 1":
        yield Case("conv2d_relu", about, conv2d_relu, inputs)
        yield Case("conv2d", "no bias", conv2d, inputs[:2])
        same = draw.normal(2, 2, 3, 2), draw.normal(2, 2, 2, 3)
        yield Case("conv2d", "padding same", lambda x, w: ops.conv2d(x, w, padding="same"), same)
    else:
        with_shortcut = draw.beside(before_relu, *shapes, before_relu(*inputs).shape)
        yield Case("conv2d_relu", f"{about}, with a shortcut", conv2d_relu, with_shortcut)

    pairs = {name: (n, n) if isinstance(n, int) else n for name, n in options.items()}
    window = _window(
        filters[2:],
        pairs.get("stride", (1, 1)),
        pairs.get("padding", (0, 0)),
        pairs.get("dilation", (1, 1)),
    )
    size = image[2:]
    out = draw.normal(image[0], filters[0], *window.output_size(size))
    groups = options.get("groups", 1)
    yield Case(
        "conv2d_weight",
        about,
        lambda g, x: registry["conv2d_weight"](g, x, window=window, groups=groups),
        (out, inputs[0]),
    )
    yield Case(
        "conv_transpose2d",
        f"the input's gradient, {about}",
        lambda g, w: registry["conv_transpose2d"](g, w, window=window, groups=groups, size=size),
        (out, inputs[1]),
    )


def _transposed(draw: Draw) -> Iterator[Case]:
    every: tuple[tuple[dict[str, Any], Any, Any], ...] = (
        ({"stride": 2, "padding": 1, "output_padding": (1, 0)}, (3, 2, 2, 3), (2, 1, 3, 2)),
        ({"groups": 2, "stride": (1, 2), "dilation": (2, 1)}, (3, 2, 2, 1), (2, 2, 1, 2)),
    )
    for options, image, filters in every:
        inputs = draw.normal(*image), draw.normal(*filters)
        bias = draw.normal(filters[1] * options.get("groups", 1))
        yield Case(
            "conv_transpose2d",
            _told(options),
            lambda *xs, options=options: ops.conv_transpose2d(*xs, **options),
            (*inputs, bias),
        )


def _columns(draw: Draw, window: Window, size: tuple[int, int]) -> Iterator[Case]:
    """Cases of im2col and of sums over windows, and of what is transposed to each."""
    (kh, kw), (oh, ow) = window.kernel, window.output_size(size)
    about = f"window {window.kernel}, stride {window.stride}, dilation {window.dilation}"
    image, columns = draw.normal(3, 2, *size), draw.normal(3, 2 * kh * kw, oh * ow)
    im2col, col2im = registry["im2col"], registry["col2im"]
    yield Case("im2col", about, lambda x: im2col(x, window=window), (image,))
    yield Case("col2im", about, lambda c: col2im(c, window=window, size=size), (columns,))
    if window.dilation == (1, 1):
        sums, spread = registry["window_sums"], registry["spread_sums"]
        yield Case("window_sums", about, lambda x: sums(x, window=window), (image,))
        y = draw.normal(3, 2, oh, ow)
        yield Case("spread_sums", about, lambda y: spread(y, window=window, size=size), (y,))


def _pools(draw: Draw) -> Iterator[Case]:
    maxima: tuple[dict[str, Any], ...] = (
        {"kernel_size": 2},
        {"kernel_size": (3, 2), "stride": 1, "padding": (1, 0)},
        {"kernel_size": 2, "stride": (2, 1), "dilation": (1, 2)},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    )
    means: tuple[dict[str, Any], ...] = (
        {"kernel_size": 2},
        {"kernel_size": (3, 2), "stride": 1, "padding": 1},
        {"kernel_size": 2, "stride": (2, 1), "padding": 1, "count_include_pad": False},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True, "divisor_override": 5},
    )
    for name, values, every in (
        ("max_pool2d", draw.apart, maxima),
        ("avg_pool2d", draw.normal, means),
    ):
        run = getattr(ops, name)
        for options in every:
            yield Case(
                name,
                _told(options),
                lambda x, run=run, options=options: run(x, **options),
                (values(3, 1, 3, 4),),
            )
