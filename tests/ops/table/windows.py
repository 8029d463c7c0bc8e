"""Rows of convolution and pooling, against the loops of `naive`."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume

import minires as mr
from minires.autograd import registry
from minires.devices import Window
from tests.ops import naive

from .case import Case, Dice, Row

Pair = tuple[int, int]


def geometry(dice: Dice, most_padding: int = 2) -> dict[str, Pair]:
    """A window, by its arguments' names; small, for the loops are slow."""
    return {
        "kernel": dice.pair(1, 3),
        "stride": dice.pair(1, 3),
        "padding": dice.pair(0, most_padding),
        "dilation": dice.pair(1, 2),
    }


def fitting(dice: Dice, window: dict[str, Pair]) -> Pair:
    """An image size that the window fits."""
    h, w = (
        max(1, d * (k - 1) + 1 - 2 * p) + dice.number(0, 3)
        for k, p, d in zip(window["kernel"], window["padding"], window["dilation"], strict=True)
    )
    return h, w


def window_of(window: dict[str, Pair]) -> Window:
    (top, left) = window["padding"]
    frame = (top, top), (left, left)
    return Window(window["kernel"], window["stride"], frame, window["dilation"])


def options_of(window: dict[str, Pair]) -> dict[str, Pair]:
    return {name: value for name, value in window.items() if name != "kernel"}


def channels(dice: Dice) -> tuple[int, int, int, int]:
    """Images, groups, channels per group, filters per group."""
    return dice.number(0, 2), dice.number(1, 2), dice.number(1, 2), dice.number(1, 2)


def conv2d(dice: Dice) -> Case:
    window = geometry(dice)
    n, groups, c, o = channels(dice)
    x = dice.normal(n, groups * c, *fitting(dice, window))
    weight, bias = dice.normal(groups * o, c, *window["kernel"]), dice.normal(groups * o)
    options: Any = options_of(window) | {"groups": groups}
    inputs = (x, weight, bias) if dice.flag() else (x, weight)
    return Case(
        lambda *xs: mr.ops.conv2d(*xs, **options),
        inputs,
        lambda x, w, b=None: naive.conv2d(x, w, b, **options),
        lambda t, *xs: t.nn.functional.conv2d(*xs, **options),
    )


