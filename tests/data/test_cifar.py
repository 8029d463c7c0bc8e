"""CIFAR's binary archives, and tar archives that are not to be trusted."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from minires.data import DatasetDamaged
from minires.data.cifar import CIFAR10, CIFAR100, read_cifar
from tests.data.makers import cifar10_files, cifar_records, pixels, tar_gz


def written(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "cifar.tar.gz"
    path.write_bytes(tar_gz(files))
    return path


def test_images_and_labels_are_read_in_the_official_order(tmp_path: Path) -> None:
    train, test, names = read_cifar(written(tmp_path, cifar10_files()), CIFAR10)

    images, labels = train.arrays
    assert (images.shape, images.dtype, labels.dtype) == ((10, 3, 32, 32), np.uint8, np.int64)
    assert labels.tolist() == list(range(10))
    assert test.arrays[1].tolist() == [3, 9]
    assert (names[0], names[9], len(names)) == ("airplane", "truck", 10)
    np.testing.assert_array_equal(images[2:4].reshape(2, -1), pixels(2, 3072, seed=1))


def test_of_cifar_100_the_fine_label_is_taken(tmp_path: Path) -> None:
    files = {
        "train.bin": cifar_records([99, 0, 50], coarse=True),
        "test.bin": cifar_records([7], coarse=True),
        "fine_label_names.txt": "\n".join(f"c{number}" for number in range(100)).encode(),
        "coarse_label_names.txt": b"fish",
    }

    train, test, names = read_cifar(written(tmp_path, files), CIFAR100)

    assert train.arrays[1].tolist() == [99, 0, 50]
    assert test.arrays[1].tolist() == [7]
    assert names[99] == "c99"
    np.testing.assert_array_equal(train.arrays[0].reshape(3, -1), pixels(3, 3072))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"test_batch.bin": bytes(3072)}, "'test_batch.bin' has 3,072 bytes, which is no whole"),
        ({"test_batch.bin": b""}, "has 0 bytes, which is no whole number of records of 3,073"),
        ({"data_batch_2.bin": cifar_records([10])}, "a label 10, and there are 10 classes"),
        ({"batches.meta.txt": b"cat\ndog"}, "'batches.meta.txt' names 2 classes, not 10"),
    ],
)
def test_files_that_are_no_records_are_refused(
    tmp_path: Path, change: dict[str, bytes], told: str
) -> None:
    with pytest.raises(DatasetDamaged, match=told):
        read_cifar(written(tmp_path, cifar10_files() | change), CIFAR10)


def test_an_archive_without_a_file_says_which(tmp_path: Path) -> None:
    files = cifar10_files()
    del files["data_batch_3.bin"]

    with pytest.raises(DatasetDamaged, match=r"lacks 'data_batch_3.bin'; it is another archive"):
        read_cifar(written(tmp_path, files), CIFAR10)


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("../evil", tarfile.REGTYPE, "'../evil' leads out of the archive"),
        ("a/../../evil", tarfile.REGTYPE, "leads out of"),
        ("/etc/passwd", tarfile.REGTYPE, "'/etc/passwd' leads out of the archive"),
        ("C:\\evil", tarfile.REGTYPE, "leads out of"),
        ("a\\..\\evil", tarfile.REGTYPE, "leads out of"),
        ("link", tarfile.SYMTYPE, "'link' is a link or no file"),
        ("link", tarfile.LNKTYPE, "is a link or no file"),
        ("null", tarfile.CHRTYPE, "is a link or no file"),
        ("pipe", tarfile.FIFOTYPE, "is a link or no file"),
    ],
)
def test_an_archive_with_one_dangerous_member_is_refused_as_a_whole(
    tmp_path: Path, name: str, kind: bytes, told: str
) -> None:
    path = tmp_path / "evil.tar.gz"
    made = io.BytesIO(tar_gz(cifar10_files()))
    with tarfile.open(fileobj=made) as good, tarfile.open(path, "w:gz") as archive:
        for member in good:
            archive.addfile(member, good.extractfile(member))
        evil = tarfile.TarInfo(name)
        evil.type = kind
        evil.linkname = "/etc/passwd"
        archive.addfile(evil)

    with pytest.raises(DatasetDamaged, match=f"evil.tar.gz' is not read: its member .*{told}"):
        read_cifar(path, CIFAR10)

    assert [each.name for each in tmp_path.rglob("*")] == ["evil.tar.gz"]


@pytest.mark.parametrize("keep", [0, 30, 3000, -20])
def test_an_archive_that_was_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    path = written(tmp_path, cifar10_files())
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(DatasetDamaged, match=r"damaged|lacks"):
        read_cifar(path, CIFAR10)


def test_bits_that_flipped_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, cifar10_files())
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    path.write_bytes(contents)

    with pytest.raises(DatasetDamaged, match="damaged"):
        read_cifar(path, CIFAR10)


def test_an_archive_that_swells_without_end_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.data.archives._LARGEST_UNPACKED", 30_000)

    with pytest.raises(DatasetDamaged, match="holds more than 30,000 bytes"):
        read_cifar(written(tmp_path, cifar10_files()), CIFAR10)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [-1024, -512, 10**12])
def test_a_header_that_lies_about_the_size_is_refused(
    tmp_path: Path, kind: bytes, size: int
) -> None:
    member = tarfile.TarInfo("test_batch.bin")
    member.type = kind
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    filled = b"\x80\0\0\0" if size > 0 else b"\xff" * 4
    header[124:136] = filled + size.to_bytes(8, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "evil.tar"
    path.write_bytes(bytes(header) * 3 + bytes(1024))

    with pytest.raises(DatasetDamaged, match=r"damaged one|cannot have"):
        read_cifar(path, CIFAR10)
