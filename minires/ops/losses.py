"""Losses."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .activations import log_softmax, softmax
from .arithmetic import div, mul, sub, where
from .broadcasting import sum
from .operands import copied_beside
from .reductions import mean
from .selection import _gather as pick
from .shapes import floating, permute, reshape


@op(name="cross_entropy")
def _cross_entropy(
    logits: Array,
    *,
    target: Array,
    ignore_index: int = -100,
    label_smoothing: float,
    weight: Array | None = None,
) -> Array:
    """Loss of each row of logits (N, C), as (N,)."""
    device = devices.of(logits)
    # A row of -inf alone has no probabilities: its loss is nan, in silence.
    with device.quiet():
        return device.cross_entropy(
            device.floating(logits), target, ignore_index, label_smoothing, weight
        )


@_cross_entropy.vjp
def _(
    g: Array,
    logits: Array,
    target: Array,
    ignore_index: int,
    label_smoothing: float,
    weight: Array | None,
) -> Array:
    if not isinstance(g, Tensor):
        device = devices.of(g)
        with device.quiet():
            return device.cross_entropy_backward(
                g, logits, target, ignore_index, label_smoothing, weight
            )
    # The loss is -<soft, log_softmax(logits)>; the rows of soft sum to 1 unless weighted.
    soft = _soft_targets(target, logits, label_smoothing)
    p = softmax(logits, 1)
    if weight is not None:
        soft = soft * weight
        p = mul(p, soft.sum(1, keepdims=True))
    counted = mul(g, (target != ignore_index).astype(g.dtype))
    return mul(reshape(counted, -1, 1), sub(p, soft))


@_cross_entropy.twin
def _(
    logits: Tensor,
    *,
    target: Array,
    ignore_index: int = -100,
    label_smoothing: float,
    weight: Array | None = None,
) -> Tensor:
    log_p = log_softmax(logits, 1)
    if weight is not None:
        log_p = mul(log_p, weight)
    counted = target != ignore_index
    index = (target * counted).reshape(-1, 1)
    loss = mul(reshape(pick(log_p, dim=1, index=index), -1), -(1 - label_smoothing))
    if label_smoothing:
        loss = sub(loss, mul(mean(log_p, 1), label_smoothing))
    return where(counted, loss, 0.0)


def _soft_targets(target: Array, logits: Tensor, smoothing: float) -> Array:
    """One-hot rows (N, C), mixed with the uniform distribution."""
    xp, classes, number = logits.device.xp, logits.shape[1], logits.dtype.type
    hit = target[:, None] == xp.arange(classes)
    uniform = smoothing / classes
    return xp.where(hit, number(1 - smoothing + uniform), number(uniform))


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
    target : Tensor or array of int, (N,) or (N, *places), or of floats, like `input`
        The right classes, 0 to C-1. Floats are soft labels: the probability of each class, as they
        come from mixed images; the loss is then -sum(target * log_softmax(input)) over classes.
    weight : Tensor or array, (C,), optional
        How much each class counts. The mean is then a weighted one: it is divided by the sum of
        the right classes' weights; with soft labels, by the number of labels as ever.
    ignore_index : int
        What is labelled so does not count, neither in the sum nor in the mean; no soft label is.
    label_smoothing : float
        Share of the target that is spread evenly over all classes (Szegedy et al. 2015).
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, () or (N,) or (N, *places)

    Raises
    ------
    ValueError
        If shapes do not fit, class numbers are not integers, or one of them is out of range. Labels
        that are on a GPU already are not looked at: the loss of one out of range is nan.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.cross_entropy(mr.zeros(1, 2), mr.tensor([1]))
    tensor(0.6931472)

    Half of one class and half of the other:

    >>> mr.ops.cross_entropy(mr.zeros(1, 2), mr.tensor([[0.5, 0.5]]))
    tensor(0.6931472)
    """
    x = input._data if isinstance(input, Tensor) else input
    device = devices.of(x)
    given = target._data if isinstance(target, Tensor) else target
    # Labels that come from the host are looked at there. A copy, for the caller may write into
    # them before the backward pass.
    labels = devices.of(given).array(given)
    shape = tuple(input.shape)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            located(f"cross_entropy: label_smoothing must lie in [0, 1], found {label_smoothing}")
        )
    if weight is not None:
        weight = _class_weights(input, weight)
    if len(shape) >= 2 and tuple(labels.shape) == shape and labels.dtype.kind == "f":
        return _of_soft_labels(input, target, weight, reduction, label_smoothing)
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
    all_count = _checked(labels, ignore_index, shape[1])
    if devices.of(labels) is not device:
        labels = copied_beside(x, "cross_entropy", "target", labels)
    rows = input
    if len(shape) > 2:
        rows = reshape(permute(input, 0, *range(2, len(shape)), 1), -1, shape[1])  # (N*places, C)
    loss = _cross_entropy(
        rows,
        target=labels.reshape(-1),
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        weight=weight,
    )
    loss = loss if len(shape) == 2 else reshape(loss, labels.shape)
    if reduction != "mean" or (weight is None and all_count):
        return _reduced(loss, reduction, "cross_entropy")
    counts = labels != ignore_index
    shares = counts if weight is None else weight[labels * counts] * counts
    total = shares.sum(dtype=loss.dtype)
    # Where nothing counts there is no mean: 0 / False is nan.
    with device.quiet():
        return div(sum(loss), device.apply("true_divide", total, total != 0))


def _class_weights(input: Tensor, weight: Any) -> Array:
    """Return the classes' weights (C,) beside the logits (N, C, *places), in their dtype."""
    x = input._data if isinstance(input, Tensor) else input
    given = weight._data if isinstance(weight, Tensor) else weight
    weight = copied_beside(x, "cross_entropy", "weight", given, floating(input).dtype)
    if tuple(weight.shape) != tuple(x.shape[1:2]):
        raise ValueError(
            located(
                f"cross_entropy: weight must have shape ({x.shape[1]},), one for each class,"
                f" found {tuple(weight.shape)}"
            )
        )
    return weight


def _of_soft_labels(
    input: Tensor, target: Any, weight: Array | None, reduction: str, smoothing: float
) -> Tensor:
    """Cross-entropy of logits and probabilities, both (N, C, *places), spelled out."""
    if not (isinstance(target, Tensor) and target.requires_grad):
        x = input._data if isinstance(input, Tensor) else input
        given = target._data if isinstance(target, Tensor) else target
        target = copied_beside(x, "cross_entropy", "target", given, floating(input).dtype)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / target.shape[1]
    if weight is not None:
        target = target * weight.reshape(-1, *[1] * (len(target.shape) - 2))
    loss = mul(sum(mul(log_softmax(input, 1), target), 1), -1)
    return _reduced(loss, reduction, "cross_entropy")


def _checked(labels: Array, ignore_index: int, classes: int) -> bool:
    """Refuse labels that are no classes; tell whether all of them count.

    Where looking would mean waiting for a GPU nothing is refused, and the answer is no: the loss of
    a label that is no class is nan there.
    """
    if not devices.of(labels).synchronous:
        return False
    counts = labels != ignore_index
    wrong = counts & ((labels < 0) | (labels >= classes))
    if wrong.any():
        raise ValueError(
            located(
                f"cross_entropy: label {int(labels[wrong][0])} is out of range; with {classes}"
                f" logits labels go from 0 to {classes - 1}"
            )
        )
    return bool(counts.all())


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
