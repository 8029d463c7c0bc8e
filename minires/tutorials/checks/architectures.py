"""Checks of tutorial 16, on architectures side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minires import models, nn, ops
from minires.checking import gradcheck

from ..exercise import Wrong, check


@check
def grouped_weights(answer: Callable[..., Any]) -> str:
    """Weights of a grouped convolution, counted against minires' layer."""
    cases = ((64, 64, 3, 1), (128, 128, 3, 32), (96, 256, 5, 2), (64, 64, 3, 64))
    for before, after, kernel, groups in cases:
        layer = nn.Conv2d(before, after, kernel, groups=groups, bias=False).to("meta")
        expected, found = math.prod(layer.weight.shape), answer(before, after, kernel, groups)
        if found != expected:
            raise Wrong(
                f"From {before} to {after} channels in {groups} groups with a kernel of {kernel}"
                f" the weight has shape {layer.weight.shape}, {expected:,} numbers; found {found:,}"
                ". Each channel that comes out sees the channels of its group, and no others."
            )
    return f"Counted against {len(cases)} layers."


@check
def squeeze_and_excite(answer: Callable[..., Any]) -> str:
    """A gate for each channel of each image, with gradients that are right."""
    rng = np.random.default_rng(0)
    x, down, up = (rng.standard_normal(s) for s in ((2, 4, 3, 5), (3, 4), (4, 3)))
    x, up = x + 2 * rng.standard_normal((2, 4, 1, 1)), up / 4
    squeezed = x.mean(axis=(2, 3))
    gates = 1 / (1 + np.exp(-(np.maximum(squeezed @ down.T, 0) @ up.T)))
    expected = x * gates[:, :, None, None]
    tensors = [ops.tensor(each) for each in (x, down, up)]
    found = answer(*tensors)
    if tuple(found.shape) != x.shape:
        raise Wrong(f"A gate changes no shape: {x.shape} came in, {tuple(found.shape)} came out.")
    found = np.asarray(found.numpy())
    if not np.allclose(found, expected):
        ratio = found / x
        if np.ptp(ratio, axis=(2, 3)).max() > 1e-9:
            raise Wrong("All pixels of a channel get the same factor; found different ones.")
        told = ", ".join(f"{each:.2f}" for each in gates[0])
        had = ", ".join(f"{each:.2f}" for each in ratio[0, :, 0, 0])
        raise Wrong(
            f"The gates of the first image are {told}; found {had}. Each is a sigmoid of its own,"
            " of what the means over height and width say."
        )
    report = gradcheck(answer, tensors)
    if not report:
        raise Wrong(f"The values are right, the gradients are not. {report.explain()}")
    return "Values, and gradients by differences."


@check
def dense_channels(answer: Callable[..., Any]) -> str:
    """Channels at the end of a dense block, read off a DenseNet."""
    expected: dict[tuple[int, int, int], int] = {(64, 32, 6): 256, (10, 1, 3): 13}
    network = models.create("densenet_40_12", device="meta")
    named = dict(network.named_modules())
    expected[16, 12, 12] = named["features.transition1.norm"].weight.shape[0]
    for (first, growth, layers), channels in expected.items():
        found = answer(first, growth, layers)
        if found != channels:
            raise Wrong(
                f"{first} channels, and {layers} layers that add {growth} each, are {channels};"
                f" found {found}. Nothing is summed or thrown away within a block."
            )
    return "Three blocks, one of them DenseNet-40's."
