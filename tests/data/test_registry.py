"""Data sets by name: found where they belong, checked, and asked for by what is missing."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minires.data import (
    DatasetDamaged,
    DatasetMissing,
    ImageFolder,
    dataset_names,
    get_dataset,
)
from minires.data import sources as sources_module
from minires.data.sources import Source, data_root, find_source, sources
from minires.serialize.download import DownloadError
from tests.data.makers import (
    cifar10_files,
    compressed,
    idx,
    pixels,
    png,
    tar_gz,
    tiny_imagenet,
    tree,
    zipped,
)
from tests.local_server import serving


def md5(contents: bytes) -> str:
    return hashlib.md5(contents, usedforsecurity=False).hexdigest()


def small(name: str, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, **other) -> Source:
    """Let a data set be one with these files for the test."""
    known = {
        file.name: replace(
            file,
            md5=md5(files[file.name]),
            uncompressed_md5=file.uncompressed_md5 and md5(gzip.decompress(files[file.name])),
            size=None,
        )
        for file in find_source(name).files
    }
    changed = replace(find_source(name), files=tuple(known.values()), **other)
    monkeypatch.setattr(sources_module, "sources", lambda: {**sources(), name: changed})
    return changed


@pytest.fixture
def mnist_files() -> dict[str, bytes]:
    labels = np.arange(30) % 10
    return {
        "train-images-idx3-ubyte.gz": compressed(idx(pixels(20, 28, 28))),
        "train-labels-idx1-ubyte.gz": compressed(idx(labels[:20])),
        "t10k-images-idx3-ubyte.gz": compressed(idx(pixels(10, 28, 28, seed=1))),
        "t10k-labels-idx1-ubyte.gz": compressed(idx(labels[20:])),
    }


def test_sums_are_hexadecimal_digits_and_addresses_official() -> None:
    for source in sources().values():
        for file in source.files:
            for found in (file.md5, file.uncompressed_md5):
                assert found is None or re.fullmatch("[0-9a-f]{32}", found), file
            assert file.md5 is not None or source.by_hand
        assert all(re.match("https?://", each) and each[-1] == "/" for each in source.addresses)
        assert not source.class_names or len(source.class_names) == source.classes
    assert set(dataset_names()) == {
        *("digits", "mnist", "fashion_mnist", "kmnist"),
        *("cifar10", "cifar100", "cifar10-jpeg", "tiny-imagenet-200"),
    }
    assert find_source("fashion-mnist") is find_source("fashion_mnist")


def test_the_root_is_an_argument_else_of_minires_data_else_at_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINIRES_HOME", "home")
    monkeypatch.delenv("MINIRES_DATA", raising=False)
    assert data_root() == Path("home/data")
    monkeypatch.setenv("MINIRES_DATA", "data")
    assert data_root() == Path("data")
    assert data_root("here") == Path("here")


def test_mnist_is_read_and_checked(
    tmp_path: Path, mnist_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    small("mnist", mnist_files, monkeypatch, images=(20, 10))
    tree(tmp_path / "mnist", mnist_files)

    split = get_dataset("mnist", root=tmp_path)

    assert (split.name, split.channels, split.image_size) == ("mnist", 1, (28, 28))
    np.testing.assert_array_equal(split.train.arrays[0][:, 0], pixels(20, 28, 28))
    assert split.test.arrays[1].tolist() == list(range(10))


@pytest.mark.parametrize("anew", [True, False])
def test_files_compressed_anew_or_not_at_all_are_the_same_data(
    tmp_path: Path, mnist_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    small("mnist", mnist_files, monkeypatch, images=(20, 10))
    for name, contents in mnist_files.items():
        raw = gzip.decompress(contents)
        files = {name: gzip.compress(raw, 9)} if anew else {name.removesuffix(".gz"): raw}
        tree(tmp_path / "mnist", files)

    assert len(get_dataset("mnist", root=tmp_path).train) == 20


def test_a_file_that_is_another_one_is_refused_before_it_is_read(
    tmp_path: Path, mnist_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    small("mnist", mnist_files, monkeypatch)
    small_kmnist = {name: mnist_files[name] for name in mnist_files}
    tree(tmp_path / "kmnist", small_kmnist)
    mnist_files["t10k-labels-idx1-ubyte.gz"] = compressed(idx(np.zeros(10)))
    tree(tmp_path / "mnist", mnist_files)

    with pytest.raises(DatasetDamaged, match=r"t10k-labels.*MD5 without compression is \w{32}"):
        get_dataset("mnist", root=tmp_path)
    with pytest.raises(DatasetDamaged, match=r"train-images.* MD5 is .* should be bdb82.*; move"):
        get_dataset("kmnist", root=tmp_path)


@pytest.mark.parametrize("name", [each for each in sources() if each != "digits"])
def test_what_is_missing_is_told_with_how_to_get_it(tmp_path: Path, name: str) -> None:
    source = find_source(name)
    with pytest.raises(DatasetMissing) as caught:
        get_dataset(name, root=tmp_path)

    told = str(caught.value)
    assert f"'{tmp_path / name}'" in told
    assert all(file.name in told for file in source.files)
    assert (f"minires data get {name}" in told) == bool(source.addresses)
    assert all(address in told for address in source.addresses)


def test_only_what_is_missing_is_told(tmp_path: Path, mnist_files: dict[str, bytes]) -> None:
    mnist_files.pop("train-labels-idx1-ubyte.gz")
    tree(tmp_path / "mnist", mnist_files)

    with pytest.raises(DatasetMissing, match=r": train-labels-idx1-ubyte.gz \(MD5 d53e1\w+\)\. "):
        get_dataset("mnist", root=tmp_path)


def test_cifar_10_is_read_out_of_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"cifar-10-binary.tar.gz": tar_gz(cifar10_files())}
    small("cifar10", files, monkeypatch, images=(10, 2))
    tree(tmp_path / "cifar10", files)

    split = get_dataset("cifar10", root=tmp_path)

    assert split.class_names[3] == "cat"
    assert split.train.arrays[0].shape == (10, 3, 32, 32)
    small("cifar10", files, monkeypatch, images=(11, 2))
    with pytest.raises(DatasetDamaged, match=r"there should be 11 images .*; found 10, 2 and 10"):
        get_dataset("cifar10", root=tmp_path)


def test_tiny_imagenet_is_read_out_of_its_zip_and_its_size_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"tiny-imagenet-200.zip": zipped(tiny_imagenet())}
    small("tiny-imagenet-200", files, monkeypatch, images=(6, 3), classes=3)
    tree(tmp_path / "tiny-imagenet-200", files)
    monkeypatch.setattr("minires.data.image_folder.size_of_image", None)

    split = get_dataset("tiny-imagenet-200", root=tmp_path)

    assert (split.name, split.image_size, split.channels) == ("tiny-imagenet-200", (64, 64), 3)
    assert split.validation(3).image_size == (64, 64)
    assert split.train.boxes.shape == (6, 4)


def test_it_is_fetched_if_one_says_so(
    tmp_path: Path, mnist_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with serving(mnist_files) as server:
        mirrors = server.address("rude/"), server.address("good/")
        small("mnist", mnist_files, monkeypatch, images=(20, 10), addresses=mirrors)
        told: list[str] = []
        paths = sources_module.find_source("mnist").download(
            tmp_path, lambda name, done, total: told.append(name)
        )
        asked = len(server.asked)
        split = get_dataset("mnist", root=tmp_path, download=True)
        assert len(server.asked) == asked == 8

    assert [path.name for path in paths] == list(mnist_files) == list(dict.fromkeys(told))
    assert len(split.train) == 20


def test_a_damaged_download_never_gets_the_name(
    tmp_path: Path, mnist_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with serving(mnist_files) as server:
        address = server.address("wrong/")
        small("mnist", mnist_files, monkeypatch, addresses=(address,))
        with pytest.raises(DownloadError, match=f"cannot download {address}train-images.*its MD5"):
            get_dataset("mnist", root=tmp_path, download=True)

    assert not list(tmp_path.iterdir())


def test_what_has_no_address_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"it has no address; zip the class folders"):
        get_dataset("cifar10-jpeg", root=tmp_path, download=True)


def test_the_jpegs_are_marked_lossy_and_may_lie_right_in_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {f"{name}/1.png": png((32, 32)) for name in "abcdefghij"}
    tree(tmp_path, {f"cifar10_jpeg_{part}.zip": zipped(images) for part in ("train", "test")})
    changed = replace(find_source("cifar10-jpeg"), images=(10, 10))
    monkeypatch.setattr(sources_module, "sources", lambda: {"cifar10-jpeg": changed})

    split = get_dataset("cifar10_jpeg", root=tmp_path)

    assert (split.lossy, split.image_size, split.classes) == (True, (32, 32), 10)


@pytest.mark.parametrize(("classes", "labels"), [("acdefghijj", [0, 2, 3]), ("xbcdefghij", None)])
def test_classes_of_the_jpegs_to_be_judged_by_are_those_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: str, labels: list[int] | None
) -> None:
    train = {f"{name}/1.png": png((32, 32)) for name in "abcdefghij"}
    test = {f"{name}/{number}.png": png((32, 32)) for number, name in enumerate(classes)}
    tree(tmp_path, {"cifar10_jpeg_train.zip": zipped(train), "cifar10_jpeg_test.zip": zipped(test)})
    changed = replace(find_source("cifar10-jpeg"), images=(10, 10))
    monkeypatch.setattr(sources_module, "sources", lambda: {"cifar10-jpeg": changed})

    if labels is None:
        with pytest.raises(DatasetDamaged, match=r"a class 'x' that is none of 10 known ones"):
            get_dataset("cifar10-jpeg", root=tmp_path)
    else:
        split = get_dataset("cifar10-jpeg", root=tmp_path)
        assert split.test.arrays[1][:3].tolist() == labels


@pytest.mark.parametrize("name", ["pictures", ""])
def test_a_name_that_is_none_may_have_been_meant_as_a_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ValueError, match=f"unknown data set '{name}'; .* or the path of a folder"):
        get_dataset(name)


def test_of_a_folder_that_has_a_known_name_the_path_is_meant_where_it_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "digits", {f"{name}/{number}.png": png() for name in "ab" for number in "123"})

    assert get_dataset("digits").classes == 10
    for path in ("./digits", "digits/", Path("digits")):
        assert get_dataset(path).classes == 2


@pytest.mark.parametrize("path", ["none/at/all", "none.npz", "none.zip", Path("none")])
def test_a_path_that_is_not_there_is_told_as_such(path: str | Path) -> None:
    with pytest.raises(DatasetMissing, match=f"there is no '{path}'; a data set is a folder or"):
        get_dataset(path)


def test_a_suffix_in_upper_case_is_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=pixels(20, 4, 5), y=np.arange(20) % 2)
    (tmp_path / "mine.npz").rename(tmp_path / "MINE.NPZ")
    images = {f"{name}/{number}.png": png() for name in "ab" for number in range(5)}
    (tmp_path / "IMAGES.ZIP").write_bytes(zipped(images))

    assert get_dataset(tmp_path / "MINE.NPZ").classes == 2
    assert get_dataset(str(tmp_path / "IMAGES.ZIP")).class_names == ("a", "b")


def test_a_file_of_another_kind_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "images.rar").write_bytes(b"Rar!")

    with pytest.raises(DatasetDamaged, match=r"neither a folder, nor a .zip, nor a .npz"):
        get_dataset(tmp_path / "images.rar")


def test_the_real_mnist_is_complete(shared_data: Path) -> None:
    split = get_dataset("mnist", root=shared_data)

    assert np.bincount(split.train.arrays[1]).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert np.bincount(split.test.arrays[1]).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    assert split.train.arrays[1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    np.testing.assert_allclose((split.mean, split.std), ((0.1307,), (0.3081,)), atol=5e-5)
    assert (split.lossy, len(split.validation(5000).train)) == (False, 55_000)


def test_all_jpegs_of_cifar_10_are_there_and_decode(shared_data: Path) -> None:
    for part, count in ("train", 5000), ("test", 1000):
        images = ImageFolder(shared_data / f"cifar10_jpeg_{part}.zip")
        assert np.bincount(images.labels).tolist() == [count] * 10
        assert images.class_names[0] == "airplane"
        few = images.subset(range(0, len(images), len(images) // 20)).decoded()
        assert few.arrays[0].shape == (20, 3, 32, 32)


@pytest.mark.long
def test_the_jpegs_are_read_whole_and_have_the_known_statistics(shared_data: Path) -> None:
    split = get_dataset("cifar10-jpeg", root=shared_data)

    assert split.lossy
    np.testing.assert_allclose(split.mean, (0.4913, 0.4821, 0.4465), atol=5e-5)
    np.testing.assert_allclose(split.std, (0.2452, 0.2428, 0.2606), atol=5e-5)
