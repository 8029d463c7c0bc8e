"""Intersection over union: of classes of pixels, and of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.autograd import Tensor

Array = np.ndarray[Any, Any]


def confusion_matrix(
    predicted: Any, target: Any, num_classes: int, ignore_index: int = -100
) -> Array:
    """Count what was predicted for what was right.

    Matrices of several batches may be added up.

    Parameters
    ----------
    predicted : Tensor or array of int
        Class numbers, 0 to num_classes - 1, of pixels or whatever else.
    target : Tensor or array of int, of that shape
        The right classes.
    num_classes : int
    ignore_index : int
        What is labelled so does not count, as for `minires.ops.cross_entropy`.

    Returns
    -------
    array, (num_classes, num_classes), int64
        Row: the right class; column: the predicted one.

    Raises
    ------
    ValueError
        If the shapes differ, or a number is no class.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1, 1]), np.array([0, 0, 1, -100]), num_classes=2)
    array([[1, 1],
           [0, 1]])
    """
    found, right = as_host(predicted), as_host(target)
    if found.shape != right.shape:
        raise ValueError(
            f"confusion_matrix: predicted has shape {found.shape}, target {right.shape}"
        )
    counted = right != ignore_index
    found, right = found[counted], right[counted]
    for name, classes in (("predicted", found), ("target", right)):
        wrong = (classes < 0) | (classes >= num_classes)
        if wrong.any():
            raise ValueError(
                f"confusion_matrix: {name} has the class {int(classes[wrong][0])}; there are"
                f" {num_classes}, numbered from 0"
            )
    # A mask of bytes has no room for the number of a pair.
    pairs = np.bincount(right.astype(np.int64) * num_classes + found, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def class_iou(confusion: Array) -> Array:
    """Return each class's intersection over union, from a confusion matrix (C, C).

    Of the pixels that have the class, or were said to have it, the share for which both is true
    (Everingham et al. 2010, the PASCAL VOC challenge, section 4.3).

    Returns
    -------
    array, (C,), float64
        NaN for a class that is neither there nor predicted.

    Examples
    --------
    >>> class_iou(np.array([[3, 1], [0, 0]]))
    array([0.75, 0.  ])
    """
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    iou: Array = np.divide(both, either, out=np.full(len(both), np.nan), where=either > 0)
    return iou


def mean_iou(confusion: Array) -> float:
    """Return the mean of `class_iou` over the classes that are there, or were predicted.

    NaN where there are none.

    Examples
    --------
    >>> mean_iou(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    0.375
    """
    each = class_iou(confusion)
    each = each[~np.isnan(each)]
    return float(each.mean()) if len(each) else float("nan")


def box_iou(a: Any, b: Any) -> Array:
    """Return the intersection over union of each box of `a` with each of `b`.

    Parameters
    ----------
    a, b : Tensor or array, (A, 4) and (B, 4)
        x0, y0, x1, y1. A box ends *before* x1 and y1: its area is (x1 - x0) * (y1 - y0).

    Returns
    -------
    array, (A, B), floating
        0 for two boxes without area.

    Examples
    --------
    >>> box_iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]]))
    array([[0.33333333]])
    """
    one, other = (as_host(boxes).astype(np.float64) for boxes in (a, b))
    corner = np.maximum(one[:, None, :2], other[None, :, :2])
    end = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = (end - corner).clip(0).prod(-1)  # (A, B)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(-1) for boxes in (one, other)]
    either = areas[0][:, None] + areas[1] - both
    iou: Array = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return iou


def as_host(value: Any) -> Array:
    """Return the values of a Tensor, or of anything like an array, on the host."""
    return np.asarray(value.detach().to("cpu").numpy() if isinstance(value, Tensor) else value)
