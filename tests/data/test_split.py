"""Splits: exact counts, statistics of the training part alone, and a validation part apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from minires.data import Split, TensorDataset, digits, get_dataset
from minires.data.split import stratified, stratified_count
from tests.data.makers import pixels


def made(count: int = 100, classes: int = 10, seed: int = 0) -> Split:
    labels = np.arange(count, dtype=np.int64) % classes
    return Split(
        train=TensorDataset(pixels(count, 3, 4, 5, seed=seed), labels),
        test=TensorDataset(pixels(20, 3, 4, 5, seed=9), labels[:20]),
        name="made",
        class_names=tuple(map(str, range(classes))),
    )


def test_statistics_are_measured_over_the_training_part_and_normalise_it() -> None:
    split = made()
    grey = split.train.arrays[0] / 255

    np.testing.assert_allclose(split.mean, grey.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(split.std, grey.std((0, 2, 3)), rtol=1e-12)
    normal = split.normalized()
    images = normal.train.arrays[0]
    assert images.dtype == np.float32
    expected = (grey - np.reshape(split.mean, (3, 1, 1))) / np.reshape(split.std, (3, 1, 1))
    np.testing.assert_array_equal(images, expected.astype(np.float32))
    assert (normal.mean, normal.std, normal.name) == (split.mean, split.std, "made")
    assert abs(normal.test.arrays[0].mean()) > 1e-4


@pytest.mark.parametrize(("share", "count"), [(20, 20), (0.1, 10), (0.33, 33), (1, 1), (99, 99)])
def test_a_validation_part_has_exactly_as_many_images_evenly_from_all_classes(
    share: float, count: int
) -> None:
    split = made()
    parts = split.validation(share, seed=1)

    assert (len(parts.train), len(parts.validation)) == (100 - count, count)
    assert np.ptp(np.bincount(parts.validation.arrays[1], minlength=10)) <= (count % 10 > 0)
    assert parts.test is split.test
    rows = [
        {image.tobytes() for image in part.arrays[0]} for part in (parts.train, parts.validation)
    ]
    assert not rows[0] & rows[1]
    assert len(rows[0] | rows[1]) == 100
    assert (parts.classes, parts.channels, parts.image_size) == (10, 3, (4, 5))


def test_of_50_000_images_exactly_45_000_are_learnt_from() -> None:
    labels = np.repeat(np.arange(10), 5000)
    others, chosen = stratified_count(labels, 5000, seed=0)

    assert np.bincount(labels[others]).tolist() == [4500] * 10
    assert np.bincount(labels[chosen]).tolist() == [500] * 10


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=200),
    st.data(),
    st.integers(0, 10),
)
def test_any_number_can_be_chosen_in_proportion(
    labels: list[int], data: st.DataObject, seed: int
) -> None:
    count = data.draw(st.integers(1, len(labels) - 1))
    others, chosen = stratified_count(np.array(labels), count, seed)

    assert len(chosen) == count
    assert sorted([*others, *chosen]) == list(range(len(labels)))
    sizes = np.bincount(labels)
    taken = np.bincount(np.array(labels)[chosen], minlength=len(sizes))
    assert np.all(np.abs(taken - sizes * count / len(labels)) < 1)


def test_the_seed_decides_and_the_statistics_are_those_of_what_is_left() -> None:
    split = made()
    first, again, other = split.validation(20, 1), split.validation(20, 1), split.validation(20, 2)

    assert first.digest == again.digest != other.digest
    np.testing.assert_allclose(first.mean, (first.train.arrays[0] / 255).mean((0, 2, 3)))
    assert first.mean != split.mean
    normal = first.normalized()
    assert normal.validation.arrays[0].dtype == np.float32
    assert abs(normal.train.arrays[0].mean()) < 1e-6 < abs(normal.validation.arrays[0].mean())


def test_a_share_is_at_least_one_image_of_every_class_that_has_two() -> None:
    labels = np.array([0] * 12 + [1] * 12 + [2] * 2 + [3])
    images = np.zeros((27, 1, 4, 4), np.uint8)
    split = replace(made(), train=TensorDataset(images, labels), class_names=tuple("abcd"))

    parts = split.validation(0.04)

    assert parts.validation.arrays[1].tolist() == [0, 1, 2]
    assert len(parts.train) == 24
    lone = replace(split, train=TensorDataset(images[:4], np.arange(4)))
    with pytest.raises(ValueError, match="no class has two of the 4 images"):
        lone.validation(0.04)


@pytest.mark.parametrize("share", [0, -1, 100, 1000, 1.5, 3.0, 0.999, float("nan"), float("inf")])
def test_a_share_that_leaves_a_part_empty_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"validation: a share between 0 and 1, or a whole number"):
        made().validation(share)


def test_the_digest_depends_on_every_byte_and_label() -> None:
    split, other = made(), made()
    other.train.arrays[0][3, 1, 2, 2] ^= 1
    relabelled = made()
    relabelled.test.arrays[1][0] = 5

    assert split.digest == made().digest
    assert len({split.digest, other.digest, relabelled.digest}) == 3


def test_the_digits_are_exact_grey_values_and_normalised_in_float64() -> None:
    images = load_digits().images[:, None] / 16
    labels = load_digits().target
    train, test = stratified(labels, test_share=0.2, seed=0)
    normal = (images - images[train].mean()) / images[train].std()

    raw = get_dataset("digits")

    for split, every in (raw, images), (digits(), normal.astype(np.float32)):
        np.testing.assert_array_equal(split.train.arrays[0], every[train])
        np.testing.assert_array_equal(split.test.arrays[0], every[test])
        np.testing.assert_array_equal(split.test.arrays[1], labels[test])
    np.testing.assert_array_equal(raw.normalized().train.arrays[0], digits().train.arrays[0])
