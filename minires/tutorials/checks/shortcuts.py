"""Checks of tutorial 12, on shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops
from minires.nn import PadShortcut

from ..exercise import Wrong, check


@check
def around(answer: Callable[..., Any]) -> str:
    """What the path around all blocks, from one to the last, multiplies a gradient by."""
    for factors, start in [([0.5, 2.0, 3.0], 0), ([0.5, 2.0, 3.0], 2), ([0.9] * 54, 20)]:
        x = ops.tensor(np.ones(1), requires_grad=True)
        y = x
        for factor in factors[start:]:
            y = y * factor
        y.sum().backward()
        assert x.grad is not None
        expected, found = x.grad.item(), float(answer(list(factors), start))
        if not np.isclose(found, expected):
            shown = factors if len(factors) < 5 else f"{len(factors)} factors of {factors[0]}"
            raise Wrong(
                f"With {shown}, from block {start} on: {expected:.4g}, found {found:.4g}. Each"
                " block"
                " from there on multiplies it once."
            )
    return "Compared with minires' gradient, three times."


@check
def option_a(answer: Callable[..., Any]) -> str:
    """The padding shortcut, where channels are added and the image is halved."""
    rng = np.random.default_rng(0)
    for shape, channels in [((2, 4, 6, 6), 8), ((1, 3, 4, 8), 6), ((1, 2, 4, 4), 7)]:
        x = rng.standard_normal(shape)
        expected = PadShortcut(shape[1], channels, 2)(ops.tensor(x)).numpy()
        found = np.asarray(answer(x.copy(), channels))
        told = f"For x of shape {shape} and {channels} channels"
        if found.shape != expected.shape:
            raise Wrong(
                f"{told} the result has shape {found.shape}, and should have {expected.shape}."
            )
        if not np.allclose(found, expected):
            zero = [c for c in range(channels) if not found[:, c].any()]
            right = [c for c in range(channels) if not expected[:, c].any()]
            why = (
                f"the channels {right} should be zero, and {zero} are."
                if zero != right
                else "the channels between should be x at every second pixel, as it is."
            )
            raise Wrong(f"{told} {why}")
    return "The same as minires' PadShortcut, for three shapes."
