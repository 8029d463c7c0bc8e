"""Batch normalisation (Ioffe and Szegedy 2015, arXiv 1502.03167).

Per channel c, over a batch (N, C, *spatial) with M = N * prod(spatial) values per channel:
x_hat = (x - mean) / sqrt(var + eps), y = weight * x_hat + bias. With <.> the mean over the M
values, the gradient is dx = weight / sqrt(var + eps) * (g - <g> - x_hat * <g * x_hat>): the
direct term, the one through the mean, and the one through the variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, Normalizer

from .activations import rectified, relu
from .arithmetic import add, div, mul, sub
from .broadcasting import sum
from .elementary import sqrt
from .reductions import mean, var
from .residual import check_equal_shapes, residual_add
from .shapes import floating, reshape

Needs = tuple[bool, ...]
Statistics = tuple[Array, Array]
Running = tuple[Tensor, Tensor] | None


def _axes(x: Any) -> tuple[int, ...]:
    """All axes but the channels'."""
    return (0, *range(2, len(x.shape)))


def _channels(vector: Any, x: Any) -> Any:
    """Shape a vector (C,) so that it broadcasts over x."""
    return reshape(vector, (1, -1) + (1,) * (len(x.shape) - 2))


def _own_mean(x: Any) -> Any:
    """Mean of each channel, (1, C, 1, ...)."""
    return mean(x, _axes(x), keepdim=True)


def _normalized(x: Any, statistics: Statistics | None, eps: float) -> tuple[Any, Any]:
    """Return x_hat and sqrt(var + eps), spelled out in ops; without statistics by x's own."""
    if statistics is None:
        average = _own_mean(x)
        variance = var(x, _axes(x), correction=0, keepdim=True)
    else:
        average, variance = (_channels(vector, x) for vector in statistics)
    std = sqrt(add(variance, eps))
    return div(sub(x, average), std), std


@op(name="batch_norm", has_aux=True, fresh=("weight", "bias"))
def _batch_norm(
    input: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    statistics: Statistics | None,
    running: Running,
    momentum: float,
    eps: float,
) -> Any:
    return normalized(input, weight, bias, statistics, running, momentum, eps)


@_batch_norm.vjp
def _(
    g: Array,
    input: Array,
    weight: Array | None,
    aux: Statistics | None,
    needs: Needs,
    statistics: Statistics | None,
    eps: float,
) -> Any:
    if aux is None:
        return recorded_gradients(g, input, weight, needs, statistics, eps)
    by = Normalizer(*aux, weight, None, eps, constant=statistics is not None)
    gradients = devices.of(g).batch_norm_backward(g, input, by)
    return gradients.dx, gradients.d_weight, gradients.d_bias


@_batch_norm.twin
def _(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    statistics: Statistics | None,
    running: Running,
    momentum: float,
    eps: float,
) -> Tensor:
    _move_running(input._data, statistics, running, momentum)
    x_hat, _ = _normalized(input, statistics, eps)
    return scaled(x_hat, weight, bias)


@op(name="batch_norm_relu", has_aux=True, fresh=("weight", "bias"))
def _batch_norm_relu(
    input: Array,
    weight: Array | None,
    bias: Array | None,
    shortcut: Array | None,
    *,
    statistics: Statistics | None,
    running: Running,
    momentum: float,
    eps: float,
) -> Any:
    given = input, weight, bias, statistics, running, momentum, eps
    return normalized(*given, shortcut, rectify=True)


@_batch_norm_relu.vjp
def _(
    g: Array,
    input: Array,
    weight: Array | None,
    output: Array,
    aux: Statistics | None,
    needs: Needs,
    statistics: Statistics | None,
    eps: float,
) -> Any:
    if aux is None:
        passed = rectified(g, output)
        gradients = recorded_gradients(passed, input, weight, needs, statistics, eps)
        return *gradients, passed if needs[3] else None
    by = Normalizer(*aux, weight, None, eps, constant=statistics is not None)
    found = devices.of(g).batch_norm_backward(g, input, by, output, with_shortcut=needs[3])
    return found.dx, found.d_weight, found.d_bias, found.d_shortcut


