"""Average precision, against its definition in loops; and that wrong ones would be noticed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.training import (
    average_precision,
    box_iou,
    class_average_precision,
    mean_average_precision,
)

ranked = st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=8)


def naive_average_precision(scores: Any, hits: Any, objects: int) -> float:
    """The area under max precision at recall >= r, one step of recall after the other."""
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    points = []
    for taken in range(1, len(order) + 1):
        found = sum(bool(hits[number]) for number in order[:taken])
        points.append((found / objects, found / taken))
    area = 0.0
    for step in range(1, objects + 1):
        area += max((p for recall, p in points if recall >= step / objects), default=0) / objects
    return area


@given(ranked=ranked, missed=st.integers(0, 3))
def test_average_precision_is_the_area_under_the_best_precision_at_each_recall(ranked, missed):
    scores, hits = [score for score, _ in ranked], [hit for _, hit in ranked]
    objects = sum(hits) + missed
    if not objects:
        assert math.isnan(average_precision(scores, hits, objects))
        return

    expected = naive_average_precision(scores, hits, objects)

    assert average_precision(scores, hits, objects) == pytest.approx(expected, abs=1e-15)


def test_average_precisions_worked_by_hand():
    # Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
    assert average_precision([3, 2, 1], [True, False, True], 2) == pytest.approx((1 + 2 / 3) / 2)
    # A later precision of 2/3 counts for the recall of 1/2, too.
    assert average_precision([3, 2, 1], [False, True, True], 2) == pytest.approx(2 / 3)
    # Recall ends at 1/4.
    assert average_precision([1], [True], 4) == 0.25
    assert average_precision([], [], 4) == 0
    assert average_precision([1, 2], [False, False], 1) == 0


@pytest.mark.parametrize(
    ("scores", "hits", "objects"),
    [([1, 2], [True], 2), ([1], [True], 0), ([1, 2], [True, True], 1), ([[1]], [[True]], 1)],
)
def test_hits_that_cannot_be_are_refused(scores, hits, objects):
    with pytest.raises(ValueError, match="each detection has a score, and finds at most one"):
        average_precision(scores, hits, objects)


def without_the_best_from_here(scores, hits, objects):
    found = np.asarray(hits)[np.argsort(-np.asarray(scores), kind="stable")]
    return (found.cumsum() / np.arange(1, len(found) + 1))[found].sum() / objects


def in_the_order_given(scores, hits, objects):
    return average_precision(np.arange(len(scores))[::-1], hits, objects)


def from_the_least_sure_on(scores, hits, objects):
    return average_precision(-np.asarray(scores), hits, objects)


def of_what_was_found_alone(scores, hits, objects):
    return average_precision(scores, hits, sum(hits))


def at_eleven_points(scores, hits, objects):
    found = np.asarray(hits)[np.argsort(-np.asarray(scores), kind="stable")].cumsum()
    recall, precision = found / objects, found / np.arange(1, len(found) + 1)
    return np.mean([max(precision[recall >= t], default=0) for t in np.arange(11) / 10])


@pytest.mark.parametrize(
    "mistake",
    [
        without_the_best_from_here,
        in_the_order_given,
        from_the_least_sure_on,
        of_what_was_found_alone,
        at_eleven_points,
    ],
)
def test_one_ranking_tells_a_wrong_average_precision(mistake):
    ranking = [5, 1, 4, 2, 3, 0], [True, True, False, True, False, False], 4

    # From the surest on: hit, miss, miss, hit, hit, miss; precision 1, 2/4, 3/5 at the hits.
    assert average_precision(*ranking) == pytest.approx((1 + 3 / 5 + 3 / 5) / 4)
    assert mistake(*ranking) != pytest.approx(average_precision(*ranking))


def scene(seed: int) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Detections near the objects of a few images, doubles and wrong classes among them."""
    rng = np.random.default_rng(seed)
    images, most = rng.integers(1, 4), rng.integers(1, 4)
    corners = rng.integers(0, 6, (images, most, 2))
    boxes = np.concatenate([corners, corners + rng.integers(2, 5, corners.shape)], 2).astype(float)
    labels = rng.integers(-1, 2, (images, most))
    detections = []
    for n in range(images):
        chosen = rng.integers(0, most, rng.integers(0, 7))
        found = boxes[n, chosen] + rng.integers(-1, 2, (len(chosen), 4)) / 2
        guessed = np.where(rng.random(len(chosen)) < 0.2, 1, labels[n, chosen].clip(0))
        detections.append((found, guessed, rng.permutation(len(chosen)) + rng.random()))
    return detections, boxes, labels


