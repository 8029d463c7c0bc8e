"""The centre-point loss, against the paper's equations in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.models import CenterMaps, center_point_loss, center_targets, heat_loss
from minires.training import box_iou


def objects(seed: int, most: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in two images of 16 x 24 pixels, some of them only placeholders."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, (18, 10), (2, most, 2))
    boxes = np.concatenate([first, first + rng.integers(1, 7, first.shape)], 2).astype(float)
    return boxes, rng.integers(-1, 3, (2, most))


def random_maps(seed: int, scale: float = 1.0) -> CenterMaps:
    rng = np.random.default_rng(seed)
    shapes = (2, 3, 4, 6), (2, 2, 4, 6), (2, 2, 4, 6)
    return CenterMaps(*(mr.tensor(scale * rng.standard_normal(shape)) for shape in shapes))


def deviation(w: float, h: float) -> float:
    """Sigma by bisection: the largest shift that leaves an IoU of 0.7."""
    low, high = 0.0, min(w, h)
    for _ in range(60):
        middle = (low + high) / 2
        moved = [middle, middle, w + middle, h + middle]
        iou = box_iou([[0, 0, w, h]], [moved]).item()
        low, high = (middle, high) if iou >= 0.7 else (low, middle)
    return (2 * low + 1) / 6


@given(seed=st.integers(0, 999))
def test_targets_are_those_of_the_paper_object_by_object(seed):
    boxes, labels = objects(seed)
    heat = np.zeros((2, 3, 4, 6))

    targets = center_targets(boxes, labels, (3, 4, 6))

    np.testing.assert_array_equal(targets.present, labels >= 0)
    for n, k in np.argwhere(labels >= 0):
        x0, y0, x1, y1 = boxes[n, k] / 4
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        column, row = math.floor(cx), math.floor(cy)
        assert targets.cell[n, k] == row * 6 + column
        np.testing.assert_allclose(targets.offset[n, :, k], [cx - column, cy - row], atol=1e-14)
        np.testing.assert_allclose(targets.size[n, :, k], [x1 - x0, y1 - y0], rtol=1e-14)
        sigma = deviation(x1 - x0, y1 - y0)
        for y, x in np.ndindex(4, 6):
            near = math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
            at = n, labels[n, k], y, x
            heat[at] = max(heat[at], near)
    np.testing.assert_allclose(targets.heat, heat, rtol=1e-9, atol=1e-300)
    peaks = {(n, labels[n, k], targets.cell[n, k]) for n, k in np.argwhere(labels >= 0)}
    assert (targets.heat == 1).sum() == len(peaks)


def test_boxes_of_half_precision_have_the_right_cell():
    box = np.array([[[200, 240, 208, 244]]], np.float16)

    assert center_targets(box, np.array([[0]]), (1, 64, 64)).cell == [[60 * 64 + 51]]


def naive_heat_loss(logits, target, alpha, beta) -> float:
    """Equation 1, cell by cell."""
    total, peaks = 0.0, 0
    for logit, y in zip(logits.ravel(), target.ravel(), strict=True):
        p = 1 / (1 + math.exp(-logit))
        if y == 1:
            peaks += 1
            total -= (1 - p) ** alpha * math.log(p)
        else:
            total -= (1 - y) ** beta * p**alpha * math.log(1 - p)
    return total / max(peaks, 1)


def naive_loss(maps: CenterMaps, boxes, labels, size_weight, offset_weight) -> float:
    """Equation 4, object by object."""
    heat, offset, size = (each.numpy() for each in maps)
    targets = center_targets(boxes, labels, heat.shape[1:])
    sizes = offsets = 0.0
    for n, k in np.argwhere(labels >= 0):
        y, x = divmod(int(targets.cell[n, k]), heat.shape[3])
        sizes += sum(abs(size[n, i, y, x] - targets.size[n, i, k]) for i in (0, 1))
        offsets += sum(abs(offset[n, i, y, x] - targets.offset[n, i, k]) for i in (0, 1))
    count = max((labels >= 0).sum(), 1)
    of_heat = naive_heat_loss(heat, targets.heat, 2, 4)
    return of_heat + (size_weight * sizes + offset_weight * offsets) / count


@given(seed=st.integers(0, 999), alpha=st.integers(0, 3), beta=st.integers(0, 5))
def test_the_loss_of_the_heat_map_is_equation_1(seed, alpha, beta):
    maps, target = random_maps(seed, 3), center_targets(*objects(seed), (3, 4, 6)).heat

    found = heat_loss(maps.heat, mr.tensor(target), alpha, beta).item()

    expected = naive_heat_loss(maps.heat.numpy(), target, alpha, beta)
    assert found == pytest.approx(expected, rel=1e-11)


@given(seed=st.integers(0, 999), weights=st.sampled_from([(0.1, 1.0), (1.0, 0.0), (0.0, 2.0)]))
def test_the_whole_loss_is_equation_4(seed, weights):
    maps, (boxes, labels) = random_maps(seed), objects(seed)

    found = center_point_loss(maps, boxes, labels, *weights).item()

    assert found == pytest.approx(naive_loss(maps, boxes, labels, *weights), rel=1e-11)


def test_its_gradients_are_those_of_its_values():
    boxes, labels = objects(0)
    target = mr.tensor(center_targets(boxes, labels, (3, 4, 6)).heat)

    whole = mr.gradcheck(
        lambda *maps: center_point_loss(CenterMaps(*maps), boxes, labels), tuple(random_maps(0))
    )
    heat = mr.gradcheck(lambda x: heat_loss(x, target), random_maps(0, 3).heat, order=2)

    assert whole, whole.explain()
    assert heat, heat.explain()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_any_size_have_a_finite_loss_and_gradient(dtype):
    logits = mr.tensor(np.array([-1e4, 1e4, -1e4, 1e4, 0], dtype), requires_grad=True)
    target = mr.tensor(np.array([1, 1, 0, 0, 0.5], dtype))

    loss = heat_loss(logits, target)
    loss.backward()

    # What is right costs nothing; what is wrong costs its logit, here that of a peak and of a cell.
    assert loss.item() == pytest.approx((2e4 + math.log(2) / 64) / 2)
    np.testing.assert_allclose(logits.grad.numpy()[:4], [-0.5, 0, 0, 0.5])


def test_the_loss_keeps_the_maps_dtype():
    maps = CenterMaps(*(each.to("float32") for each in random_maps(0)))

    assert center_point_loss(maps, *objects(0)).dtype == np.float32


def test_perfect_maps_have_next_to_no_loss():
    boxes, labels = np.array([[[2.0, 1, 9, 8]]]), np.array([[1]])
    targets = center_targets(boxes, labels, (3, 4, 6))
    logits = mr.tensor(np.where(targets.heat == 1, 20.0, -20.0))
    offset, size = (
        mr.tensor(np.tile(each.reshape(1, 2, 1, 1), (1, 1, 4, 6)))
        for each in (targets.offset, targets.size)
    )

    assert center_point_loss(CenterMaps(logits, offset, size), boxes, labels).item() < 1e-14


def test_without_objects_all_heat_is_wrong_and_sizes_do_not_matter():
    boxes, nobody = np.zeros((2, 3, 4)), np.full((2, 3), -1)
    maps = CenterMaps(*(mr.tensor(each.numpy(), requires_grad=True) for each in random_maps(0)))

    loss = center_point_loss(maps, boxes, nobody)
    loss.backward()

    expected = naive_heat_loss(maps.heat.numpy(), np.zeros((2, 3, 4, 6)), 2, 4)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert not maps.size.grad.numpy().any()


def test_what_stands_in_the_box_of_nobody_does_not_matter():
    maps, (boxes, labels) = random_maps(0), objects(0)
    labels[0, 1] = -1
    loss = center_point_loss(maps, boxes, labels).item()

    boxes[0, 1] = [np.nan, 5, -np.inf, 900]

    assert center_point_loss(maps, boxes, labels).item() == loss


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        ([[[0, 0, 4, 4]]], [[3]], "object 0 of image 0 has label 3 .*one of 3 classes, or -1"),
        ([[[0, 0, 4, 4], [4, 4, 4, 8]]], [[0, 0]], r"object 1 of image 0 .*box \[4.0, 4.0, 4.0"),
        ([[[20, 0, 28, 4]]], [[0]], "its centre in an image of 16 x 24"),
        ([[[0, -9, 4, 4]]], [[0]], "its centre in an image"),
        ([[[0, 0, 4, 4]]], [[0, 1]], r"boxes \(N, K, 4\) have shape \(1, 1, 4\), labels"),
        ([[0, 0, 4, 4]], [0], r"boxes \(N, K, 4\) have shape \(1, 4\)"),
    ],
)
def test_objects_that_no_map_can_hold_are_refused(boxes, labels, message):
    with pytest.raises(ValueError, match=message):
        center_targets(np.array(boxes, float), np.array(labels), (3, 4, 6))


def test_a_list_of_boxes_for_each_image_is_told_how_to_be_one_array():
    boxes, labels = [np.zeros((1, 4)), np.zeros((2, 4))], [np.zeros(1, int), np.zeros(2, int)]
    with pytest.raises(
        TypeError, match=r"found a list and a list; .*are zeros and their labels -1"
    ):
        center_point_loss(random_maps(0), boxes, labels)


def test_maps_and_objects_must_be_of_the_same_images():
    with pytest.raises(ValueError, match="maps of 2 images, labels of 1"):
        center_point_loss(random_maps(0), np.zeros((1, 1, 4)), np.array([[-1]]))


def test_a_target_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"logits have shape \(2,\), the target has \(3,\)"):
        heat_loss(mr.zeros(2), mr.zeros(3))
