"""What a centre-point detector learns from: the loss of Zhou et al. 2019 (arXiv 1904.07850)."""

from __future__ import annotations

from typing import Any, NamedTuple

from minires import devices, ops
from minires.autograd import Tensor
from minires.devices import Array

from .center_point import STRIDE, CenterMaps

# A box moved by the radius of its peak, to the right and down, still has this IoU with itself.
_KEPT_IOU = 0.7


class CenterTargets(NamedTuple):
    """What the maps (h, w) of N images with up to K objects each should be; arrays.

    Attributes
    ----------
    heat : array, (N, num_classes, h, w)
        1 in the cell of each centre, less around it, 0 far away.
    cell : array, (N, K), int64
        y*w + x of the cell that holds the centre.
    offset, size : array, (N, 2, K)
        Of each object, in cells, as in `CenterMaps`.
    present : array, (N, K), bool
        Which of the K objects there are.
    """

    heat: Array
    cell: Array
    offset: Array
    size: Array
    present: Array


def center_targets(boxes: Any, labels: Any, shape: tuple[int, int, int]) -> CenterTargets:
    """Draw the heat map of some objects, and list what is to be learned at their centres.

    Each object is a Gaussian around its centre's cell, exp(-(dx^2 + dy^2) / 2 sigma^2); where those
    of one class meet, the larger counts (section 3). With r the shift to the right and down that
    leaves a box an IoU of 0.7 with itself, sigma = (2r + 1) / 6: three of them reach half a cell
    beyond r.

    Parameters
    ----------
    boxes : Tensor or array, (N, K, 4)
        x0, y0, x1, y1 in pixels.
    labels : Tensor or array of int, (N, K)
        0 to num_classes - 1; -1 where there is no object.
    shape : (int, int, int)
        (num_classes, h, w) of the heat map; a cell is 4 x 4 pixels.

    Returns
    -------
    CenterTargets

    Raises
    ------
    ValueError
        If shapes do not fit, a label is no class, a box is empty, or its centre is outside of the
        map.
    TypeError
        If boxes or labels are a list, as of one array for each image.

    Examples
    --------
    >>> import minires as mr
    >>> boxes, labels = mr.tensor([[[2.0, 2.0, 8.0, 8.0]]]), mr.tensor([[0]])
    >>> targets = center_targets(boxes, labels, shape=(1, 2, 3))
    >>> targets.cell, targets.offset.ravel(), targets.size.ravel()
    (array([[4]]), array([0.25, 0.25], dtype=float32), array([1.5, 1.5], dtype=float32))
    """
    boxes, labels = (x.detach().data if isinstance(x, Tensor) else x for x in (boxes, labels))
    if isinstance(boxes, (list, tuple)) or isinstance(labels, (list, tuple)):
        raise TypeError(
            "center_targets: boxes (N, K, 4) and labels (N, K) must be a Tensor or an array each,"
            f" found a {type(boxes).__name__} and a {type(labels).__name__}; where an image has"
            " fewer than K objects, its last boxes are zeros and their labels -1, as those of"
            " mr.data.compose_canvases are"
        )
    if boxes.ndim != 3 or boxes.shape[2] != 4 or labels.shape != boxes.shape[:2]:
        raise ValueError(
            f"center_targets: boxes (N, K, 4) have shape {boxes.shape}, labels (N, K) have shape"
            f" {labels.shape}"
        )
    xp = devices.of(boxes).xp
    num_classes, h, w = shape
    present = labels >= 0
    boxes = xp.where(present[..., None], boxes, 0)
    first, last = boxes[..., :2] / STRIDE, boxes[..., 2:] / STRIDE
    centre, size = (first + last) / 2, last - first  # (N, K, 2)
    corner = xp.floor(centre)
    possible = (corner >= 0) & (corner < xp.asarray([w, h])) & (size > 0)
    wrong = present & ~(possible.all(-1) & (labels < num_classes))
    if wrong.any():
        n, k = (int(index[0]) for index in wrong.nonzero())
        raise ValueError(
            f"center_targets: object {k} of image {n} has label {int(labels[n, k])} and box"
            f" {boxes[n, k].tolist()}; a label must be one of {num_classes} classes, or -1, and a"
            f" box x0 < x1, y0 < y1, with its centre in an image of {h * STRIDE} x {w * STRIDE}"
        )
    x, y = corner[..., 0], corner[..., 1]
    twice_variance = 2 * _deviation(size)[..., None] ** 2
    across = xp.exp(-((xp.arange(w, dtype=x.dtype) - x[..., None]) ** 2) / twice_variance)
    down = xp.exp(-((xp.arange(h, dtype=y.dtype) - y[..., None]) ** 2) / twice_variance)
    heat = xp.zeros((len(boxes), num_classes, h, w), across.dtype)
    for k in range(boxes.shape[1]):
        rows = present[:, k].nonzero()[0]
        layer = rows, labels[rows, k]
        peaks = down[rows, k, :, None] * across[rows, k, None, :]  # (rows, h, w)
        heat[layer] = xp.maximum(heat[layer], peaks)
    cell = y.astype(devices.int64) * w + x.astype(devices.int64)
    return CenterTargets(heat, cell, (centre - corner).swapaxes(1, 2), size.swapaxes(1, 2), present)


