"""Average precision: how well a detector ranks what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .overlap import as_host, box_iou

Array = np.ndarray[Any, Any]


def average_precision(scores: Any, hits: Any, objects: int) -> float:
    """Return the area under the curve of precision over recall: VOC's, over all points.

    Detections are taken from the surest on. After each, recall is the share of the objects that
    were found, and precision the share of the detections that were hits; at each recall counts the
    best precision that is reached there or later (the PASCAL VOC challenge from 2010 on; neither
    the 11 points of 2007 nor COCO's 101).

    Parameters
    ----------
    scores : array, (D,)
        How sure each detection was; equals stay in their order.
    hits : array of bool, (D,)
        Whether it found an object, each object at most once.
    objects : int
        How many there are to find.

    Returns
    -------
    float
        0 to 1; NaN where there is nothing to find.

    Raises
    ------
    ValueError
        If the lengths differ, or there are more hits than objects.

    Examples
    --------
    >>> average_precision(scores=[0.9, 0.8, 0.7], hits=[True, False, True], objects=2)
    0.8333333333333333
    """
    order = np.argsort(-as_host(scores), kind="stable")
    found = as_host(hits).astype(bool)
    if found.shape != order.shape or found.ndim != 1 or found.sum() > objects:
        raise ValueError(
            f"average_precision: {order.shape} scores, {found.shape} hits, {int(found.sum())} of"
            f" them true, and {objects} objects; each detection has a score, and finds at most one"
            " object that none before has found"
        )
    if not objects:
        return float("nan")
    found = found[order]
    precision = found.cumsum() / np.arange(1, len(found) + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall grows at the hits alone, by 1 / objects each.
    return float(best_from_here[found].sum() / objects)


def class_average_precision(
    detections: Sequence[Any], boxes: Any, labels: Any, num_classes: int, iou: float = 0.5
) -> Array:
    """Return each class's average precision over a set of images.

    A detection belongs to the object of its class and image with which it has the largest IoU. It
    is a hit if that is at least `iou`, and no surer detection has hit the object already (VOC's
    rule: a double is a mistake, even where another object overlaps as well).

    Parameters
    ----------
    detections : sequence of (boxes, labels, scores)
        One for each of N images, such as `minires.models.find_objects` returns.
    boxes : Tensor or array, (N, K, 4)
        The objects' x0, y0, x1, y1.
    labels : Tensor or array of int, (N, K)
        0 to num_classes - 1; -1 where there is no object.
    num_classes : int
    iou : float

    Returns
    -------
    array, (num_classes,), float64
        NaN for a class without objects.

    Raises
    ------
    ValueError
        If detections and objects are not of equally many images.

    Examples
    --------
    >>> found = np.array([[0.0, 0.0, 4.0, 3.0]]), np.array([1]), np.array([0.9])
    >>> boxes, labels = np.array([[[0.0, 0.0, 4.0, 4.0]]]), np.array([[1]])
    >>> class_average_precision([found], boxes, labels, num_classes=2)
    array([nan,  1.])
    """
    boxes, labels = as_host(boxes), as_host(labels)
    if not len(detections) == len(boxes) == len(labels):
        raise ValueError(
            f"class_average_precision: detections of {len(detections)} images, boxes of"
            f" {len(boxes)}, labels of {len(labels)}"
        )
    each = np.empty(num_classes)
    for number in range(num_classes):
        scores, hits = [np.empty(0)], [np.empty(0, bool)]
        for (found, named, sure), there, classes in zip(detections, boxes, labels, strict=True):
            own = as_host(named) == number
            scores.append(as_host(sure)[own])
            hits.append(_hits(as_host(found)[own], scores[-1], there[classes == number], iou))
        objects = int((labels == number).sum())
        each[number] = average_precision(np.concatenate(scores), np.concatenate(hits), objects)
    return each


def mean_average_precision(
    detections: Sequence[Any], boxes: Any, labels: Any, num_classes: int, iou: float = 0.5
) -> float:
    """Return the mean of `class_average_precision` over the classes that have objects.

    With the default `iou` it is known as AP50. NaN where there are no objects at all.

    Examples
    --------
    >>> found = np.array([[0.0, 0.0, 4.0, 1.0]]), np.array([1]), np.array([0.9])
    >>> boxes, labels = np.array([[[0.0, 0.0, 4.0, 4.0]]]), np.array([[1]])
    >>> mean_average_precision([found], boxes, labels, num_classes=2)
    0.0
    """
    each = class_average_precision(detections, boxes, labels, num_classes, iou)
    each = each[~np.isnan(each)]
    return float(each.mean()) if len(each) else float("nan")


def _hits(found: Array, scores: Array, objects: Array, iou: float) -> Array:
    """Tell which boxes (D, 4) found in an image hit one of its objects (K, 4), of one class."""
    hits = np.zeros(len(found), bool)
    if not len(objects):
        return hits
    overlaps = box_iou(found, objects)  # (D, K)
    taken = np.zeros(len(objects), bool)
    for number in np.argsort(-scores, kind="stable"):
        nearest = overlaps[number].argmax()
        hits[number] = overlaps[number, nearest] >= iou and not taken[nearest]
        taken[nearest] |= hits[number]
    return hits
