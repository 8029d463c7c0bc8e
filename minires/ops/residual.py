"""The residual addition (He et al. 2015, arXiv 1512.03385): an add that knows its two sides."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .arithmetic import add
from .operands import same_dtype


@op(name="residual_add")
def _residual_add(shortcut: Array, branch: Array) -> Array:
    shortcut, branch = same_dtype(shortcut, branch)
    return devices.of(shortcut).add(shortcut, branch)


@_residual_add.vjp
def _(g: Array) -> Any:
    # At the add the gradient is copied to both sides; where the block's input forks, it is summed.
    return g, g


@_residual_add.twin
def _(shortcut: Tensor, branch: Tensor) -> Tensor:
    return add(shortcut, branch)


def residual_add(shortcut: Tensor, branch: Tensor) -> Tensor:
    """shortcut + branch, of equal shapes; the tape keeps the two edges apart by name.

    Parameters
    ----------
    shortcut : Tensor
        What came around the block.
    branch : Tensor
        What the block computed, of the same shape.

    Returns
    -------
    Tensor
        Of that shape.

    Raises
    ------
    ValueError
        If the shapes differ: nothing is broadcast, or one shortcut channel would quietly become
        many.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> mr.ops.residual_add(x, 0.5 * x).sum().backward()
    >>> x.grad
    tensor([1.5, 1.5])
    """
    check_equal_shapes(tuple(shortcut.shape), tuple(branch.shape))
    return _residual_add(shortcut, branch)


def check_equal_shapes(
    shortcut: tuple[int, ...], branch: tuple[int, ...], op: str = "residual_add"
) -> None:
    """Refuse to add what would be broadcast."""
    if shortcut != branch:
        raise ValueError(
            located(
                f"{op}: shortcut has shape {shortcut}, branch {branch}; they must be equal."
                " A block that changes the shape needs a shortcut that does the same: zero-padding"
                " (A) or a projection (B, C)"
            )
        )
