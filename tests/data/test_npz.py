"""A data set in one .npz file."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.data import DatasetDamaged, get_dataset
from tests.data.makers import pixels

GREY = pixels(20, 4, 5)
LABELS = np.arange(20) % 4


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (GREY, (1, 4, 5)),
        (GREY[:, None], (1, 4, 5)),
        (pixels(20, 3, 4, 5), (3, 4, 5)),
        (pixels(20, 4, 5, 3), (3, 4, 5)),
        (pixels(20, 4, 5, 1), (1, 4, 5)),
    ],
)
def test_images_come_channels_first_a_fifth_of_each_class_to_test(
    tmp_path: Path, images: np.ndarray, shape: tuple[int, ...]
) -> None:
    split = get_dataset(saved(tmp_path, x=images, y=LABELS), seed=3)

    assert (split.name, split.class_names) == ("mine", ("0", "1", "2", "3"))
    assert split.train.arrays[0].shape == (16, *shape)
    assert split.train.arrays[0].dtype == np.uint8
    assert np.bincount(split.test.arrays[1]).tolist() == [1] * 4
    assert split.test.arrays[1].dtype == np.int64
    again = get_dataset(str(tmp_path / "mine.npz"), seed=3)
    assert again.digest == split.digest
    assert get_dataset(tmp_path / "mine.npz", seed=4).digest != split.digest


def test_parts_of_its_own_are_kept_and_floats_from_0_to_1_are_grey_values(tmp_path: Path) -> None:
    path = saved(
        tmp_path, x_train=GREY / 255, y_train=LABELS, x_test=GREY[:3] / 255, y_test=LABELS[:3]
    )

    split = get_dataset(path)

    assert (len(split.train), len(split.test), split.classes) == (20, 3, 4)
    np.testing.assert_array_equal(split.train.arrays[0][:, 0], (GREY / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"images": GREY, "labels": LABELS}, "should hold the arrays x and y, .* found images, l"),
        ({"x": GREY, "y": LABELS[1:]}, r"found shapes \(20, 4, 5\) and \(19,\)"),
        ({"x": GREY[0], "y": LABELS[:4]}, r"found shapes \(4, 5\) and"),
        ({"x": pixels(20, 4, 4, 4), "y": LABELS}, r"with 1 or 3 channels"),
        ({"x": GREY[:0], "y": LABELS[:0]}, r"found shapes \(0, 4, 5\)"),
        ({"x": GREY.astype(float), "y": LABELS}, "floating from 0 to 1; found float64 from 0.0"),
        ({"x": np.full_like(GREY, np.nan, float), "y": LABELS}, "found float64 from nan to nan"),
        ({"x": GREY.astype(int), "y": LABELS}, "should be of uint8, or .* found int64"),
        (
            {"x": GREY, "y": LABELS - 1},
            "class numbers, integers from 0 on; found int64 from -1 to",
        ),
        ({"x": GREY, "y": LABELS.astype(float)}, "class numbers, .* found float64"),
        ({"x": GREY, "y": LABELS.astype(str)}, "class numbers, .* found <U"),
        ({"x": GREY.astype(str), "y": LABELS}, "uint8, or floating from 0 to 1; found <U"),
        ({"x": GREY[:, :0], "y": LABELS}, r"found shapes \(20, 0, 5\)"),
        ({"x": GREY, "y": LABELS + 2**40}, "found int64 from 1099511627776"),
        ({"x": GREY, "y": np.full(20, 2**63)}, "found uint64 from 9223372036854775808"),
        ({"x": GREY[:4], "y": LABELS[:4]}, "has no test part, and no class of 3 images or more"),
        (
            {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:, :3], "y_test": LABELS},
            r"of one shape .* found \(1, 4, 5\) and \(1, 3, 5\)",
        ),
        ({"x": GREY, "y": LABELS + 1}, "the labels go from 1 to 4, .* from 0 on; subtract 1"),
        ({"x": GREY, "y": LABELS * 0}, "has one class, '0', and there is nothing to tell apart"),
        ({"x": GREY, "y": np.array([object()] * 20)}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_are_no_images_and_labels_are_refused(
    tmp_path: Path, arrays: dict[str, Any], told: str
) -> None:
    with pytest.raises(DatasetDamaged, match=rf"mine.npz'.*{told}"):
        get_dataset(saved(tmp_path, **arrays))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, x=GREY, y=LABELS)
    whole = path.read_bytes()
    for contents in (b"", b"hello", whole[: len(whole) // 2], whole[:200] + b"!!" + whole[202:]):
        path.write_bytes(contents)
        with pytest.raises(DatasetDamaged, match=r"is no \.npz file, or a damaged one"):
            get_dataset(path)
    with path.open("wb") as file:
        np.save(file, GREY)
    with pytest.raises(DatasetDamaged, match="holds one array"):
        get_dataset(path)


def test_a_header_that_claims_more_than_there_is_memory_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    claim = {"descr": "|u1", "fortran_order": False, "shape": (10**13,)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        for name in ("x.npy", "y.npy"):
            archive.writestr(name, header.getvalue())

    with pytest.raises(DatasetDamaged, match="damaged one: Unable to allocate"):
        get_dataset(tmp_path / "mine.npz")


def test_files_in_it_that_are_no_arrays_do_not_count(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        for name in ("x", "y"):
            archive.writestr(name, "hello")

    with pytest.raises(DatasetDamaged, match=r"should hold the arrays x and y, .* found none"):
        get_dataset(tmp_path / "mine.npz")


def test_real_images_in_a_npz(shared_data: Path) -> None:
    cifar = get_dataset(shared_data / "cifar10_lossless_4000.npz")
    fashion = get_dataset(shared_data / "fashion_mnist_sprite_900.npz")

    assert (len(cifar.train) + len(cifar.test), cifar.channels, cifar.classes) == (4000, 3, 10)
    assert np.bincount(fashion.test.arrays[1]).tolist() == [18] * 10
    assert fashion.image_size == (28, 28)
