"""The body of a residual network: stages of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires import nn
from minires.nn.residual import normalizer, order_of

Block = type[nn.BasicBlock] | type[nn.Bottleneck]


def ends(order: str, norm: str, width: int, out: int) -> tuple[nn.Module, nn.Module, bool]:
    """Make what stands behind the first convolution, and before the classifier.

    What an order has before every branch, its network has before the classifier instead of behind
    the first convolution (He et al. 2016, appendix). Fixup has a bias before the classifier.

    Parameters
    ----------
    order : key of `nn.ORDERS`
    norm : key of `nn.NORMS`
    width, out : int
        Channels of the first convolution, and of the last block.

    Returns
    -------
    Module, Module, bool
        The two norms, and whether there is a ReLU behind the second, and not behind the first.
    """
    before = order_of(order).first
    first = nn.Identity() if "norm" in before else normalizer(norm, width)
    last = normalizer(norm, out) if "norm" in before or norm == "fixup" else nn.Identity()
    return first, last, "act" in before


def stages(
    block: Block,
    in_channels: int,
    channels: Sequence[int],
    blocks: Sequence[int],
    stochastic_depth: float = 0.0,
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
    stochastic_depth : float
        Of the last block; it grows linearly from 0 at the input
        (Huang et al. 2016, arXiv 1603.09382, equation 4).
    **options
        As for the block.

    Raises
    ------
    ValueError
        If `stochastic_depth` is no probability, or the block does not take an option.
    """
    if not 0 <= stochastic_depth <= 1:
        raise ValueError(f"stochastic_depth must lie between 0 and 1, found {stochastic_depth}")
    total, number = sum(blocks), 0
    made = []
    for index, (width, count) in enumerate(zip(channels, blocks, strict=True)):
        stage = nn.Sequential()
        for place in range(count):
            number += 1
            stride = 2 if index and not place else 1
            options["stochastic_depth"] = stochastic_depth * number / total
            options["share"] = number == 1
            stage.append(block(in_channels, width, stride, **options))
            in_channels = width * block.expansion
        made.append(stage)
    return made