def _deviation(size: Array) -> Array:
    """Return sigma for boxes of width and height `size` (..., 2), in cells.

    A shift by (r, r) leaves (w - r)(h - r) of a box in common with itself, an IoU of t where
    r^2 - (w + h) r + w h (1 - t) / (1 + t) = 0; r is the smaller root.
    """
    total, area = size.sum(-1), size[..., 0] * size[..., 1]
    lost = (1 - _KEPT_IOU) / (1 + _KEPT_IOU)
    radius = (total - (total**2 - 4 * lost * area) ** 0.5) / 2
    return (2 * radius + 1) / 6


def heat_loss(logits: Tensor, target: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Penalty-reduced focal loss of a heat map: the paper's equation 1.

    With Y the target and P = sigmoid(logits), the mean over the peaks (Y = 1) of the sum of
    -(1 - P)^alpha log(P) where Y = 1, and of -(1 - Y)^beta P^alpha log(1 - P) elsewhere: what is
    right already counts little, and so does what lies beside a peak.

    Parameters
    ----------
    logits : Tensor, (N, num_classes, h, w)
    target : Tensor, of that shape
        Between 0 and 1; exactly 1 at the peaks.
    alpha, beta : float

    Returns
    -------
    Tensor, ()
        Where there is no peak, the sum.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import minires as mr
    >>> heat_loss(mr.tensor([0.0, 0.0]), mr.tensor([1.0, 0.5]))  # log(2) / 4 * (1 + 1/16)
    tensor(0.18411723)
    """
    if tuple(logits.shape) != tuple(target.shape):
        raise ValueError(
            f"heat_loss: logits have shape {tuple(logits.shape)}, the target has"
            f" {tuple(target.shape)}"
        )
    # log(P) and log(1 - P): the logarithms of the softmax of (logit, 0), which do not overflow.
    log_p, log_q = ops.log_softmax(ops.stack([logits, ops.zeros_like(logits)]), 0)
    peak = target == 1
    found = ops.exp(alpha * log_q) * log_p
    empty = (1 - target) ** beta * ops.exp(alpha * log_p) * log_q
    count = ops.maximum(ops.sum(ops.cast(peak, logits.dtype)), 1)
    return -ops.sum(ops.where(peak, found, empty)) / count


def center_point_loss(
    maps: CenterMaps,
    boxes: Any,
    labels: Any,
    size_weight: float = 0.1,
    offset_weight: float = 1.0,
) -> Tensor:
    """The whole loss of a centre-point detector: the paper's equation 4.

    L = L_heat + size_weight * L_size + offset_weight * L_offset. The last two (equations 3 and 2)
    are the absolute differences in size and offset, in cells, at the centres alone; summed over
    both directions, and averaged over the objects.

    Parameters
    ----------
    maps : CenterMaps
        What a `CenterPointDetector` gave.
    boxes : Tensor or array, (N, K, 4)
        x0, y0, x1, y1 in pixels.
    labels : Tensor or array of int, (N, K)
        -1 where there is no object.
    size_weight, offset_weight : float

    Returns
    -------
    Tensor, ()

    Raises
    ------
    ValueError
        If boxes and labels do not fit the maps; see `center_targets`.
    TypeError
        If they are lists.

    Examples
    --------
    >>> import minires as mr
    >>> heat, offset, size = mr.zeros(1, 1, 2, 2), mr.zeros(1, 2, 2, 2), mr.ones(1, 2, 2, 2)
    >>> boxes, labels = mr.tensor([[[0.0, 0.0, 4.0, 4.0]]]), mr.tensor([[0]])
    >>> loss = center_point_loss(CenterMaps(heat, offset, size), boxes, labels)
    >>> loss - heat_loss(heat, mr.tensor(center_targets(boxes, labels, (1, 2, 2)).heat))
    tensor(1.)
    """
    heat = maps.heat
    if len(labels) != len(heat):
        raise ValueError(f"center_point_loss: maps of {len(heat)} images, labels of {len(labels)}")
    _, num_classes, h, w = heat.shape
    targets = center_targets(boxes, labels, (num_classes, h, w))
    wanted = [ops.tensor(target, heat.dtype, device=heat.device) for target in targets]
    present = ops.unsqueeze(wanted[4], 1)  # (N, 1, K)
    count = ops.maximum(ops.sum(present), 1)

    def at_the_centres(found: Tensor, target: Tensor) -> Tensor:
        cell = ops.tensor(targets.cell[:, None].repeat(2, axis=1), device=heat.device)
        learned = ops.gather(ops.flatten(found, 2), 2, cell)  # (N, 2, K)
        return ops.sum(ops.abs(learned - target) * present) / count

    return (
        heat_loss(heat, wanted[0])
        + size_weight * at_the_centres(maps.size, wanted[3])
        + offset_weight * at_the_centres(maps.offset, wanted[2])
    )
