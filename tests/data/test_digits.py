"""The digits: all of them, normalised by what may be known, and divided fairly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from minires.data import Split, dataset_names, digits, get_dataset


@pytest.fixture(scope="module")
def split() -> Split:
    return digits(seed=0)


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_digits_tell_what_they_are(split: Split) -> None:
    assert (split.name, split.classes, split.channels, split.image_size) == (
        "digits",
        10,
        1,
        (8, 8),
    )


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_are_float32_in_nchw_and_labels_int64(split: Split, part: str) -> None:
    images, labels = getattr(split, part).arrays

    assert images.shape == (len(labels), 1, 8, 8)
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert set(labels.tolist()) == set(range(10))


def test_training_and_test_part_hold_all_1797_images_and_share_none(split: Split) -> None:
    train, test = rows(split.train.arrays[0]), rows(split.test.arrays[0])

    assert (len(split.train), len(split.test)) == (1438, 359)
    assert (len(train), len(test)) == (1438, 359)
    assert not train & test


@pytest.mark.parametrize("seed", range(3))
def test_every_class_has_a_fifth_of_its_images_in_the_test_part(seed: int) -> None:
    split = digits(seed)
    all_of_them = np.bincount(load_digits().target)

    for_test = np.bincount(split.test.arrays[1], minlength=10)

    np.testing.assert_array_equal(for_test, np.round(all_of_them / 5).astype(int))


def test_the_training_part_alone_sets_the_scale(split: Split) -> None:
    images = split.train.arrays[0].astype(np.float64)

    assert images.mean() == pytest.approx(0, abs=1e-6)
    assert images.std() == pytest.approx(1, abs=1e-6)
    assert abs(split.test.arrays[0].astype(np.float64).mean()) > 1e-4


def test_images_are_the_originals_shifted_and_scaled_with_their_labels(split: Split) -> None:
    source = load_digits()
    originals = {
        image.astype(np.int64).tobytes(): label
        for image, label in zip(source.images, source.target, strict=True)
    }
    images, labels = split.test.arrays
    step = np.diff(np.unique(images)).min()  # one grey value

    grey = np.round((images[:, 0] - images.min()) / step).astype(np.int64)

    assert [originals[image.tobytes()] for image in grey] == labels.tolist()


def test_the_seed_decides_the_division() -> None:
    first, again, other = digits(1), digits(1), digits(2)

    np.testing.assert_array_equal(first.train.arrays[0], again.train.arrays[0])
    assert rows(first.test.arrays[0]) != rows(other.test.arrays[0])


def test_a_data_set_is_found_by_its_name() -> None:
    assert "digits" in dataset_names()
    np.testing.assert_array_equal(
        get_dataset("digits", seed=5).test.arrays[1], digits(5).test.arrays[1]
    )


def test_an_unknown_data_set_is_refused_with_the_names_of_those_known() -> None:
    with pytest.raises(
        ValueError, match=r"unknown data set 'digit'; there are: cifar10, .*, digits"
    ):
        get_dataset("digit")
