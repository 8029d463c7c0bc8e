"""Checks of tutorial 15, on the residual networks of the paper's table 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minires import models, nn

from ..exercise import Wrong, check

_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


@check
def depth(answer: Callable[..., Any]) -> str:
    """The number in a network's name, from its blocks."""
    for name, blocks in [*_STAGES.items(), (152, (3, 8, 36, 3))]:
        each = 2 if name < 50 else 3
        found = answer(blocks, each)
        if found != name:
            raise Wrong(
                f"For blocks {blocks} of {each} convolutions the depth is {name}, found {found}."
                " Count the first convolution and the linear layer; shortcuts lie beside the"
                " longest way."
            )
    return "All five networks of the table, as their names say."


@check
def bottleneck_weights(answer: Callable[..., Any]) -> str:
    """Weights of the three convolutions of a bottleneck, counted against a real block."""
    for channels, middle in [(256, 64), (64, 16), (512, 128), (2048, 512)]:
        block = nn.Bottleneck(channels, middle).to("meta")
        convolutions = (block.conv1, block.conv2, block.conv3)
        expected = sum(math.prod(each.weight.shape) for each in convolutions)
        found = answer(channels, middle)
        if found != expected:
            shapes = ", ".join(str(each.weight.shape) for each in convolutions)
            raise Wrong(
                f"With {channels} channels outside and {middle} inside, minires' block has weights"
                f" of shapes {shapes}: {expected:,} numbers, found {found:,}."
            )
    return "Counted against four blocks."


@check
def is_projected(answer: Callable[..., Any]) -> str:
    """Which blocks of option B have a convolution on their shortcut."""
    for at in ((64, 64, 1), (64, 128, 2), (64, 256, 1), (64, 64, 2), (256, 256, 1)):
        before, after, stride = at
        block = nn.BasicBlock(before, after, stride)
        expected = not isinstance(block.downsample, nn.Identity)
        found = bool(answer(before, after, stride))
        if found != expected:
            says = "a projection" if expected else "the identity"
            raise Wrong(
                f"From {before} channels to {after} with stride {stride} the shortcut is {says}."
                " The addition needs two arrays of one shape: channels, height and width."
            )
    named = models.create("resnet50", device="meta").named_modules()
    blocks = [(path, each) for path, each in named if isinstance(each, nn.Bottleneck)]
    for path, bottleneck in blocks:
        first, last = bottleneck.conv1.weight.shape[1], bottleneck.conv3.weight.shape[0]
        expected = not isinstance(bottleneck.downsample, nn.Identity)
        if bool(answer(first, last, bottleneck.conv2.stride[0])) != expected:
            raise Wrong(f"In ResNet-50 the shortcut of {path} is not what the answer says.")
    return f"Five blocks, and the {len(blocks)} of ResNet-50."
