"""The loader's figures: what is measured, and of which images."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import loader
from minires.data import DataLoader


def test_the_pipeline_is_measured_in_images_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    images = loader.small_images(256)
    monkeypatch.setattr(loader, "small_images", lambda: images)

    measured = loader.pipeline(rounds=2)

    times = measured["jobs"]["no worker"]
    assert measured["images_per_second"]["no worker"] == pytest.approx(256e3 / times["median"])
    rate = measured["images_per_core_second"]["no worker"]
    assert rate == pytest.approx(256e3 / times["cpu_minimum"])


def test_fifteen_thousand_images_a_second_are_augmented_on_one_core() -> None:
    batches = DataLoader(loader.small_images(2560), 128, True, transform=loader.augmentation())

    start = time.thread_time()
    list(batches)

    assert time.thread_time() - start < 2560 / 15_000  # it takes some 0.015 s


def test_made_photographs_are_as_large_as_real_ones(tmp_path: Path) -> None:
    written = loader.write_photographs(tmp_path, (32, 32), 40)

    files = sorted(tmp_path.glob("*/*.jpg"))
    assert len(files) == 40
    assert sum(file.stat().st_size for file in files) == written
    # Those of CIFAR-10, of the same quality, have 1,000 bytes each.
    assert 800 < written / 40 < 1300
    with Image.open(files[0]) as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")


def test_decoding_is_measured_alone_and_with_every_kind_of_worker() -> None:
    measured = loader.decoding((32, 32), count=12, rounds=1)

    kinds = {f"in batches, {name}" for name in loader.WORKERS}
    assert measured["images_per_second"].keys() == {"decoded", *kinds}
    # What other processes do is not among this one's processor time.
    rates = measured["images_per_core_second"].keys()
    assert rates == {"decoded", *kinds} - {"in batches, 2 processes"}
    assert measured["jobs"].keys() == {"decoded", "2 processes begin", *kinds}
    assert measured["size"] == [32, 32]


def test_training_is_paired_with_itself_to_see_what_ratios_are_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "BATCH", 4)

    measured = loader.slowdown(rounds=1, steps=1)

    assert measured["ratios"].keys() == {"ready again", "no worker", "1 thread", "loader alone"}
    assert measured["jobs"].keys() == {"ready", *measured["ratios"]}
