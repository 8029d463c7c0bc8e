"""Intersection over union, against counting on fingers; and that wrong ones would be noticed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.training import box_iou, class_iou, confusion_matrix, mean_iou


def pixels(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a mask with pixels that do not count; the last class may be absent."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 5, 3))
    return rng.integers(0, max(classes - 1, 1), shape), rng.integers(-1, classes, shape)


def naive_class_iou(predicted: np.ndarray, target: np.ndarray, classes: int) -> list[float]:
    """Sets of pixels, one class after the other."""
    counted = [place for place in np.ndindex(target.shape) if target[place] != -1]
    ious = []
    for number in range(classes):
        said = {place for place in counted if predicted[place] == number}
        is_so = {place for place in counted if target[place] == number}
        ious.append(len(said & is_so) / len(said | is_so) if said | is_so else math.nan)
    return ious


@given(seed=st.integers(0, 999), classes=st.integers(1, 4))
def test_the_iou_of_each_class_is_that_of_the_sets_of_its_pixels(seed, classes):
    predicted, target = pixels(seed, classes)
    expected = naive_class_iou(predicted, target, classes)

    confusion = confusion_matrix(predicted, target, classes, ignore_index=-1)

    np.testing.assert_array_equal(class_iou(confusion), expected)
    known = [iou for iou in expected if not math.isnan(iou)]
    np.testing.assert_allclose(
        mean_iou(confusion), np.mean(known) if known else math.nan, rtol=1e-15
    )


@given(seed=st.integers(0, 999), classes=st.integers(1, 4))
def test_a_confusion_matrix_counts_each_pair_once(seed, classes):
    predicted, target = pixels(seed, classes)
    expected = np.zeros((classes, classes), int)
    for place in np.ndindex(target.shape):
        if target[place] != -1:
            expected[target[place], predicted[place]] += 1

    np.testing.assert_array_equal(
        confusion_matrix(predicted, target, classes, ignore_index=-1), expected
    )


def test_matrices_of_batches_add_up_to_that_of_all_of_them():
    rng = np.random.default_rng(0)
    predicted, target = rng.integers(0, 3, (2, 4, 5, 6))
    parts = [confusion_matrix(predicted[n], target[n], 3) for n in range(4)]

    np.testing.assert_array_equal(sum(parts), confusion_matrix(predicted, target, 3))


def test_masks_of_bytes_may_have_many_classes():
    mask = np.arange(100, dtype=np.uint8)

    np.testing.assert_array_equal(confusion_matrix(mask, mask, 100), np.eye(100))


def test_tensors_are_taken_as_they_come_from_a_network():
    target = np.array([[0, 1], [1, -100]])
    scores = mr.tensor(np.eye(2)[[[0, 1], [0, 0]]], requires_grad=True)

    confusion = confusion_matrix(scores.argmax(-1), mr.tensor(target), 2)

    assert confusion.tolist() == [[1, 0], [1, 1]]


# Background 6 of 8 pixels right and 1 said too often; class 1 was said twice, once rightly.
BY_HAND = np.array([[6, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_a_case_worked_by_hand():
    np.testing.assert_array_equal(class_iou(BY_HAND), [6 / 8, 1 / 3, math.nan])
    assert mean_iou(BY_HAND) == pytest.approx((6 / 8 + 1 / 3) / 2, rel=1e-15)


MISTAKES = {
    "both counted twice": lambda m: np.diag(m) / (m.sum(0) + m.sum(1)),
    "recall": lambda m: np.diag(m) / m.sum(1),
    "precision": lambda m: np.diag(m) / m.sum(0),
    "accuracy": lambda m: np.full(len(m), np.diag(m).sum() / m.sum()),
    "Dice": lambda m: 2 * np.diag(m) / (m.sum(0) + m.sum(1)),
    "absent classes count as 0": lambda m: np.nan_to_num(class_iou(m)),
    "absent classes count as 1": lambda m: np.nan_to_num(class_iou(m), nan=1.0),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_case_worked_by_hand_tells_a_wrong_iou(mistake):
    with np.errstate(invalid="ignore"):
        wrong = MISTAKES[mistake](BY_HAND)

    assert not np.array_equal(wrong, class_iou(BY_HAND), equal_nan=True)


@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        ([[0]], [0], r"predicted has shape \(1, 1\), target \(1,\)"),
        ([2, 0], [0, 0], "predicted has the class 2; there are 2"),
        ([-1, 0], [0, 0], "predicted has the class -1"),
        ([0, 0], [0, 2], "target has the class 2"),
        ([0, 0], [0, -1], "target has the class -1"),
    ],
)
def test_what_is_no_class_is_refused(predicted, target, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(np.array(predicted), np.array(target), 2)


boxes = st.lists(
    st.tuples(*[st.integers(0, 6)] * 4).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    max_size=4,
)


def naive_box_iou(a, b) -> float:
    """By the cells of a grid that each box covers."""
    cells = [{(x, y) for x in range(x0, x1) for y in range(y0, y1)} for x0, y0, x1, y1 in (a, b)]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1]) if cells[0] | cells[1] else 0.0


@given(a=boxes, b=boxes, scale=st.sampled_from([1, 0.5]), shift=st.sampled_from([0, -8]))
def test_boxes_overlap_by_the_cells_that_they_share_at_any_scale_and_place(a, b, scale, shift):
    expected = np.array([[naive_box_iou(one, other) for other in b] for one in a])
    moved = [np.array(some, float).reshape(-1, 4) * scale + shift for some in (a, b)]

    np.testing.assert_allclose(box_iou(*moved), expected.reshape(len(a), len(b)), rtol=1e-15)


def test_boxes_that_touch_do_not_overlap():
    assert box_iou([[0, 0, 2, 2]], [[2, 0, 4, 2], [0, 2, 2, 4], [2, 2, 4, 4]]).tolist() == [[0] * 3]


def test_boxes_with_corners_the_wrong_way_round_have_no_area():
    assert box_iou([[2, 2, 0, 0]], [[0, 0, 2, 2], [2, 2, 0, 0]]).tolist() == [[0, 0]]
