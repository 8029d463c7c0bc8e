"""The centre-point detector: maps of the right size, and objects read off them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minires as mr
from minires.models import (
    CenterMaps,
    CenterPointDetector,
    center_point_loss,
    center_targets,
    cifar_resnet,
    find_objects,
)
from tests.models.slopes import slopes


def small() -> CenterPointDetector:
    return CenterPointDetector(cifar_resnet(8, width=2, in_channels=1, seed=0), 3, channels=4)


def images(*shape: int) -> mr.Tensor:
    return mr.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def random_maps(seed: int, *shape: int) -> CenterMaps:
    rng = np.random.default_rng(seed)
    n, _, h, w = shape
    rest = (rng.standard_normal((n, 2, h, w)) for _ in range(2))
    return CenterMaps(*map(mr.tensor, (rng.integers(-3, 3, shape).astype(float), *rest)))


def test_a_map_has_a_cell_for_four_by_four_pixels():
    maps = small()(images(2, 1, 12, 20))

    assert [tuple(each.shape) for each in maps] == [(2, 3, 3, 5), (2, 2, 3, 5), (2, 2, 3, 5)]


def test_it_begins_with_little_heat_everywhere():
    with mr.devices.random.seeded(0):
        heat = small()(images(2, 1, 16, 16)).heat

    assert 0.03 < mr.sigmoid(heat).numpy().mean() < 0.3


@pytest.mark.parametrize("size", [(12, 18), (13, 16)])
def test_an_image_that_cells_do_not_fill_is_refused(size):
    with pytest.raises(ValueError, match="multiples of 4; pad them"):
        small()(images(1, 1, *size))


@pytest.mark.parametrize("arguments", [{"num_classes": 0}, {"num_classes": 1, "channels": 0}])
def test_a_detector_without_classes_or_channels_is_refused(arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        CenterPointDetector(cifar_resnet(8, width=2), **arguments)


def test_its_gradients_are_those_of_the_loss():
    x = mr.tensor(np.random.default_rng(0).standard_normal((3, 1, 8, 12)))
    boxes = np.array([[[1.0, 2, 6, 7]], [[0, 0, 12, 8]], [[0, 0, 0, 0]]])
    labels = np.array([[0], [2], [-1]])
    model = small().to("float64")

    told, measured = slopes(model, lambda: center_point_loss(model(x), boxes, labels))

    assert measured == pytest.approx(told, rel=1e-6)


def naive_objects(maps: CenterMaps, threshold: float, most: int) -> list[list[tuple]]:
    """Cell by cell: a peak is not below any of its neighbours."""
    heat, offset, size = (each.numpy() for each in maps)
    found: list[list[tuple]] = []
    for n in range(len(heat)):
        found.append([])
        for c, y, x in np.ndindex(heat.shape[1:]):
            around = heat[n, c, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            score = 1 / (1 + np.exp(-heat[n, c, y, x]))
            if heat[n, c, y, x] == around.max() and score >= threshold:
                cx, cy = x + offset[n, 0, y, x], y + offset[n, 1, y, x]
                w, h = (max(side, 0) for side in size[n, :, y, x])
                box = [4 * (cx - w / 2), 4 * (cy - h / 2), 4 * (cx + w / 2), 4 * (cy + h / 2)]
                found[-1].append((score, c, box))
        found[-1] = sorted(found[-1], key=lambda each: -each[0])[:most]
    return found


@given(
    seed=st.integers(0, 999),
    shape=st.tuples(*[st.integers(1, 5)] * 4),
    threshold=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    most=st.integers(1, 6),
)
def test_objects_are_the_peaks_among_eight_neighbours_the_surest_first(
    seed, shape, threshold, most
):
    maps = random_maps(seed, *shape)
    expected = naive_objects(maps, threshold, most)

    found = find_objects(maps, threshold, most)

    assert len(found) == shape[0]
    for (boxes, labels, scores), each in zip(found, expected, strict=True):
        assert boxes.shape == (len(each), 4)
        assert labels.tolist() == [label for _, label, _ in each]
        np.testing.assert_allclose(scores, [score for score, _, _ in each], rtol=1e-14)
        wanted = np.array([box for *_, box in each]).reshape(-1, 4)
        np.testing.assert_allclose(boxes, wanted, rtol=1e-13, atol=1e-13)


@given(seed=st.integers(0, 999), most=st.integers(1, 5))
def test_maps_that_are_as_they_should_be_give_the_objects_back(seed, most):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 24, (2, most, 2))
    boxes = np.concatenate([first, first + rng.integers(1, 9, first.shape)], 2).astype(float)
    labels = rng.integers(-1, 3, (2, most))
    targets = center_targets(boxes, labels, (3, 8, 8))
    taken = [(n, targets.cell[n, k]) for n, k in np.argwhere(labels >= 0)]
    assume(len(set(taken)) == len(taken))  # a cell has one offset and one size
    dense = np.zeros((2, 2, 2, 64))  # offset and size
    for n, k in zip(*targets.present.nonzero(), strict=True):
        dense[:, n, :, targets.cell[n, k]] = targets.offset[n, :, k], targets.size[n, :, k]
    logits = np.where(targets.heat == 1, 9, -9 + targets.heat)
    offset, size = dense.reshape(2, 2, 2, 8, 8)

    found = find_objects(CenterMaps(*map(mr.tensor, (logits, offset, size))), threshold=0.5)

    for each, row, names in zip(found, boxes, labels, strict=True):
        wanted = np.column_stack([names, row])[names >= 0]
        given_back = np.column_stack([each.labels, each.boxes])
        assert given_back.shape == wanted.shape
        np.testing.assert_allclose(in_order(given_back), in_order(wanted), atol=1e-12)


def in_order(rows: np.ndarray) -> list[list[float]]:
    return sorted(rows.round(9).tolist())


def test_large_logits_are_told_apart_where_their_sigmoids_are_equal():
    heat = mr.tensor([[[[60.0, 61.0, 60.5]]]])
    rest = mr.zeros(1, 2, 1, 3)

    (found,) = find_objects(CenterMaps(heat, rest, rest))

    np.testing.assert_array_equal(found.boxes, [[4, 0, 4, 0]])
    np.testing.assert_array_equal(found.scores, [1])


def test_where_nothing_is_hot_enough_nothing_is_found():
    maps = random_maps(0, 2, 3, 4, 4)

    found = find_objects(CenterMaps(maps.heat - 99, *maps[1:]))

    assert [(f.boxes.shape, f.labels.shape, f.scores.shape) for f in found] == [
        ((0, 4), (0,), (0,))
    ] * 2


@pytest.mark.parametrize("options", [{"threshold": 1.5}, {"threshold": -0.1}, {"most": 0}])
def test_a_threshold_that_is_no_score_is_refused(options):
    with pytest.raises(ValueError, match="threshold must lie in"):
        find_objects(random_maps(0, 1, 1, 2, 2), **options)
