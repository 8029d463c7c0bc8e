"""Canvases: what is on them is told right, pixel by pixel and box by box."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.data import DataLoader, TensorDataset, compose_canvases, digits

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def glyphs(seed: int, count: int = 5, h: int = 4, w: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Random images with empty rows and columns, among values that are not 0 to 1."""
    rng = np.random.default_rng(seed)
    images = 7.0 * rng.integers(0, 3, (count, h, w)) * rng.integers(0, 2, (count, h, 1))
    images[:, rng.integers(h), rng.integers(w)] = 14
    return images - 3, rng.integers(0, 4, count)


def originals(
    images: np.ndarray, labels: np.ndarray, zooms: tuple[int, ...], ink: float = 0.25
) -> set[Any]:
    """Every patch that may stand on a canvas, with its label: cut out, and enlarged."""
    known = set()
    for image, label in zip(images, labels, strict=True):
        places = np.argwhere((image + 3) / 14 > ink)
        (top, left), (bottom, right) = places.min(0), places.max(0) + 1
        for zoom in zooms:
            h, w = (bottom - top) * zoom, (right - left) * zoom
            patch = np.empty((h, w), np.float32)
            for y, x in np.ndindex(h, w):
                patch[y, x] = (image[top + y // zoom, left + x // zoom] + 3) / 14
            known.add((int(label), patch.shape, patch.tobytes()))
    return known


def check(parts: Parts, known: set[Any], ink: float = 0.25) -> None:
    """Hold a canvas to what is said of it."""
    image, mask, boxes, labels = parts
    rest_of_image, rest_of_mask = image[0].copy(), mask.copy()
    there = labels >= 0
    assert there[0]
    assert (np.diff(there.astype(int)) <= 0).all()
    assert not boxes[~there].any()
    assert (labels[~there] == -1).all()
    for box, label in zip(boxes[there].astype(int), labels[there], strict=True):
        x0, y0, x1, y1 = box
        patch = rest_of_image[y0:y1, x0:x1].copy()
        assert (int(label), patch.shape, patch.tobytes()) in known
        np.testing.assert_array_equal(rest_of_mask[y0:y1, x0:x1], (patch > ink) * (label + 1))
        rest_of_image[y0:y1, x0:x1] = rest_of_mask[y0:y1, x0:x1] = -5  # what overlaps is found out
    assert (rest_of_image[rest_of_image != -5] == 0).all()
    assert (rest_of_mask[rest_of_mask != -5] == 0).all()


@given(
    seed=st.integers(0, 99),
    size=st.tuples(st.integers(8, 20), st.integers(6, 20)),
    most=st.integers(1, 5),
    zooms=st.sampled_from([(1,), (2,), (1, 2)]),
    ink=st.sampled_from([0, 0.25, 0.5]),
)
def test_boxes_are_tight_and_apart_and_hold_the_originals_in_their_class(
    seed, size, most, zooms, ink
):
    images, labels = glyphs(seed)
    made = compose_canvases(
        images, labels, 3, size=size, per_canvas=(1, most), zooms=zooms, ink=ink, seed=seed
    )

    known = originals(images, labels, zooms, ink)

    assert [part.shape[1:] for part in made.arrays] == [(1, *size), size, (most, 4), (most,)]
    assert [str(part.dtype) for part in made.arrays] == ["float32", "int64", "float32", "int64"]
    for number in range(3):
        check(made[number], known, ink)


def shifted(parts: Parts) -> None:
    parts[2][0] += 1


def loose(parts: Parts) -> None:
    parts[2][0, 2:] += 1


def in_the_next_class(parts: Parts) -> None:
    parts[3][0] += 1


def masked_by_the_label(parts: Parts) -> None:
    parts[1][parts[1] > 0] -= 1


def dirty(parts: Parts) -> None:
    parts[0][0][parts[1] == 0] = 0.5


def forgotten(parts: Parts) -> None:
    parts[3][-1], parts[2][-1] = -1, 0


@pytest.mark.parametrize(
    "mistake", [shifted, loose, in_the_next_class, masked_by_the_label, dirty, forgotten]
)
def test_the_check_tells_a_canvas_whose_parts_do_not_agree(mistake):
    images = np.ones((1, 3, 3))
    images[0, 0, 0] = 0
    images = 14 * images - 3
    parts = compose_canvases(images, [1], 1, size=(12, 12), per_canvas=(2, 2), zooms=(1,))[0]
    known = originals(images, np.array([1]), (1,))
    check(parts, known)

    mistake(parts)

    with pytest.raises(AssertionError):
        check(parts, known)


@pytest.mark.parametrize("seed", range(8))
def test_an_image_is_left_out_only_where_no_place_is_free(seed):
    solid = np.ones((1, 3, 3))
    solid[0, 1, 1] = 0  # the hole is not free

    made = compose_canvases(solid, [0], 1, size=(3, 7), per_canvas=(2, 2), zooms=(1,), seed=seed)

    (first, *_), labels = made[0][2][0], made[0][3]
    # The first leaves 3 columns free on its left if it starts at 3 or 4, on its right at 0 or 1.
    assert labels.tolist() == ([0, -1] if first == 2 else [0, 0])


def test_every_place_every_number_and_every_zoom_is_drawn():
    one_pixel = np.array([[[1], [0]]])
    made = compose_canvases(one_pixel, [0], 200, size=(4, 4), per_canvas=(1, 3), zooms=(1, 2))

    _, _, boxes, labels = made.arrays

    box = boxes[:, 0].astype(int)
    assert {tuple(corner) for corner in box[box[:, 2] - box[:, 0] == 2][:, :2]} == {
        (x, y) for x in range(3) for y in range(3)
    }
    assert set((labels >= 0).sum(1)) == {1, 2, 3}
    assert set(box[:, 2] - box[:, 0]) == {1, 2}


def test_canvases_of_real_digits_come_in_batches_the_same_each_time():
    made = compose_canvases(*digits().train.arrays, count=6, seed=3)
    again = compose_canvases(*digits().train.arrays, count=6, seed=3)
    other = compose_canvases(*digits().train.arrays, count=6, seed=4)

    images, masks, boxes, labels = next(iter(DataLoader(made, batch_size=4)))

    assert isinstance(made, TensorDataset)
    assert [tuple(part.shape) for part in (images, masks, boxes, labels)] == [
        (4, 1, 64, 64),
        (4, 64, 64),
        (4, 4, 4),
        (4, 4),
    ]
    assert (made.arrays[0].min(), made.arrays[0].max()) == (0, 1)
    for part, same in zip(made.arrays, again.arrays, strict=True):
        np.testing.assert_array_equal(part, same)
    assert (made.arrays[0] != other.arrays[0]).any()


def test_mnist_needs_no_zoom(shared_data):
    def read(name: str, head: int) -> np.ndarray:
        return np.frombuffer(
            gzip.decompress((shared_data / "mnist" / name).read_bytes())[head:], "u1"
        )

    images = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = read("t10k-labels-idx1-ubyte.gz", 8)

    made = compose_canvases(images, labels, 20, zooms=(1,))

    image, mask, boxes, present = made.arrays
    assert (image.min(), image.max()) == (0, 1)
    assert {tuple(np.unique(m)) for m in mask} == {
        tuple(sorted({0, *(p[p >= 0] + 1)})) for p in present
    }
    assert (boxes[..., 3] - boxes[..., 1])[present >= 0].mean() == pytest.approx(20, abs=1)


def test_the_images_given_are_left_as_they_are():
    images, labels = glyphs(0)
    before = images.copy()

    compose_canvases(images, labels, 2)

    np.testing.assert_array_equal(images, before)


ONES = np.ones((2, 3, 3)) * np.eye(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"images": np.ones((2, 3, 8, 8))},
            r"needs images \(M, 1, h, w\).* found shapes \(2, 3, 8",
        ),
        ({"labels": [1]}, r"labels \(M,\); found shapes \(2, 3, 3\) and \(1,\)"),
        ({"images": ONES[:0], "labels": []}, "at least one"),
        ({"labels": [0, -1]}, "integers from 0 on; found int64, the smallest -1"),
        ({"labels": [0.0, 1.0]}, "integers from 0 on; found float64"),
        ({"images": ONES * [[[1]], [[0]]]}, "image 1 has no ink"),
        ({"images": np.ones((2, 3, 3))}, "image 0 has no ink"),
        ({"ink": 1.0}, r"ink must lie in \[0, 1\), found 1.0"),
        ({"images": ONES * [[[1]], [[0.5]]], "ink": 0.5}, "image 1 has no ink.* above 0.5"),
        ({"count": 0}, "count must be at least 1"),
        ({"per_canvas": (3, 2)}, r"1 <= least <= most; found 1 and \(3, 2\)"),
        ({"per_canvas": (0, 2)}, "1 <= least"),
        ({"zooms": ()}, r"zooms must be integers >= 1, found \(\)"),
        ({"zooms": (0,)}, "zooms must be integers >= 1"),
        ({"size": (8, 64)}, r"enlarged 3 times, need a canvas of at least \(9, 9\), found size"),
    ],
)
def test_what_makes_no_canvas_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        compose_canvases(**{"images": ONES, "labels": [0, 1], "count": 1, **arguments})
