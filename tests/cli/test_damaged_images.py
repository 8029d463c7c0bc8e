"""Images that cannot be trained on: what a command says of them, in a sentence."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.makers import tree

TRAIN = [
    *("train", "--model", "cifar_resnet8", "--width", "2", "--dataset", "pictures/"),
    *("--size", "8", "--epochs", "1", "--batch-size", "4", "--schedule", "constant"),
    *("--threads", "1", "--out", "run", "--quiet"),
]


def pictures(channels: int = 3) -> dict[str, bytes]:
    """Noise, in the first channels."""
    random, files = np.random.default_rng(0), {}
    for part in ("train", "val"):
        for place in range(8):
            pixels = np.zeros((9, 8, 3), np.uint8)
            pixels[..., :channels] = random.integers(0, 256, (9, 8, channels))
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            files[f"{part}/{'ab'[place // 4]}/{place % 4}.png"] = file.getvalue()
    return files


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_damaged_image_is_told_when_its_batch_is_made(
    minires: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    files = pictures()
    tree(tmp_path / "pictures", files | {"train/b/3.png": files["train/b/3.png"][:50]})
    monkeypatch.setattr("minires.data.split._MEASURED", 2)  # of many images, not all are

    done = minires(*TRAIN, "--workers", workers)

    assert done.returncode == 1
    told = r"minires: sample \d could not be made, in epoch 0: DatasetDamaged: 'train/b/3.png' .*"
    assert re.fullmatch(told, done.stderr.strip())


def test_an_image_so_thin_that_it_would_become_huge_is_told(
    minires: Callable[..., Any], tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (60_000, 1)).save(file, "PNG")
    tree(tmp_path / "pictures", pictures() | {"train/b/3.png": file.getvalue()})

    done = minires(*TRAIN, "--size", "300")

    assert done.returncode == 1
    told = r"minires: sample \d could not be made, .* 60000 x 1 pixels would be .*; cut it; .*"
    assert re.fullmatch(told, done.stderr.strip())


def test_a_channel_without_contrast_is_told_before_anything_is_written(
    minires: Callable[..., Any], tmp_path: Path
) -> None:
    tree(tmp_path / "pictures", pictures(channels=2))

    done = minires(*TRAIN)

    assert done.returncode == 2
    assert "--dataset: channel 2 of 'pictures' has the same grey value everywhere" in done.stderr
    assert not (tmp_path / "run").exists()
