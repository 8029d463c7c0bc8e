"""Checks of tutorial 8, on plain stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops

from ..exercise import Wrong, check


@check
def what_is_it(answer: Callable[..., Any]) -> str:
    """Degradation, overfitting, or neither, from the errors of two networks."""
    cases = [
        ((1.0, 8.0, 9.0, 12.0), "degradation"),
        ((10.0, 12.0, 11.0, 12.0), "degradation"),
        ((4.0, 8.0, 1.0, 9.0), "overfitting"),
        ((4.0, 8.0, 1.0, 7.0), "neither"),
        ((4.0, 14.0, 4.0, 14.0), "neither"),
        ((1.0, 12.0, 3.0, 8.0), "degradation"),
        ((4.0, 8.0, 1.0, 8.2), "overfitting"),
    ]
    for errors, expected in cases:
        found = answer(*errors)
        if found != expected:
            raise Wrong(
                f"Shallow: {errors[0]:g} % in training, {errors[1]:g} % in test; deep:"
                f" {errors[2]:g} % and {errors[3]:g} %. That is {expected!r}, found {found!r}."
                " Training errors come first; if they are no reason, test errors."
            )
    return f"{len(cases)} pairs of networks."


@check
def identity_kernel(answer: Callable[..., Any]) -> str:
    """Weights of a convolution that returns its input."""
    rng = np.random.default_rng(0)
    for channels, size in [(1, 3), (4, 3), (3, 5), (2, 1)]:
        weight = np.asarray(answer(channels, size), dtype=np.float64)
        if weight.shape != (channels, channels, size, size):
            raise Wrong(
                f"For C = {channels} and K = {size} the weight has shape {weight.shape}; it"
                f" should be {(channels, channels, size, size)}."
            )
        x = ops.tensor(rng.standard_normal((2, channels, 6, 6)))
        y = ops.conv2d(x, ops.tensor(weight), padding=size // 2)
        if not np.allclose(x.numpy(), y.numpy()):
            mixed = [o for o in range(channels) if np.count_nonzero(weight[o]) != 1]
            why = (
                f"Filter {mixed[0]} has {np.count_nonzero(weight[mixed[0]])} entries that are"
                " not 0;"
                " it needs one, for its own channel."
                if mixed
                else "The one entry belongs in the centre, at its own channel."
            )
            raise Wrong(f"With C = {channels} and K = {size} the image changes. {why}")
    return "Images come out as they went in, for four shapes."
