"""Convolution. Letters: N images, C channels in and O out, (H, W) image, (KH, KW) kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from .solution import Array, Geometry, Solution, at, swap

Size = tuple[int, int]


def padded(x: Array, padding: Size) -> Array:
    """Return x with zeros around each image."""
    return np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])


def windows(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return what each output sees, (N, C, OH, OW, KH, KW)."""
    seen = sliding_window_view(padded(x, padding), w.shape[2:], (2, 3))
    return seen[:, :, :: stride[0], :: stride[1]]


def correlate(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return the convolution without a bias, (N, O, OH, OW)."""
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows(x, w, stride, padding), w))


def convolution(x: Array, w: Array, b: Array, *, stride: Size, padding: Size) -> Array:
    """Return the convolution of x (N, C, H, W) with w (O, C, KH, KW), plus b (O,)."""
    return correlate(x, w, stride, padding) + b[:, None, None]


def spread(
    g: Array, x: Array, w: Array, stride: Size, padding: Size, *, assign: bool = False
) -> Array:
    """Return the gradient of the padded image, one position of the kernel after the other."""
    image = np.zeros_like(padded(x, padding))
    (kh, kw), (oh, ow) = w.shape[2:], g.shape[2:]
    for i, j in np.ndindex(kh, kw):
        rows = slice(i, i + stride[0] * (oh - 1) + 1, stride[0])
        columns = slice(j, j + stride[1] * (ow - 1) + 1, stride[1])
        stamp = np.einsum("nohw,oc->nchw", g, w[:, :, i, j])
        image[:, :, rows, columns] = stamp + (0 if assign else image[:, :, rows, columns])
    return image


def stripped(image: Array, x: Array, padding: Size) -> Array:
    """Return the gradient of x from that of the padded image."""
    (top, left), (h, w) = padding, x.shape[2:]
    return image[:, :, top : top + h, left : left + w]


def input_gradient(
    g: Array, x: Array, w: Array, stride: Size, padding: Size, assign: bool = False
) -> Array:
    """Return the gradient of the input."""
    return stripped(spread(g, x, w, stride, padding, assign=assign), x, padding)


def weight_gradient(g: Array, x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return the gradient of the weight."""
    return np.asarray(np.einsum("nohw,nchwij->ocij", g, windows(x, w, stride, padding)))


def convolution_vjp(
    g: Array, x: Array, w: Array, b: Array, *, stride: Size, padding: Size
) -> tuple[Array, Array, Array]:
    """Return the gradients of input, weight and bias."""
    geometry = (stride, padding)
    return input_gradient(g, x, w, *geometry), weight_gradient(g, x, w, *geometry), g.sum((0, 2, 3))


GEOMETRIES = (
    at((2, 2, 3, 4), (3, 2, 2, 3), (3,), stride=(1, 1), padding=(0, 0)),
    at((3, 2, 4, 3), (3, 2, 3, 2), (3,), stride=(2, 2), padding=(1, 1)),
    at((2, 2, 5, 3), (3, 2, 3, 2), (3,), stride=(2, 1), padding=(1, 0)),
    # Square in everything, for mistakes that another geometry would answer with an error.
    at((2, 2, 4, 4), (2, 2, 3, 3), (2,), stride=(1, 1), padding=(1, 1)),
    at((2, 2, 5, 5), (2, 2, 3, 3), (2,), stride=(2, 2), padding=(0, 0)),
)
CONVOLUTION = Solution(
    "", "convolution", "einsum over windows", convolution, convolution_vjp, GEOMETRIES
)


# Right ones


def _output_by_output(
    g: Array, x: Array, w: Array, b: Array, *, stride: Size, padding: Size
) -> Any:
    source = padded(x, padding)
    image, dw, db = np.zeros_like(source), np.zeros_like(w), np.zeros_like(b)
    kh, kw = w.shape[2:]
    for n, o, i, j in np.ndindex(*g.shape):
        top, left = i * stride[0], j * stride[1]
        window = (n, slice(None), slice(top, top + kh), slice(left, left + kw))
        image[window] += g[n, o, i, j] * w[o]
        dw[o] += g[n, o, i, j] * source[window]
        db[o] += g[n, o, i, j]
    return stripped(image, x, padding), dw, db


def _im2col(g: Array, x: Array, w: Array, b: Array, *, stride: Size, padding: Size) -> Any:
    source, (oh, ow) = padded(x, padding), g.shape[2:]
    c, i, j = (k.ravel() for k in np.indices(w.shape[1:]))
    top, left = (k.ravel() for k in np.indices((oh, ow)))
    rows = i[:, None] + stride[0] * top
    columns = j[:, None] + stride[1] * left
    where: Any = (slice(None), c[:, None], rows, columns)
    flat = g.reshape(*g.shape[:2], -1)  # (N, O, OH*OW); the columns are (N, C*KH*KW, OH*OW)
    dw = np.einsum("nol,nkl->ok", flat, source[where]).reshape(w.shape)
    image = np.zeros_like(source)
    np.add.at(image, where, w.reshape(len(w), -1).T @ flat)
    return stripped(image, x, padding), dw, flat.sum((0, 2))


def _strided(g: Array, x: Array, w: Array, b: Array, *, stride: Size, padding: Size) -> Any:
    source = padded(x, padding)
    n, c, h, v = source.strides
    seen = as_strided(
        source,
        (*x.shape[:2], *g.shape[2:], *w.shape[2:]),
        (n, c, h * stride[0], v * stride[1], h, v),
        writeable=False,
    )
    dw = np.tensordot(g, seen, ((0, 2, 3), (0, 2, 3)))
    return input_gradient(g, x, w, stride, padding), dw, g.sum((0, 2, 3))


def _apart(g: Array, x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Put stride - 1 zeros between the entries of g, up to what the padded image has room for."""
    size = [
        k + 2 * p - kernel + 1
        for k, p, kernel in zip(x.shape[2:], padding, w.shape[2:], strict=True)
    ]
    wide = np.zeros((*g.shape[:2], *size))
    wide[:, :, :: stride[0], :: stride[1]] = g
    return wide


def _full_correlation(
    g: Array, x: Array, w: Array, b: Array, *, stride: Size, padding: Size
) -> Any:
    """Correlate g, spread apart, with the kernel rotated."""
    wide = _apart(g, x, w, stride, padding)
    kh, kw = w.shape[2:]
    rotated = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    image = correlate(wide, rotated, (1, 1), (kh - 1, kw - 1))
    dw = correlate(padded(x, padding).swapaxes(0, 1), wide.swapaxes(0, 1), (1, 1), (0, 0)).swapaxes(
        0, 1
    )
    return stripped(image, x, padding), dw, g.sum((0, 2, 3))


def _fourier(g: Array, x: Array, w: Array, b: Array, *, stride: Size, padding: Size) -> Any:
    source = padded(x, padding)
    size, (kh, kw) = source.shape[2:], w.shape[2:]
    wide = np.fft.rfft2(_apart(g, x, w, stride, padding), size)
    image = np.fft.irfft2(np.einsum("nohw,ochw->nchw", wide, np.fft.rfft2(w, size)), size)
    dw = np.fft.irfft2(np.einsum("nohw,nchw->ochw", wide.conj(), np.fft.rfft2(source)), size)
    return stripped(image, x, padding), dw[:, :, :kh, :kw], g.sum((0, 2, 3))


# Wrong ones


def _dx(change: Callable[..., Array]) -> Callable[..., Any]:
    return swap(convolution_vjp, 0, change)


def _dw(change: Callable[..., Array]) -> Callable[..., Any]:
    return swap(convolution_vjp, 1, change)


def _db(change: Callable[..., Array]) -> Callable[..., Any]:
    return swap(convolution_vjp, 2, change)


def _upstream_ignored(g: Array, *inputs: Array, **options: Any) -> Any:
    return convolution_vjp(np.ones_like(g), *inputs, **options)


def _rotated(d: Array, g: Array, x: Array, w: Array, b: Array, **geometry: Any) -> Array:
    return input_gradient(g, x, w[:, :, ::-1, ::-1], **geometry)


def _true_convolution(g: Array, x: Array, w: Array, b: Array, **geometry: Any) -> Any:
    _, dw, db = convolution_vjp(g, x, w, b, **geometry)
    return _rotated(x, g, x, w, b, **geometry), dw[:, :, ::-1, ::-1], db


def _channels_last(d: Array, g: Array, x: Array, w: Array, b: Array, **geometry: Any) -> Array:
    """Take a row of the weight's matrix, (C, KH, KW), for one in the order (KH, KW, C)."""
    o, c, kh, kw = w.shape
    return d.reshape(o, kh, kw, c).transpose(0, 3, 1, 2)


def _samples_fastest(d: Array, g: Array, x: Array, w: Array, b: Array, **geometry: Any) -> Array:
    """Multiply patches whose order has N slowest with g's entries in an order with N fastest."""
    patches = windows(x, w, **geometry).transpose(0, 2, 3, 1, 4, 5).reshape(-1, w[0].size)
    return (g.transpose(1, 2, 3, 0).reshape(len(w), -1) @ patches).reshape(w.shape)


def _height_and_width_swapped(d: Array, *_: Array, **geometry: Any) -> Array:
    return d.swapaxes(2, 3).reshape(d.shape)


def _square(geometry: Geometry) -> bool:
    x, w, _ = geometry.shapes
    return x[2] == x[3] and w[2] == w[3] and w[0] == w[1]


def _oblong(geometry: Geometry) -> bool:
    return not _square(geometry)


def _is_padded(geometry: Geometry) -> bool:
    return any(geometry.options["padding"])


def _is_strided(geometry: Geometry) -> bool:
    return bool(geometry.options["stride"] != (1, 1))


def _as_wide_as_outputs(geometry: Geometry) -> bool:
    return geometry.options["stride"] == (2, 2) and _square(geometry)


RIGHT = (
    CONVOLUTION,
    CONVOLUTION.but("", "loops over outputs", _output_by_output),
    CONVOLUTION.but("", "im2col", _im2col),
    CONVOLUTION.but("", "as_strided", _strided),
    CONVOLUTION.but("", "full correlation with the rotated kernel", _full_correlation),
    CONVOLUTION.but("", "Fourier transform", _fourier),
)

WRONG = (
    CONVOLUTION.but("C1", "upstream gradient ignored", _upstream_ignored),
    CONVOLUTION.but("C2", "input's gradient flipped", _dx(lambda d, *_, **o: d[:, :, ::-1])),
    CONVOLUTION.but(
        "C3", "input's gradient transposed", _dx(lambda d, *_, **o: d.swapaxes(2, 3)), _square
    ),
    CONVOLUTION.but("C4", "batch reversed", _dx(lambda d, *_, **o: d[::-1])),
    CONVOLUTION.but("C5", "kernel rotated in the input's gradient", _dx(_rotated)),
    CONVOLUTION.but(
        "C6",
        "kernel transposed in the input's gradient",
        _dx(lambda d, g, x, w, b, **o: input_gradient(g, x, w.swapaxes(2, 3), **o)),
        _square,
    ),
    CONVOLUTION.but(
        "C7",
        "channels in and out exchanged",
        _dx(lambda d, g, x, w, b, **o: input_gradient(g, x, w.swapaxes(0, 1), **o)),
        _square,
    ),
    CONVOLUTION.but(
        "C8",
        "overlaps assigned, not added",
        _dx(lambda d, g, x, w, b, **o: input_gradient(g, x, w, **o, assign=True)),
    ),
    CONVOLUTION.but(
        "C9",
        "padding not stripped",
        _dx(lambda d, g, x, w, b, **o: spread(g, x, w, **o)),
        _is_padded,
    ),
    CONVOLUTION.but(
        "C10",
        "sliced by [p:-p] with p = 0",
        _dx(lambda d, g, x, w, b, **o: spread(g, x, w, **o)[:, :, 0:-0, 0:-0]),
        lambda geometry: geometry.options["padding"] == (0, 0),
    ),
    CONVOLUTION.but(
        "C11",
        "stride ignored in the input's gradient",
        _dx(lambda d, g, x, w, b, *, stride, padding: input_gradient(g, x, w, (1, 1), padding)),
        _is_strided,
    ),
    CONVOLUTION.but(
        "C12",
        "weight's gradient of the last sample only",
        _dw(lambda d, g, x, w, b, **o: weight_gradient(g[-1:], x[-1:], w, **o)),
    ),
    CONVOLUTION.but("C13", "weight's gradient averaged", _dw(lambda d, g, x, *_, **o: d / len(x))),
    CONVOLUTION.but(
        "C14",
        "bias's gradient summed over other axes",
        _db(lambda d, g, *_, **o: g.sum((0, 1, 2))),
        _as_wide_as_outputs,
    ),
    CONVOLUTION.but(
        "C15",
        "bias's gradient with keepdims",
        _db(lambda d, g, *_, **o: g.sum((0, 2, 3), keepdims=True)),
    ),
    CONVOLUTION.but(
        "C16",
        "bias's gradient is a count",
        _db(lambda d, g, *_, **o: np.full(d.shape, g.size / d.size)),
    ),
    CONVOLUTION.but("C17", "weight's gradient in channels-last order", _dw(_channels_last)),
    CONVOLUTION.but("C18", "patches in another order than outputs", _dw(_samples_fastest)),
    CONVOLUTION.but("C19", "true convolution's gradient", _true_convolution),
    CONVOLUTION.but("C20", "height and width swapped", _dx(_height_and_width_swapped), _oblong),
    CONVOLUTION.but("", "weight's gradient rotated", _dw(lambda d, *_, **o: d[:, :, ::-1, ::-1])),
    CONVOLUTION.but("", "weight's input channels reversed", _dw(lambda d, *_, **o: d[:, ::-1])),
    CONVOLUTION.but(
        "",
        "padding forgotten in the input's gradient",
        _dx(lambda d, g, x, w, b, **o: stripped(spread(g, x, w, **o), x, (0, 0))),
        _is_padded,
    ),
    CONVOLUTION.but(
        "", "bias's gradient of the last sample only", _db(lambda d, g, *_, **o: g[-1].sum((1, 2)))
    ),
    CONVOLUTION.but("", "bias's gradient averaged", _db(lambda d, g, *_, **o: g.mean((0, 2, 3)))),
)
