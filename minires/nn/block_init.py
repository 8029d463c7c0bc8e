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
    scaled by L ** (-1 / (2m - 2)), L being the number of blocks (Zhang et al. 2019). A block
    without a shortcut stays as it is: nothing would come through it.

    Raises
    ------
    ValueError
        If branches end in an activation.
    """
    blocks = _with_shortcuts(model)
    if not all(block.can_start_at_zero for block in blocks):
        raise ValueError(
            "norm='fixup' starts a branch's last convolution at 0, and the activation behind it,"
            " as in order='act_before_addition', gives no gradient at 0: it would never learn;"
            " take another order, or norm='skipinit'"
        )
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
    blocks = [block for block in _with_shortcuts(model) if block.can_start_at_zero]
    norms = [block.last_norm for block in blocks if isinstance(block.last_norm, BatchNorm2d)]
    if not norms:
        raise ValueError(
            "no branch ends in a BatchNorm that could start at 0: in pre-activation orders a"
            " convolution stands there, before an addition an activation may, which gives no"
            " gradient at 0, without norms nothing, and plain networks have no branches;"
            " norm='skipinit' starts at 0, too"
        )
    for norm in norms:
        init.zeros_(norm.weight)


def _with_shortcuts(model: Module) -> list[ResidualBlock]:
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    return [block for block in blocks if block.downsample is not None]
