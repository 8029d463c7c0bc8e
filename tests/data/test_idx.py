"""IDX files: what is written is read, and whatever else is told from it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minires.data import DatasetDamaged
from minires.data.idx import read_idx
from tests.data.makers import compressed, idx, pixels

IMAGES = pixels(3, 4, 5)


@pytest.mark.parametrize("pack", [bytes, compressed])
def test_an_idx_file_is_read_compressed_or_not_whatever_its_name(tmp_path: Path, pack) -> None:
    (tmp_path / "images").write_bytes(pack(idx(IMAGES)))

    np.testing.assert_array_equal(read_idx(tmp_path / "images", 3), IMAGES)


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        (b"", "is no IDX file of bytes: it begins with nothing, not with 00 00 08 03"),
        (b"PK\3\4" + bytes(20), "it begins with 50 4b 03 04, not"),
        (idx(IMAGES, magic=13), "it begins with 00 00 0d 03, not"),
        (idx(IMAGES[:, 0, 0]) + bytes(8), "an array of 1 dimensions, and 3 were expected; are"),
        (idx(IMAGES)[:-1], r"shape is \(3, 4, 5\), 60 bytes, but 59 follow; it was cut short"),
        (idx(IMAGES) + b"!", r"shape is \(3, 4, 5\), 60 bytes, but 61 follow"),
        (compressed(idx(IMAGES))[:-9], "is a damaged gzip file: Compressed file ended"),
        (compressed(idx(IMAGES))[:-8] + bytes(8), "is a damaged gzip file: CRC check failed"),
        (b"\x1f\x8bnothing", "is a damaged gzip file"),
    ],
)
def test_another_or_damaged_file_is_refused_with_what_was_found(
    tmp_path: Path, contents: bytes, told: str
) -> None:
    (tmp_path / "images").write_bytes(contents)

    with pytest.raises(DatasetDamaged, match=rf"images' .*{told}"):
        read_idx(tmp_path / "images", 3)


def test_a_file_that_swells_without_end_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.data.archives._LARGEST_UNPACKED", 1000)
    (tmp_path / "bomb").write_bytes(compressed(bytes(1001)))

    with pytest.raises(DatasetDamaged, match="holds more than 1,000 bytes"):
        read_idx(tmp_path / "bomb", 3)


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(compressed(idx(IMAGES)))

    tracemalloc.start()
    try:
        read_idx(tmp_path / "images", 3)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert most < 8 * 2**20
