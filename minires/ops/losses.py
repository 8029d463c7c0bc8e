"""Losses."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .activations import log_softmax, softmax
from .arithmetic import mul, sub
from .broadcasting import sum
from .reductions import mean
from .selection import _gather as pick
from .shapes import reshape


def _soft_targets(target: Array, classes: int, smoothing: float, dtype: Any) -> Array:
    """One-hot rows (N, classes), mixed with the uniform distribution."""
    xp = devices.of(target).xp
    uniform = smoothing / classes
    soft = xp.full((target.shape[0], classes), uniform, dtype)
    soft[xp.arange(target.shape[0]), target] = 1 - smoothing + uniform
    return soft


@op(name="cross_entropy")
def _cross_entropy(logits: Array, *, target: Array, label_smoothing: float) -> Array:
    """Loss of each row of logits (N, C), as (N,)."""
    device = devices.of(logits)
    log_p = log_softmax(device.floating(logits), 1)
    rows = device.xp.arange(target.shape[0])
    loss = -log_p[rows, target] * (1 - label_smoothing)
    if label_smoothing:
        loss = loss - log_p.mean(1) * label_smoothing
    return loss


@_cross_entropy.vjp
def _(g: Array, logits: Array, target: Array, label_smoothing: float) -> Array:
    soft = _soft_targets(target, logits.shape[1], label_smoothing, logits.dtype)
    return mul(reshape(g, -1, 1), sub(softmax(logits, 1), soft))


@_cross_entropy.twin
def _(logits: Tensor, *, target: Array, label_smoothing: float) -> Tensor:
    log_p = log_softmax(logits, 1)
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
    input: Tensor, target: Any, *, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:
    """Negative log-probability of the right class, from logits, without overflow.

    Parameters
    ----------
    input : Tensor, (N, C)
        Logits.
    target : Tensor or array of int, (N,)
        The right classes, 0 to C-1.
    label_smoothing : float
        Share of the target that is spread evenly over all classes (Szegedy et al. 2015).
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, () or (N,)

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
    if len(shape) != 2 or tuple(labels.shape) != shape[:1]:
        raise ValueError(
            located(
                f"cross_entropy: logits (N, C) have shape {shape}, labels (N,) have shape"
                f" {tuple(labels.shape)}"
            )
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            located(f"cross_entropy: labels must be integers (class numbers), found {labels.dtype}")
        )
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
    loss = _cross_entropy(input, target=labels, label_smoothing=label_smoothing)
    return _reduced(loss, reduction, "cross_entropy")


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
