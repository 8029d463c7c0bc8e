"""The body of a residual network: stages of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires import nn

Block = type[nn.BasicBlock] | type[nn.Bottleneck]


def check_sizes(**sizes: int) -> None:
    """Raise ValueError unless all of them are at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, found {size}")


def stages(
    block: Block,
    in_channels: int,
    channels: Sequence[int],
    blocks: Sequence[int],
    drop: float = 0.0,
    **options: Any,
) -> list[nn.Sequential]:
    """Make stages, of which all but the first halve the image in their first block.

    Parameters
    ----------
    block : type
    in_channels : int
        Of the first block.
    channels, blocks : sequence of int
        For each stage, what its blocks are given as channels, and how many there are.
    drop : float
        Of the last block's branch, by stochastic depth; it grows linearly from 0 at the input
        (Huang et al. 2016, arXiv 1603.09382, equation 4).
    **options
        As for the block.
    """
    total, number = sum(blocks), 0
    made = []
    for index, (width, count) in enumerate(zip(channels, blocks, strict=True)):
        stage = nn.Sequential()
        for place in range(count):
            number += 1
            stride = 2 if index and not place else 1
            given = {**options, "drop": drop * number / total, "share": number == 1}
            stage.append(block(in_channels, width, stride, **given))
            in_channels = width * block.expansion
        made.append(stage)
    return made
