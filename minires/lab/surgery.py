"""Blocks of a network taken out, replaced and put in another order, and what it errs then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from minires import nn, ops
from minires.autograd import Tensor, no_grad
from minires.data import TensorDataset
from minires.models import CifarResNet
from minires.ops import tensor

# A block, after the stage that holds it and its name there.
Place = tuple[nn.Module, str, nn.ResidualBlock]


def blocks_of(model: CifarResNet) -> list[Place]:
    """Return each block, from the input on, after the stage that holds it and its name there.

    Examples
    --------
    >>> from minires.models import cifar_resnet
    >>> len(blocks_of(cifar_resnet(20)))
    9
    """
    places: list[Place] = []
    for stage in (model.layer1, model.layer2, model.layer3):
        for name, block in stage.named_children():
            assert isinstance(block, nn.ResidualBlock)
            places.append((stage, name, block))
    return places


class ShortcutAlone(nn.Module):
    """A residual block without its branch.

    Parameters
    ----------
    block : ResidualBlock
        It is left as it is.
    """

    def __init__(self, block: nn.ResidualBlock) -> None:
        super().__init__()
        assert block.downsample is not None
        self.downsample: nn.Module = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map x to relu(shortcut(x))."""
        return ops.relu(self.downsample(x))


class LayerAlone(nn.Module):
    """One of a plain block's two layers alone.

    Parameters
    ----------
    block : ResidualBlock
        It is left as it is.
    number : {1, 2}
    """

    def __init__(self, block: nn.ResidualBlock, number: int) -> None:
        super().__init__()
        self.conv, self.bn = getattr(block, f"conv{number}"), getattr(block, f"bn{number}")

    def forward(self, x: Tensor) -> Tensor:
        """Map x to relu(bn(conv(x)))."""
        return ops.relu(self.bn(self.conv(x)))


@contextmanager
def instead(blocks: Sequence[Place], replaced: Mapping[int, nn.Module]) -> Iterator[None]:
    """Put other modules in the place of some blocks, inside of a ``with``.

    Parameters
    ----------
    blocks : list
        As `blocks_of` returns them.
    replaced : dict
        By a block's number, from 0, the module that stands there; it is put in evaluation mode.
    """
    try:
        for i, module in replaced.items():
            setattr(blocks[i][0], blocks[i][1], module.eval())
        yield
    finally:
        for i in replaced:
            setattr(*blocks[i])


def error_of(model: nn.Module, images: TensorDataset) -> float:
    """Return the share of images that a network, as it is, gets wrong.

    Parameters
    ----------
    model : Module
        Maps images (N, C, H, W) to logits (N, classes).
    images : TensorDataset
    """
    pixels, labels = images.arrays
    device = next(iter(model.parameters())).device
    with no_grad():
        logits = [
            model(tensor(pixels[i : i + 100], device=device)).numpy()
            for i in range(0, len(pixels), 100)
        ]
    return float((np.concatenate(logits).argmax(1) != labels).mean())


def swapped(
    blocks: Sequence[Place], within: Sequence[int], number: int, generator: np.random.Generator
) -> list[int]:
    """Return the order of the blocks after some swaps of two of one stage, drawn at random.

    Parameters
    ----------
    blocks : list
        As `blocks_of` returns them.
    within : list of int
        The blocks that may be swapped.
    number : int
        Of swaps.
    generator : numpy.random.Generator
    """
    order = list(range(len(blocks)))
    for _ in range(number):
        first = int(generator.choice(within))
        others = [i for i in within if blocks[i][0] is blocks[first][0] and i != first]
        second = int(generator.choice(others)) if others else first
        order[first], order[second] = order[second], order[first]
    return order


def kendall(order: Sequence[int]) -> float:
    """Return Kendall's tau of an order: 1 as it was, -1 the other way round.

    Examples
    --------
    >>> kendall([0, 1, 2]), kendall([2, 1, 0])
    (1.0, -1.0)
    """
    pairs = [(i, j) for j in range(len(order)) for i in range(j)]
    agreeing = sum(order[i] < order[j] for i, j in pairs)
    return 2 * agreeing / len(pairs) - 1
