"""relu(conv2d(x) + shortcut) as one op: what is left of a residual block without its batch norms.

A device may do all of it while a piece of the convolution's result lies in the cache.
"""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, op
from minires.devices import Array, Window

from .activations import rectified, relu
from .conv import _conv2d, _conv2d_gradients, conv2d, conv_window
from .geometry import Pair
from .residual import check_equal_shapes, residual_add

Needs = tuple[bool, ...]


@op(name="conv2d_relu", fresh=("weight", "bias"))
def _conv2d_relu(
    input: Array,
    weight: Array,
    bias: Array | None,
    shortcut: Array | None,
    *,
    window: Window,
    groups: int,
) -> Array:
    return devices.of(input).conv2d_relu(input, weight, window, groups, bias, shortcut)


@_conv2d_relu.vjp
def _(
    g: Array,
    input: Array,
    weight: Array,
    output: Array,
    needs: Needs,
    window: Window,
    groups: int,
) -> Any:
    passed = rectified(g, output)
    gradients = _conv2d_gradients(passed, input, weight, needs, window, groups)
    return *gradients, passed if needs[3] else None


@_conv2d_relu.twin
def _(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    shortcut: Tensor | None,
    **constants: Any,
) -> Tensor:
    y = _conv2d(input, weight, bias, **constants)
    return relu(y if shortcut is None else residual_add(shortcut, y))


def conv2d_relu(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    shortcut: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """relu(conv2d(input) + shortcut): to the bit what the ops give one after the other.

    Without a shortcut, nothing is added.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    weight, bias, stride, padding, dilation, groups
        As for `conv2d`.
    shortcut : Tensor, (N, O, OH, OW), optional
        Of the output's shape: nothing is broadcast.

    Returns
    -------
    Tensor, (N, O, OH, OW)

    Raises
    ------
    ValueError
        As `conv2d` and `residual_add`.

    Examples
    --------
    >>> import minires as mr
    >>> x, filters = mr.tensor([[[[1.0, -2.0]]]]), mr.ones(1, 1, 1, 1)
    >>> mr.ops.conv2d_relu(x, filters, shortcut=mr.ones(1, 1, 1, 2))
    tensor([[[[2., 0.]]]])
    """
    window = conv_window(input, weight, bias, stride, padding, dilation, groups)
    if shortcut is not None:
        size = window.output_size((input.shape[2], input.shape[3]))
        output = input.shape[0], weight.shape[0], *size
        check_equal_shapes(tuple(shortcut.shape), output, "conv2d_relu")
    operands = weight, bias, shortcut
    if any(value is not None and value.dtype != input.dtype for value in operands):
        y = conv2d(input, weight, bias, stride, padding, dilation, groups)
        return relu(y if shortcut is None else residual_add(shortcut, y))
    return _conv2d_relu(input, *operands, window=window, groups=groups)