@_batch_norm_relu.twin
def _(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    shortcut: Tensor | None,
    **constants: Any,
) -> Tensor:
    y = _batch_norm(input, weight, bias, **constants)
    return relu(y if shortcut is None else residual_add(shortcut, y))


def recorded_gradients(
    g: Any, input: Any, weight: Any, needs: Needs, statistics: Statistics | None, eps: float
) -> tuple[Any, Any, Any]:
    """Gradients in input, weight and bias, in ops that are recorded."""
    normal = _normalized(input, statistics, eps)
    return gradients_by(normal, g, weight, needs, _own_mean if statistics is None else None)


def gradients_by(
    normal: tuple[Any, Any], g: Any, weight: Any, needs: Needs, mean_of: Callable[[Any], Any] | None
) -> tuple[Any, Any, Any]:
    """Do what `recorded_gradients` does, with x_hat and sqrt(var + eps) given.

    `mean_of` takes the mean of each channel as they were taken, (1, C, 1, ...); None tells that
    they have no gradient.
    """
    x_hat, std = normal
    axes, centred = _axes(x_hat), g
    if mean_of is not None:
        centred = sub(sub(g, mean_of(g)), mul(x_hat, mean_of(mul(g, x_hat))))
    scale = div(1.0 if weight is None else _channels(weight, x_hat), std)
    return (
        mul(scale, centred) if needs[0] else None,
        sum(mul(g, x_hat), axes) if needs[1] else None,
        sum(g, axes) if needs[2] else None,
    )