def naive_class_average_precision(detections, boxes, labels, number, iou, rule="VOC") -> float:
    """VOC's matching as its development kit states it: all detections of a class, by score."""
    claims = [
        (score, n, box)
        for n, (found, guessed, scores) in enumerate(detections)
        for box, label, score in zip(found, guessed, scores, strict=True)
        if label == number
    ]
    claims.sort(key=lambda claim: -claim[0])
    used, hits = set(), []
    for _, n, box in claims:
        own = [k for k in range(boxes.shape[1]) if labels[n, k] == number]
        if rule == "COCO":
            own = [k for k in own if (n, k) not in used]
        overlaps = {k: box_iou([box], [boxes[n, k]]).item() for k in own}
        best = max(own, key=lambda k: overlaps[k], default=None)
        if rule == "the first that fits":
            best = next((k for k in own if overlaps[k] >= iou and (n, k) not in used), best)
        hit = best is not None and overlaps[best] >= iou and (n, best) not in used
        used |= {(n, best)} if hit else set()
        hits.append(hit)
    objects = int((labels == number).sum())
    if not objects:
        return math.nan
    return naive_average_precision([claim[0] for claim in claims], hits, objects)


@given(seed=st.integers(0, 9999), iou=st.sampled_from([0.3, 0.5, 0.75]))
def test_detections_are_matched_as_in_vocs_development_kit(seed, iou):
    detections, boxes, labels = scene(seed)

    found = class_average_precision(detections, boxes, labels, 2, iou)

    expected = [naive_class_average_precision(detections, boxes, labels, c, iou) for c in (0, 1)]
    np.testing.assert_allclose(found, expected, atol=1e-15)
    known = [each for each in expected if not math.isnan(each)]
    np.testing.assert_allclose(
        mean_average_precision(detections, boxes, labels, 2, iou),
        np.mean(known) if known else math.nan,
        atol=1e-15,
    )


@pytest.mark.parametrize("rule", ["COCO", "the first that fits"])
def test_the_scenes_tell_another_rule_of_matching(rule):
    scenes = [scene(seed) for seed in range(300)]

    of_the_rule = [naive_class_average_precision(*each, 0, 0.3, rule) for each in scenes]
    found = [class_average_precision(*each, 2, 0.3)[0] for each in scenes]

    assert not np.allclose(of_the_rule, found, equal_nan=True)


OBJECT = np.array([[[0.0, 0.0, 4.0, 4.0]]])
HERE = np.array([[0]])


def found(*boxes: tuple[float, ...], labels: Any = None, scores: Any = None) -> Any:
    count = len(boxes)
    return (
        np.array(boxes, float).reshape(-1, 4),
        np.zeros(count, int) if labels is None else np.array(labels),
        np.arange(count, 0, -1) / 10 if scores is None else np.array(scores),
    )


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        (found((0, 0, 4, 4)), 1),
        (found((0, 0, 4, 2)), 1),  # an IoU of 1/2 is enough
        (found((0, 0, 4, 1.9)), 0),
        (found((0, 0, 4, 4), labels=[1]), 0),
        (found((0, 0, 4, 4), (0, 0, 4, 4)), 1),  # the double comes after all were found
        (found((9, 9, 10, 10), (0, 0, 4, 4)), 0.5),
        (found((0, 0, 4, 4), (9, 9, 10, 10), scores=[0.1, 0.2]), 0.5),
        (found(), 0),
    ],
)
def test_one_object_and_what_is_said_of_it(detections, expected):
    assert class_average_precision([detections], OBJECT, HERE, 2)[0] == expected


def test_a_double_is_a_mistake_also_where_another_object_overlaps():
    boxes = np.array([[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0]]])
    twice = found((0, 0, 4, 4), (0, 0, 4, 4), (0, 0, 4, 5))

    # Hit, double, hit: precision 1 and 2/3. COCO's rule would give the double to the other object.
    each = class_average_precision([twice], boxes, np.array([[0, 0]]), 1)

    assert each[0] == pytest.approx((1 + 2 / 3) / 2)


def test_an_object_is_hit_in_its_own_image_alone():
    boxes, labels = np.concatenate([OBJECT, OBJECT + 8]), np.array([[0], [0]])
    here = found((0, 0, 4, 4), (8, 8, 12, 12))

    assert class_average_precision([here, found()], boxes, labels, 1)[0] == 0.5


def test_scores_rank_across_images():
    boxes, labels = np.concatenate([OBJECT, OBJECT]), np.array([[0], [-1]])
    sure_but_wrong = found((0, 0, 4, 4), scores=[0.9])

    result = class_average_precision(
        [found((0, 0, 4, 4), scores=[0.2]), sure_but_wrong], boxes, labels, 1
    )

    assert result[0] == 0.5


def test_tensors_are_taken_as_they_come_from_a_loader():
    boxes, labels = mr.tensor(OBJECT), mr.tensor(HERE)

    assert mean_average_precision([found((0, 0, 4, 4))], boxes, labels, 1) == 1


def test_without_objects_there_is_no_mean():
    assert math.isnan(mean_average_precision([found((0, 0, 4, 4))], OBJECT, -1 - HERE, 1))


def test_detections_and_objects_must_be_of_the_same_images():
    with pytest.raises(ValueError, match="detections of 2 images, boxes of 1, labels of 1"):
        class_average_precision([found(), found()], OBJECT, HERE, 1)
