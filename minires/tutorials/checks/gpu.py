"""Checks of tutorial 18, on devices and on where the time goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import models, ops

from ..exercise import Wrong, check


@check
def conv_intensity(answer: Callable[..., Any]) -> str:
    """Operations of a convolution for each byte that it must move."""
    for size in ((1, 3, 16, 32, 3), (32, 16, 16, 32, 3), (8, 64, 256, 56, 1), (1, 512, 512, 7, 3)):
        n, c, o, side, kernel = size
        places, weights = side * side, o * c * kernel * kernel
        flops = 2 * n * places * weights
        moved = 4 * (n * c * places + weights + n * o * places)
        found = float(answer(n, c, o, side, kernel))
        if not np.isclose(found, flops / moved):
            raise Wrong(
                f"For N, C, O, side, kernel = {size}: {flops:,} operations (a multiplication and an"
                f" addition for each weight at each place) and {moved:,} bytes (images, weights and"
                f" outputs, 4 each) are {flops / moved:.3g} for a byte; found {found:.3g}."
            )
    return "Four convolutions."


@check
def speed_up(answer: Callable[..., Any]) -> str:
    """What the whole gains if a part of it becomes faster."""
    for share, factor in ((0.5, 2.0), (0.9, 10.0), (0.9, 1e9), (0.2, 4.0), (0.0, 5.0), (1.0, 5.0)):
        expected = 1 / (1 - share + share / factor)
        found = float(answer(share, factor))
        if not np.isclose(found, expected):
            raise Wrong(
                f"If {share:.0%} of the time becomes {factor:g} times as fast, {1 - share:.0%} stay"
                f" as they are: the whole is {expected:.3g} times as fast, found {found:.3g}."
            )
    return "Also where the part becomes almost infinitely fast."


@check
def without_looking(answer: Callable[..., Any]) -> str:
    """A step that works where no value can be looked at."""
    model = models.create("cifar_resnet8", width=4, in_channels=1, device="meta")
    images = ops.zeros(4, 1, 8, 8, device="meta")
    labels = ops.zeros(4, dtype="int64", device="meta")
    try:
        loss = answer(model, images, labels)
    except Exception as error:
        if type(error).__name__ != "NoValuesError":
            raise
        raise Wrong(
            "It looks at a value, which the device 'meta' does not have. On a GPU the same line"
            " would wait until all work so far is done, in every step."
        ) from None
    if not hasattr(loss, "shape") or loss.shape != ():
        raise Wrong("Return the loss as a Tensor without axes: whoever wants its value can look.")
    lacking = [name for name, each in model.named_parameters() if each.grad is None]
    if lacking:
        raise Wrong(f"{len(lacking)} parameters have no gradient, {lacking[0]} for one: go back.")
    _compare(answer)
    return "It ran where no value can be looked at, and on the CPU loss and gradients are right."


def _compare(answer: Callable[..., Any]) -> None:
    """Compare loss and gradients with those of a step on the CPU."""
    rng = np.random.default_rng(0)
    images = ops.tensor(rng.standard_normal((4, 1, 8, 8)), dtype="float32")
    labels = ops.tensor(np.arange(4))
    own, right = (models.create("cifar_resnet8", width=4, in_channels=1, seed=0) for _ in "ab")
    found = float(answer(own, images, labels))
    expected = ops.cross_entropy(right(images), labels)
    expected.backward()
    if not np.isclose(found, expected.item(), rtol=1e-4):
        raise Wrong(f"On the CPU the loss should be {expected.item():.4f}; found {found:.4f}.")
    gradients = [each.grad for each in right.parameters()]
    for (name, parameter), gradient in zip(own.named_parameters(), gradients, strict=True):
        assert parameter.grad is not None
        assert gradient is not None
        if not np.allclose(parameter.grad.numpy(), gradient.numpy(), rtol=1e-3, atol=1e-6):
            raise Wrong(f"The gradient of {name} is not that of the loss: call backward() once.")
