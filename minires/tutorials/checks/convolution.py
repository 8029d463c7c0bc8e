"""Checks of tutorial 3, on convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops

from ..exercise import Wrong, check


@check
def output_size(answer: Callable[..., Any]) -> str:
    """How long the output of a convolution is along one axis."""
    cases = [(8, 3, 1, 0), (8, 3, 1, 1), (8, 3, 2, 1), (7, 2, 2, 0), (224, 7, 2, 3), (5, 5, 1, 0)]
    for size, kernel, stride, padding in cases:
        x, weight = np.zeros((1, 1, size, size)), np.zeros((1, 1, kernel, kernel))
        expected = np.shape(ops.conv2d(x, weight, None, stride, padding))[-1]  # type: ignore[arg-type]
        found = answer(size, kernel, stride, padding)
        if found != expected:
            raise Wrong(
                f"A kernel of {kernel} with stride {stride} and padding {padding} on both sides"
                " makes"
                f" {expected} of {size}; found {found}."
            )
    return f"{len(cases)} sizes, compared with convolutions."


@check
def col2im(answer: Callable[..., Any]) -> str:
    """Patches added back into an image, for stride 1 without padding."""
    rng = np.random.default_rng(0)
    for channels, height, width, kh, kw in [(1, 3, 3, 2, 2), (2, 5, 4, 3, 2), (3, 4, 6, 1, 3)]:
        places = (height - kh + 1) * (width - kw + 1)
        columns = rng.standard_normal((2, channels * kh * kw, places))
        found = np.asarray(answer(columns.copy(), channels, height, width, kh, kw))
        expected = np.asarray(ops.col2im(columns, (height, width), (kh, kw)))  # type: ignore[arg-type]
        if found.shape != expected.shape:
            raise Wrong(
                f"It should have the shape of the images, {expected.shape}; found {found.shape}."
            )
        if not np.allclose(found, expected):
            pixel = tuple(int(i) for i in np.argwhere(~np.isclose(found, expected))[0])
            raise Wrong(
                f"For {height}x{width} images and a {kh}x{kw} kernel, pixel {pixel} should be"
                f" {expected[pixel]:.4g}, found {found[pixel]:.4g}. It lies in several patches:"
                " their"
                " numbers are added, neither replaced nor averaged."
            )
    return "<im2col(x), c> = <x, col2im(c)>: the same as minires' for three sizes."


@check
def weight_gradient(answer: Callable[..., Any]) -> str:
    """The gradient of a convolution's weight, from the columns."""
    rng = np.random.default_rng(0)
    for n, channels, outputs, size, kh, kw in [(1, 1, 1, 4, 2, 2), (3, 2, 4, 6, 3, 2)]:
        x = ops.tensor(rng.standard_normal((n, channels, size, size)))
        weight = ops.tensor(rng.standard_normal((outputs, channels, kh, kw)), requires_grad=True)
        y = ops.conv2d(x, weight)
        g = rng.standard_normal(y.shape)
        y.backward(ops.tensor(g))
        assert weight.grad is not None
        expected = weight.grad.numpy()
        columns = np.asarray(ops.im2col(x, (kh, kw)).numpy())
        found = np.asarray(answer(g, columns, channels, kh, kw))
        if found.shape != expected.shape:
            raise Wrong(f"It should have the weight's shape {expected.shape}; found {found.shape}.")
        if np.allclose(found * n, expected) and n > 1:
            raise Wrong(f"It is the right one divided by {n}, the number of images: sum over them.")
        if np.allclose(found[:, :, ::-1, ::-1], expected) and kh * kw > 1:
            raise Wrong("It is the right one turned by 180 degrees: no kernel was turned forwards.")
        if not np.allclose(found, expected):
            worst = float(np.abs(found - expected).max())
            raise Wrong(f"For {n} images it differs from minires' gradient by up to {worst:.3g}.")
    return "Compared with minires' gradient, for one image and for three."