def conv2d_of_the_same_size(dice: Dice) -> Case:
    n, groups, c, o = channels(dice)
    x = dice.normal(n, groups * c, *dice.pair(1, 4))
    weight = dice.normal(groups * o, c, *dice.pair(1, 4))
    dilation = dice.pair(1, 2)
    options: Any = {"dilation": dilation, "groups": groups}
    plain = {"stride": (1, 1), "padding": (0, 0), **options}
    # An odd pixel of padding is the last one.
    lost = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    frame = [(0, 0), (0, 0), *((n // 2, n - n // 2) for n in lost)]
    (top, bottom), (left, right) = frame[2:]

    def torch(t: Any, x: Any, w: Any) -> Any:
        # Not by its own "same", which warns of odd pixels.
        framed = t.nn.functional.pad(x, (left, right, top, bottom))
        return t.nn.functional.conv2d(framed, w, **options)

    return Case(
        lambda x, w: mr.ops.conv2d(x, w, padding="same", **options),
        (x, weight),
        lambda x, w: naive.conv2d(np.pad(x, frame), w, None, **plain),
        torch,
    )


def conv2d_relu(dice: Dice) -> Case:
    """A convolution and a ReLU, perhaps with a shortcut added between."""
    window = geometry(dice)
    n, groups, c, o = channels(dice)
    x = dice.normal(n, groups * c, *fitting(dice, window))
    weight, bias = dice.normal(groups * o, c, *window["kernel"]), dice.normal(groups * o)
    options: Any = options_of(window) | {"groups": groups}
    before = naive.conv2d(x, weight, bias, **options)
    inputs = [x, weight, bias]
    if dice.flag():
        inputs.append(dice.normal(*before.shape))
        before = before + inputs[3]
    # No step of a difference may cross ReLU's kink.
    assume(np.abs(before).min(initial=1) > 1e-3)

    def torch(t: Any, x: Any, w: Any, b: Any, shortcut: Any = 0.0) -> Any:
        return t.relu(t.nn.functional.conv2d(x, w, b, **options) + shortcut)

    return Case(
        lambda *xs: mr.ops.conv2d_relu(*xs, **options),
        tuple(inputs),
        lambda x, w, b, s=0.0: np.maximum(naive.conv2d(x, w, b, **options) + s, 0),
        torch,
    )


def conv_transpose2d(dice: Dice) -> Case:
    window = geometry(dice)
    n, groups, c, o = channels(dice)
    extra = dice.number(0, window["stride"][0] - 1), dice.number(0, window["stride"][1] - 1)
    # Large enough that the padding does not swallow the output.
    size = dice.number(3, 4), dice.number(3, 4)
    x = dice.normal(n, groups * c, *size)
    weight, bias = dice.normal(groups * c, o, *window["kernel"]), dice.normal(groups * o)
    window["padding"] = tuple((k + 1) // 2 for k in window["kernel"]) if dice.flag() else (0, 1)
    options: Any = options_of(window) | {"groups": groups, "output_padding": extra}
    inputs = (x, weight, bias) if dice.flag() else (x, weight)
    return Case(
        lambda *xs: mr.ops.conv_transpose2d(*xs, **options),
        inputs,
        lambda x, w, b=None: naive.conv_transpose2d(x, w, b, **options),
        lambda t, *xs: t.nn.functional.conv_transpose2d(*xs, **options),
    )


def conv2d_weight(dice: Dice) -> Case:
    window = geometry(dice)
    n, groups, c, o = channels(dice)
    size = fitting(dice, window)
    out = window_of(window).output_size(size)
    return Case(
        lambda g, x: registry["conv2d_weight"](g, x, window=window_of(window), groups=groups),
        (dice.normal(n, groups * o, *out), dice.normal(n, groups * c, *size)),
        lambda g, x: naive.conv2d_weight(g, x, **window, groups=groups),
    )


def im2col(dice: Dice) -> Case:
    window = geometry(dice)
    options: Any = options_of(window)
    return Case(
        lambda x: mr.ops.im2col(x, window["kernel"], **options),
        (dice.normal(dice.number(0, 2), dice.number(1, 2), *fitting(dice, window)),),
        lambda x: naive.im2col(x, **window),
        lambda t, x: t.nn.functional.unfold(x, window["kernel"], **options),
    )


def col2im(dice: Dice) -> Case:
    window = geometry(dice)
    size = fitting(dice, window)
    oh, ow = window_of(window).output_size(size)
    kh, kw = window["kernel"]
    options: Any = options_of(window)
    return Case(
        lambda x: mr.ops.col2im(x, size, window["kernel"], **options),
        (dice.normal(dice.number(0, 2), dice.number(1, 2) * kh * kw, oh * ow),),
        lambda x: naive.col2im(x, size, **window),
        lambda t, x: t.nn.functional.fold(x, size, window["kernel"], **options),
    )


def half_padding(window: dict[str, Pair]) -> None:
    """Limit the padding to what a pool allows."""
    window["padding"] = tuple(k // 2 for k in window["kernel"])


def max_pool2d(dice: Dice) -> Case:
    window = geometry(dice, 0)
    if dice.flag():
        half_padding(window)
    h, w = (max(n, d) for n, d in zip(fitting(dice, window), window["dilation"], strict=True))
    ceil_mode = dice.flag()
    options: Any = options_of(window) | {"ceil_mode": ceil_mode}
    return Case(
        lambda x: mr.ops.max_pool2d(x, window["kernel"], **options),
        (dice.apart(dice.number(0, 2), dice.number(1, 2), h, w),),
        lambda x: naive.max_pool2d(x, **window, ceil_mode=ceil_mode),
        lambda t, x: t.nn.functional.max_pool2d(x, window["kernel"], **options),
    )


def avg_pool2d(dice: Dice) -> Case:
    window = geometry(dice, 0) | {"dilation": (1, 1)}
    if dice.flag():
        half_padding(window)
    size = fitting(dice, window)
    kernel, stride, padding = window["kernel"], window["stride"], window["padding"]
    modes = dice.flag(), dice.flag(), dice.choose(None, 3)
    return Case(
        lambda x: mr.ops.avg_pool2d(x, kernel, stride, padding, *modes),
        (dice.normal(dice.number(0, 2), dice.number(1, 2), *size),),
        lambda x: naive.avg_pool2d(x, kernel, stride, padding, *modes),
        lambda t, x: t.nn.functional.avg_pool2d(x, kernel, stride, padding, *modes),
    )


def window_sums(dice: Dice) -> Case:
    window = geometry(dice) | {"dilation": (1, 1)}
    size = fitting(dice, window)
    out = window_of(window).output_size(size)
    plain = window["kernel"], window["stride"], window["padding"]
    return Case(
        lambda x: registry["window_sums"](x, window=window_of(window)),
        (dice.normal(dice.number(0, 2), dice.number(1, 2), *size),),
        lambda x: naive.window_sums(x, out, *plain),
    )


def spread_sums(dice: Dice) -> Case:
    window = geometry(dice) | {"dilation": (1, 1)}
    size = fitting(dice, window)
    out = window_of(window).output_size(size)
    plain = window["kernel"], window["stride"], window["padding"]
    return Case(
        lambda g: registry["spread_sums"](g, window=window_of(window), size=size),
        (dice.normal(dice.number(0, 2), dice.number(1, 2), *out),),
        lambda g: naive.spread_sums(g, size, *plain),
    )


ROWS: dict[str, Row] = {
    "conv2d": conv2d,
    "conv2d, same size": conv2d_of_the_same_size,
    "conv2d_relu": conv2d_relu,
    "conv_transpose2d": conv_transpose2d,
    "conv2d_weight": conv2d_weight,
    "im2col": im2col,
    "col2im": col2im,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "window_sums": window_sums,
    "spread_sums": spread_sums,
}
