"""How the blocks of a whole network start."""

from __future__ import annotations

from minires.autograd import no_grad

from . import init
from .layers import BatchNorm2d, Linear
from .module import Module
from .residual import ResidualBlock


def fixup_(model: Module) -> None:
    """Start a network without norms so that training begins well (Fixup, rules 1 and 2).

    Branches and the last linear layer start at 0; the other convolutions of a branch of m are
    scaled by L ** (-1 / (2m - 2)), L being the number of blocks (Zhang et al. 2019).
    """
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    with no_grad():
        for block in blocks:
            *inner, last = (m for name, m in block.named_children() if name.startswith("conv"))
            for convolution in inner:
                factor = len(blocks) ** (-0.5 / len(inner))
                convolution.weight.copy_(convolution.weight * factor)
            init.zeros_(last.weight)
        heads = [module for module in model.modules() if isinstance(module, Linear)]
        for value in heads[-1].parameters():
            init.zeros_(value)


def zero_last_scale_(model: Module) -> None:
    """Start every branch that ends in a BatchNorm at 0 (Goyal et al. 2017, arXiv 1706.02677).

    Raises
    ------
    ValueError
        If none does.
    """
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    norms = [block.last_norm for block in blocks if isinstance(block.last_norm, BatchNorm2d)]
    if not norms:
        raise ValueError(
            "no branch ends in a BatchNorm that could start at 0: in pre-activation orders a"
            " convolution stands there, and without norms nothing; norm='skipinit' starts at 0, too"
        )
    for norm in norms:
        init.zeros_(norm.weight)
