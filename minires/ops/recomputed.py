"""relu(batch_norm(x)) followed by a convolution, without keeping what lies between the two.

A convolution needs its input again for the gradient of its weight. Behind a batch norm and a ReLU
that input can be computed again from x, in one pass; a network that keeps only x at such places
needs a quarter less memory (Chen et al. 2016, arXiv 1604.06174, recompute what is cheap).
"""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, op
from minires.devices import Array, Normalizer, Window

from .activations import rectified
from .broadcasting import sum
from .conv import _conv2d, _conv_input, _conv_weight, conv2d, conv_window
from .geometry import Pair
from .norm import (
    Running,
    Statistics,
    _batch_norm_relu,
    batch_norm_relu,
    check_arguments,
    normalized,
    recorded_gradients,
)

Needs = tuple[bool, ...]


@op(
    name="batch_norm_relu_conv2d",
    has_aux=True,
    fresh=("norm_weight", "norm_bias", "weight", "bias"),
)
def _batch_norm_relu_conv2d(
    input: Array,
    norm_weight: Array | None,
    norm_bias: Array | None,
    weight: Array,
    bias: Array | None,
    *,
    statistics: Statistics | None,
    running: Running,
    momentum: float,
    eps: float,
    window: Window,
    groups: int,
) -> Any:
    given = input, norm_weight, norm_bias, statistics, running, momentum, eps
    active, own = normalized(*given, rectify=True)
    return devices.of(input).conv2d(active, weight, window, groups, bias), own


@_batch_norm_relu_conv2d.vjp
def _(
    g: Array,
    input: Array,
    norm_weight: Array | None,
    norm_bias: Array | None,
    weight: Array,
    aux: Statistics | None,
    needs: Needs,
    statistics: Statistics | None,
    eps: float,
    window: Window,
    groups: int,
) -> Any:
    db = sum(g, (0, 2, 3)) if needs[4] else None
    if aux is None:
        options: Any = {"statistics": statistics, "running": None, "momentum": 0.0, "eps": eps}
        active = _batch_norm_relu(input, norm_weight, norm_bias, None, **options)
        size = tuple(input.shape[2:])
        dw = _conv_weight(g, active, window=window, groups=groups) if needs[3] else None
        passed = _conv_input(g, weight, window=window, groups=groups, size=size)
        masked = rectified(passed, active)
        found = recorded_gradients(masked, input, norm_weight, needs, statistics, eps)
        return *found, dw, db
    by = Normalizer(*aux, norm_weight, norm_bias, eps, constant=statistics is not None)
    kernels, wanted = devices.of(g), (any(needs[:3]), needs[3])
    again = kernels.normalize(input, by, rectify=True)
    gradients = kernels.conv2d_backward(g, again, weight, window, groups, wanted)
    if not wanted[0]:
        return None, None, None, gradients[1], db
    norm = kernels.batch_norm_backward(gradients[0], input, by, again)
    return norm.dx, norm.d_weight, norm.d_bias, gradients[1], db


@_batch_norm_relu_conv2d.twin
def _(
    input: Tensor,
    norm_weight: Tensor | None,
    norm_bias: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    *,
    window: Window,
    groups: int,
    **constants: Any,
) -> Tensor:
    active = _batch_norm_relu(input, norm_weight, norm_bias, None, **constants)
    return _conv2d(active, weight, bias, window=window, groups=groups)


def batch_norm_relu_conv2d(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm_weight: Tensor | None,
    norm_bias: Tensor | None,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """conv2d(batch_norm_relu(input)), which keeps only `input` for the backward pass.

    There the normalised values are computed once more, to the bit.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    running_mean, running_var, norm_weight, norm_bias, training, momentum, eps
        As for `batch_norm`.
    weight, bias, stride, padding, dilation, groups
        As for `conv2d`.

    Returns
    -------
    Tensor, (N, O, OH, OW)

    Raises
    ------
    ValueError
        As `batch_norm` and `conv2d`.

    Examples
    --------
    >>> import minires as mr
    >>> x, filters = mr.tensor([[[[-1.0, 1.0]]]]), mr.ones(1, 1, 1, 2)
    >>> mr.ops.batch_norm_relu_conv2d(x, None, None, None, None, filters, training=True, eps=0.0)
    tensor([[[[1.]]]])
    """
    window = conv_window(input, weight, bias, stride, padding, dilation, groups)
    given = running_mean, running_var, norm_weight, norm_bias
    floats, constants = check_arguments(input, *given, training)
    constants |= {"momentum": momentum, "eps": eps}
    operands = norm_weight, norm_bias, weight, bias
    if any(value is not None and value.dtype != floats.dtype for value in operands):
        active = batch_norm_relu(input, *given, training=training, momentum=momentum, eps=eps)
        return conv2d(active, weight, bias, stride, padding, dilation, groups)
    return _batch_norm_relu_conv2d(floats, *operands, **constants, window=window, groups=groups)