def scaled(x_hat: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """weight * x_hat + bias."""
    y = x_hat if weight is None else mul(x_hat, _channels(weight, x_hat))
    return y if bias is None else add(y, _channels(bias, y))


def normalized(
    input: Array,
    weight: Array | None,
    bias: Array | None,
    statistics: Statistics | None,
    running: Running,
    momentum: float,
    eps: float,
    shortcut: Array | None = None,
    rectify: bool = False,
) -> tuple[Array, Statistics]:
    """Normalise by the given statistics, or by the batch's own; return them, too."""
    device = devices.of(input)
    if statistics is not None:
        by = Normalizer(*statistics, weight, bias, eps)
        return device.normalize(input, by, shortcut, rectify), statistics
    with _written(running) as arrays:
        return device.batch_norm(
            input, weight, bias, eps, arrays, momentum, shortcut=shortcut, rectify=rectify
        )


@contextmanager
def _written(running: Running) -> Iterator[Statistics | None]:
    """Hand out the arrays of running statistics, to be written; the tape learns of it."""
    yield None if running is None else (running[0]._data, running[1]._data)
    for statistic in running or ():
        statistic._versioned().wrote()


def _move_running(
    input: Array, statistics: Statistics | None, running: Running, momentum: float
) -> None:
    """Move the running statistics by those of a batch that is normalised step by step."""
    if statistics is None and running is not None:
        device = devices.of(input)
        with _written(running) as arrays:
            own = device.batch_statistics(input)
            device.move_statistics(arrays, *own, momentum, input.size // input.shape[1])


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel to mean 0 and variance 1, then scale and shift it.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, *spatial)
    running_mean, running_var : Tensor, (C,), optional
        Moving averages. In training they are updated in place; otherwise they are what the input
        is normalised by.
    weight, bias : Tensor, (C,), optional
        Scale and shift.
    training : bool
        Normalise by the batch's own mean and (biased) variance.
    momentum : float
        Weight of the *new* batch in the running statistics, whose variance is the unbiased one.
    eps : float
        Added to the variance.

    Returns
    -------
    Tensor
        Of the input's shape.

    Raises
    ------
    ValueError
        If shapes do not fit, a channel has only one value to normalise in training, or running
        statistics are missing outside of it.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.batch_norm(mr.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    input, constants = check_arguments(input, running_mean, running_var, weight, bias, training)
    return _batch_norm(input, weight, bias, **constants, momentum=momentum, eps=eps)


def batch_norm_relu(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    shortcut: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """relu(batch_norm(input) + shortcut), the end of a residual block, in one pass over memory.

    Its twin is the three ops `batch_norm`, `residual_add` and `relu`.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, *spatial)
    running_mean, running_var, weight, bias, training, momentum, eps
        As for `batch_norm`.
    shortcut : Tensor, optional
        What is added before the ReLU, of the input's shape.

    Returns
    -------
    Tensor
        Of the input's shape.

    Raises
    ------
    ValueError
        As `batch_norm` and `residual_add`.

    Examples
    --------
    >>> import minires as mr
    >>> x, zeros, ones = mr.tensor([[1.0], [3.0]]), mr.zeros(1), mr.ones(1)
    >>> mr.ops.batch_norm_relu(x, zeros, ones, shortcut=mr.tensor([[1.0], [-5.0]]), eps=0.0)
    tensor([[2.],
            [0.]])
    """
    input, constants = check_arguments(input, running_mean, running_var, weight, bias, training)
    if shortcut is not None:
        check_equal_shapes(tuple(shortcut.shape), tuple(input.shape), "batch_norm_relu")
        if shortcut.dtype != input.dtype:
            y = _batch_norm(input, weight, bias, **constants, momentum=momentum, eps=eps)
            return relu(residual_add(shortcut, y))
    return _batch_norm_relu(input, weight, bias, shortcut, **constants, momentum=momentum, eps=eps)


def check_arguments(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    training: bool,
    alone: bool = True,
) -> tuple[Any, dict[str, Any]]:
    """Check the arguments; return the input, floating, and what it is normalised by.

    These are constants of the op: `statistics`, or None for the batch's own, and the `running`
    ones that are to be moved. Where the input is not `alone`, but part of a batch, it may have a
    single value per channel, or none.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(located(f"batch_norm: input must have shape (N, C, ...), found {shape}"))
    vectors = {"running_mean": running_mean, "running_var": running_var}
    vectors |= {"weight": weight, "bias": bias}
    for name, vector in vectors.items():
        if vector is not None and tuple(vector.shape) != shape[1:2]:
            raise ValueError(
                located(
                    f"batch_norm: input has {shape[1]} channels (shape {shape}), {name} has shape"
                    f" {tuple(vector.shape)}"
                )
            )
    input = floating(input)
    statistics = running = None
    if running_mean is not None and running_var is not None:
        running = _buffer(running_mean), _buffer(running_var)
    count = math.prod(shape) // max(shape[1], 1)
    if training and alone and count == 1:
        raise ValueError(
            located(
                f"batch_norm: one value per channel (shape {shape}) has no variance; train"
                " with a larger batch, or call model.eval()"
            )
        )
    if not training:
        if running is None:
            raise ValueError(
                located("batch_norm: outside of training it needs running_mean and running_var")
            )
        # Copies, for a training step before the backward pass would change the averages.
        average, variance = (statistic._data.astype(input.dtype) for statistic in running)
        statistics, running = (average, variance), None
    elif alone and 0 in shape:
        # An empty batch has no statistics, and nothing to normalise by them.
        statistics, running = _neutral(input), None
    return input, {"statistics": statistics, "running": running}


def _neutral(input: Any) -> Statistics:
    """Mean 0 and variance 1 for each channel."""
    device = devices.of(input._data if isinstance(input, Tensor) else input)
    channels = input.shape[1]
    return device.xp.zeros(channels, input.dtype), device.xp.ones(channels, input.dtype)


def _buffer(statistic: Any) -> Tensor:
    return statistic if isinstance(statistic, Tensor) else Tensor(statistic)
