"""Losses."""

from __future__ import annotations

import math
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .activations import log_softmax, softmax
from .arithmetic import div, mul, sub, where
from .broadcasting import sum
from .reductions import mean
from .selection import _gather as pick
from .shapes import floating, permute, reshape


def _soft_targets(target: Array, classes: int, smoothing: float, dtype: Any) -> Array:
    """One-hot rows (N, classes), mixed with the uniform distribution."""
    xp = devices.of(target).xp
    uniform = smoothing / classes
    soft = xp.full((target.shape[0], classes), uniform, dtype)
    soft[xp.arange(target.shape[0]), target] = 1 - smoothing + uniform
    return soft


@op(name="cross_entropy")
def _cross_entropy(
    logits: Array, *, target: Array, label_smoothing: float, weight: Array | None = None
) -> Array:
    """Loss of each row of logits (N, C), as (N,)."""
    device = devices.of(logits)
    log_p = log_softmax(device.floating(logits), 1)
    if weight is not None:
        log_p = log_p * weight
    rows = device.xp.arange(target.shape[0])
    loss = -log_p[rows, target] * (1 - label_smoothing)
    if label_smoothing:
        loss = loss - log_p.mean(1) * label_smoothing
    return loss


@_cross_entropy.vjp
def _(
    g: Array, logits: Array, target: Array, label_smoothing: float, weight: Array | None
) -> Array:
    # The loss is -<soft, log_softmax(logits)>; the rows of soft sum to 1 unless weighted.
    soft = _soft_targets(target, logits.shape[1], label_smoothing, logits.dtype)
    p = softmax(logits, 1)
    if weight is not None:
        soft = soft * weight
        p = mul(p, soft.sum(1, keepdims=True))
    return mul(reshape(g, -1, 1), sub(p, soft))


@_cross_entropy.twin
def _(
    logits: Tensor, *, target: Array, label_smoothing: float, weight: Array | None = None
) -> Tensor:
    log_p = log_softmax(logits, 1)
    if weight is not None:
        log_p = mul(log_p, weight)
    index = target.reshape(-1, 1)
    loss = mul(reshape(pick(log_p, dim=1, index=index), -1), -(1 - label_smoothing))
    return sub(loss, mul(mean(log_p, 1), label_smoothing)) if label_smoothing else loss


def _reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(
        located(f"{name}: reduction must be 'mean', 'sum' or 'none', found {reduction!r}")
    )


def cross_entropy(
    input: Tensor,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Negative log-probability of the right class, from logits, without overflow.

    Parameters
    ----------
    input : Tensor, (N, C) or (N, C, *places)
        Logits; with places, those of each pixel.
    target : Tensor or array of int, (N,) or (N, *places)
        The right classes, 0 to C-1.
    weight : Tensor or array, (C,), optional
        How much each class counts. The mean is then a weighted one: it is divided by the sum of
        the right classes' weights.
    ignore_index : int
        What is labelled so does not count, neither in the sum nor in the mean.
    label_smoothing : float
        Share of the target that is spread evenly over all classes (Szegedy et al. 2015).
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, () or the shape of `target`

    Raises
    ------
    ValueError
        If shapes do not fit, a label is out of range, or labels are not integers.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.cross_entropy(mr.zeros(1, 2), mr.tensor([1]))
    tensor(0.6931472)
    """
    plain = target._data if isinstance(target, Tensor) else target
    device = devices.of(input._data if isinstance(input, Tensor) else input)
    # A copy, for the caller may write into the labels before the backward pass.
    labels = device.array(plain)
    shape = tuple(input.shape)
    if len(shape) < 2 or tuple(labels.shape) != (shape[0], *shape[2:]):
        raise ValueError(
            located(
                f"cross_entropy: logits (N, C, ...) have shape {shape}, labels (N, ...) have shape"
                f" {tuple(labels.shape)}"
            )
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            located(f"cross_entropy: labels must be integers (class numbers), found {labels.dtype}")
        )
    counts = labels != ignore_index
    if not counts.all():
        labels = labels * counts
    if labels.size and not (int(labels.min()) >= 0 and int(labels.max()) < shape[1]):
        bad = labels[(labels < 0) | (labels >= shape[1])][0]
        raise ValueError(
            located(
                f"cross_entropy: label {int(bad)} is out of range; with {shape[1]} logits labels"
                f" go from 0 to {shape[1] - 1}"
            )
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            located(f"cross_entropy: label_smoothing must lie in [0, 1], found {label_smoothing}")
        )
    if weight is not None:
        weight = device.array(
            weight._data if isinstance(weight, Tensor) else weight, floating(input).dtype
        )
        if tuple(weight.shape) != shape[1:2]:
            raise ValueError(
                located(
                    f"cross_entropy: weight must have shape ({shape[1]},), one for each class,"
                    f" found {tuple(weight.shape)}"
                )
            )
    rows = input
    if len(shape) > 2:
        rows = reshape(permute(input, 0, *range(2, len(shape)), 1), -1, shape[1])  # (N*places, C)
    flat = labels.reshape(-1)
    loss = _cross_entropy(rows, target=flat, label_smoothing=label_smoothing, weight=weight)
    loss = loss if len(shape) == 2 else reshape(loss, labels.shape)
    if weight is None and counts.all():
        return _reduced(loss, reduction, "cross_entropy")
    loss = where(counts, loss, 0.0)
    if reduction != "mean":
        return _reduced(loss, reduction, "cross_entropy")
    total = float((counts if weight is None else weight[labels] * counts).sum())
    # Where nothing counts there is no mean, and no warning either.
    return div(sum(loss), total or math.nan)


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Squared difference, (input - target)^2.

    Parameters
    ----------
    input, target : Tensor
        Of equal shape.
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ValueError
        If the shapes differ (nothing is broadcast) or the reduction is unknown.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.mse_loss(mr.tensor([1.0, 3.0]), mr.zeros(2))
    tensor(5.)
    """
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            located(f"mse_loss: input has shape {tuple(input.shape)}, target {tuple(target.shape)}")
        )
    difference = sub(input, target)
    return _reduced(mul(difference, difference), reduction, "mse_loss")
