"""Batch normalisation by the statistics of a batch that is spread over several ranks.

With n_r values per channel on rank r, M = sum n_r, and m_r and v_r the mean and variance of rank r:
mean = sum n_r m_r / M, and var = sum n_r (v_r + (m_r - mean)^2) / M, in which nothing cancels. The
gradient is that of `batch_norm`, dx = weight / sqrt(var + eps) * (g - <g> - x_hat * <g * x_hat>),
with <.> the mean over the values of all ranks. A pass exchanges 3C numbers forward, 2C backward.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, Normalizer
from minires.devices.communicator import Communicator

from .arithmetic import add, div, mul, sub
from .broadcasting import sum
from .collective import _all_reduce
from .elementary import sqrt
from .norm import (
    Needs,
    Running,
    Statistics,
    _axes,
    _batch_norm,
    _neutral,
    _written,
    check_arguments,
    gradients_by,
    scaled,
)


@op(name="sync_batch_norm", has_aux=True, fresh=("weight", "bias"))
def _sync_batch_norm(
    input: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    communicator: Communicator,
    running: Running,
    momentum: float,
    eps: float,
) -> Any:
    statistics, total = _statistics_of_all(input, communicator)
    _move_running(running, statistics, total, momentum)
    y = devices.of(input).normalize(input, Normalizer(*statistics, weight, bias, eps))
    return y, (statistics, total)


@_sync_batch_norm.vjp
def _(
    g: Array,
    input: Array,
    weight: Array | None,
    aux: tuple[Statistics, Array] | None,
    needs: Needs,
    communicator: Communicator,
    eps: float,
) -> Any:
    if aux is None:
        # The other ranks wait for the sums, whether this one needs the gradients or not.
        mean_of = partial(_mean_of_all, communicator=communicator)
        return gradients_by(_normalized(input, communicator, eps), g, weight, needs, mean_of)
    device, (statistics, total) = devices.of(g), aux
    by = Normalizer(*statistics, weight, None, eps, constant=True)
    direct = device.batch_norm_backward(g, input, by)
    sums = communicator.all_reduce(device.xp.stack([direct.d_weight, direct.d_bias]))
    scale = by.inverse_std(device.xp) if weight is None else by.inverse_std(device.xp) * weight
    # What goes through the statistics, x_hat * <g * x_hat> + <g>, is itself a scaled x_hat.
    through = by._replace(weight=scale * sums[0] / total, bias=scale * sums[1] / total)
    dx = direct.dx - device.normalize(input, through)
    return dx, direct.d_weight, direct.d_bias


@_sync_batch_norm.twin
def _(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    communicator: Communicator,
    running: Running,
    momentum: float,
    eps: float,
) -> Tensor:
    if running is not None:
        _move_running(running, *_statistics_of_all(input._data, communicator), momentum)
    x_hat, _ = _normalized(input, communicator, eps)
    return scaled(x_hat, weight, bias)


def _normalized(x: Any, communicator: Communicator, eps: float) -> tuple[Any, Any]:
    """Return x_hat and sqrt(var + eps), spelled out in ops."""
    centred = sub(x, _mean_of_all(x, communicator))
    std = sqrt(add(_mean_of_all(mul(centred, centred), communicator), eps))
    return div(centred, std), std


def _mean_of_all(x: Any, communicator: Communicator) -> Any:
    """Mean of each channel over the values of all ranks, (1, C, 1, ...)."""
    own = x._data if isinstance(x, Tensor) else x
    count = devices.of(own).xp.full(1, own.size // own.shape[1], own.dtype)
    total = _all_reduce(sum(x, _axes(x), keepdim=True), communicator=communicator)
    return div(total, communicator.all_reduce(count))


def _statistics_of_all(input: Array, communicator: Communicator) -> tuple[Statistics, Array]:
    """Mean and variance over the values of all ranks, (C,), and how many these are, (C,)."""
    device = devices.of(input)
    xp, count = device.xp, input.size // input.shape[1]
    mean, variance = device.batch_statistics(input) if count else _neutral(input)
    own = xp.stack([xp.full(len(mean), count, "float64"), mean, variance])
    rows = communicator.all_gather(own)
    counts, means, variances = rows[:, 0], rows[:, 1], rows[:, 2]  # each (ranks, C)
    total = counts.sum(0)
    if count <= 1 and float(total[0]) <= 1:  # so on all ranks, none of which is left waiting
        raise ValueError(
            located(
                "sync_batch_norm: all ranks together have a single value per channel or none (shape"
                f" {tuple(input.shape)}), which has no variance; train with a larger batch, or call"
                " model.eval()"
            )
        )
    average = (counts * means).sum(0) / total
    spread = (counts * (variances + (means - average) ** 2)).sum(0) / total
    kind = mean.dtype
    return (average.astype(kind), spread.astype(kind)), total.astype(kind)


def _move_running(running: Running, statistics: Statistics, total: Array, momentum: float) -> None:
    if running is None:
        return
    mean, variance = statistics
    with _written(running) as arrays:
        unbiased = variance * (total / (total - 1))
        # One value, the kernel is told, so that it takes the variance as it is.
        devices.of(mean).move_statistics(arrays, mean, unbiased, momentum, 1)


def sync_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    communicator: Communicator,
) -> Tensor:
    """Normalise as `batch_norm` does, in training by the statistics of all ranks' batches.

    The running statistics move alike on all ranks. Outside of training, and with a single rank,
    it is `batch_norm`, to the bit.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, *spatial)
        This rank's part of the batch; N may differ between the ranks, and be 0.
    running_mean, running_var, weight, bias, training, momentum, eps
        As for `batch_norm`.
    communicator : Communicator
        In training forward and backward pass wait for all ranks.

    Returns
    -------
    Tensor
        Of the input's shape.

    Raises
    ------
    ValueError
        As `batch_norm`; of several ranks on all of them.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.training.distributed import Alone
    >>> x = mr.tensor([[1.0], [3.0]])
    >>> mr.ops.sync_batch_norm(x, None, None, training=True, eps=0.0, communicator=Alone())
    tensor([[-1.],
            [ 1.]])
    """
    together = training and communicator.size > 1
    vectors = running_mean, running_var, weight, bias
    input, constants = check_arguments(input, *vectors, training, alone=not together)
    constants |= {"momentum": momentum, "eps": eps}
    if not together:
        return _batch_norm(input, weight, bias, **constants)
    del constants["statistics"]  # the batch's own
    return _sync_batch_norm(input, weight, bias, communicator=communicator, **constants)
