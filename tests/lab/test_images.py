from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minires.data import DatasetMissing
from minires.lab.images import Images, lossless_cifar, trained
from minires.models.weights.catalogue import find
from minires.serialize.download import DownloadError


@pytest.fixture
def originals(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shared_data / "cifar10_lossless_4000.npz").is_file():
        pytest.skip("the first 4,000 images of CIFAR-10 are not there")
    monkeypatch.setenv("MINIRES_DATA", str(shared_data))


def test_images_are_as_many_of_each_class_and_normalised() -> None:
    split = Images("digits", train=200, test=100).read()

    images, labels = split.train.arrays
    assert np.bincount(labels).tolist() == [20] * 10
    assert len(split.test) == 100
    assert abs(images.mean()) < 0.1
    assert images.std() == pytest.approx(1, abs=0.1)


def test_the_same_images_each_time() -> None:
    about = Images("digits", train=50, test=10).about

    assert about == Images("digits", train=50, test=10).about
    assert (about["train"], about["image"], about["lossy"]) == (50, [1, 8, 8], False)
    assert about["digest"] != Images("digits", train=51, test=10).about["digest"]


def test_images_are_shrunk_by_means_over_squares() -> None:
    large, small = Images("digits", test=20).read(), Images("digits", test=20, side=4).read()

    pixels = large.test.arrays[0]
    means = np.stack([pixels[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).mean(0)
    np.testing.assert_allclose(small.test.arrays[0], means, rtol=1e-5, atol=1e-6)
    assert Images("digits", side=16).read().image_size == (8, 8)  # nothing is enlarged


def test_without_cifar_there_are_digits_and_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIRES_DATA", str(tmp_path))
    images = Images("cifar", train=31, test=11)

    assert images.read().name == "digits"
    assert "minires data get cifar10" in images.note
    with pytest.raises(DatasetMissing, match="cifar10"):
        Images("cifar10", train=32).read()
    with pytest.raises(DatasetMissing, match="cifar10"):
        lossless_cifar(10)


@pytest.mark.usefixtures("originals")
def test_more_original_images_than_there_are_are_refused() -> None:
    first, second = lossless_cifar(4), lossless_cifar(2, skip=2)
    assert (first[0][2:] == second[0]).all()
    with pytest.raises(DatasetMissing, match="cifar10"):
        lossless_cifar(10, skip=3995)


def test_some_images_are_always_the_same_and_not_the_first() -> None:
    some, again = (Images("digits", train=200, test=100) for _ in range(2))
    whole = Images("digits")

    assert some.about["digest"] == again.about["digest"]
    assert len(whole.read().train) > 200
    first = whole.read().train.arrays[0][:200]
    assert not np.array_equal(some.read().train.arrays[0].mean(0), first.mean(0))


def test_images_shrink_to_any_side_and_never_grow() -> None:
    whole, small = (Images("digits", train=20, test=10, side=side).read() for side in (None, 3))
    pixels, shrunk = whole.train.arrays[0], small.train.arrays[0]

    assert small.image_size == (3, 3)
    assert shrunk.mean((2, 3)) == pytest.approx(pixels.mean((2, 3)), abs=1e-6)
    height = pixels.shape[-1] / 3
    rows = int(height)
    corner = np.ones(rows + 1)
    corner[-1] = height - rows
    square = pixels[..., : rows + 1, : rows + 1] * np.outer(corner, corner)
    assert shrunk[..., 0, 0] == pytest.approx(square.sum((2, 3)) / height**2, abs=1e-5)
    assert Images("digits", train=20, test=10, side=500).read().image_size == whole.image_size


def test_images_are_those_of_the_folder_of_now(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(train=20, test=10)
    monkeypatch.setenv("MINIRES_DATA", str(tmp_path))
    assert images.about["name"] == "digits"
    monkeypatch.setenv("MINIRES_DATA", str(shared_data))
    assert images.about["name"].startswith("cifar10")


def test_a_trained_network_that_is_another_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / find("cifar_resnet20").file).write_bytes(b"else")
    monkeypatch.setenv("MINIRES_DATA", str(tmp_path))

    with pytest.raises(DownloadError, match="move it away"):
        trained("cifar_resnet20")


@pytest.mark.usefixtures("originals")
def test_originals_come_before_compressed_images() -> None:
    images = Images("cifar", train=33, test=12, side=16)

    split = images.read()
    assert split.name == "cifar10, the first 4,000 training images"
    assert split.image_size == (16, 16)
    assert not images.about["lossy"]
    assert images.note == ""


def test_a_trained_network_gets_its_images_right(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (shared_data / "pretrained").is_dir():
        pytest.skip("the networks that others trained are not there")
    monkeypatch.setenv("MINIRES_DATA", str(shared_data))
    images, labels = lossless_cifar(50)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalised = (images - mean[:, None, None]) / std[:, None, None]

    import minires as mr

    logits = trained("cifar_resnet20")(mr.tensor(normalised.astype(np.float32)))
    assert (logits.numpy().argmax(1) == labels).all()
