from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minires as mr
from minires.training.runs import (
    CheckpointError,
    ConfigError,
    StoppedError,
    configured,
    evaluation,
    read_result,
    train,
)
from minires.training.runs.evaluation import evaluate_runs
from minires.training.runs.loading import load_run
from minires.training.runs.views import Views, views_of_run

from .conftest import Watched

SIDE = 12


def config(data: Path | str, seed: int = 0, **options: Any) -> Any:
    return configured(
        "cifar_resnet8", str(data), recipe="he2015-cifar", steps=4, seed=seed, val_split=0.2,
        batch_size=16, model_options={"width": 2},
        **{"crop_padding": 2, "normalize": "channel", **options},
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two classes, told apart by their brighter channel, and much noise."""
    draw = np.random.default_rng(0)
    y = np.arange(100) % 2
    x = draw.integers(0, 200, (100, 3, SIDE, SIDE))
    x[np.arange(100), y] += 40
    path = tmp_path_factory.mktemp("data") / "two.npz"
    np.savez(path, x=x.astype(np.uint8), y=y)
    return path


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    folders = [folder / f"seed{seed}" for seed in range(2)]
    for seed, each in enumerate(folders):
        train(config(data, seed), each)
    return folders


def held_out(data: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = mr.data.get_dataset(str(data)).test.arrays
    return images, labels


def normalized(folder: Path, images: np.ndarray) -> np.ndarray:
    """Raw images as a run's network is to get them, by the card beside its weights."""
    about = json.loads((folder / "best.json").read_text())["preprocessing"]
    mean, std = (np.reshape(about[name], (-1, 1, 1)) for name in ("mean", "std"))
    if "pixel_mean" in about:
        mean = np.reshape(about["pixel_mean"], (3, SIDE, SIDE))
    return (images / 255 - mean) / std


def probabilities(folder: Path, images: np.ndarray) -> np.ndarray:
    """What a run's network says of normalised images."""
    model, _ = load_run(folder)
    with mr.no_grad():
        logits = model(mr.tensor(images.astype(np.float32))).numpy()
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def loss_and_error(answers: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    loss = -np.log(answers[np.arange(len(labels)), labels]).mean()
    return float(loss), float((answers.argmax(1) != labels).mean())


def test_each_pixels_mean_is_subtracted_as_in_training(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(config(data, normalize="pixel"), run)
    images, labels = held_out(data)
    padded = np.pad(normalized(run, images), ((0, 0), (0, 0), (2, 2), (2, 2)))
    answers = np.mean([probabilities(run, part) for part in ten_crops(padded, SIDE)], 0)

    (whole,), (ten,) = evaluate_runs([run]), evaluate_runs([run], crops=10)

    assert whole.loss == pytest.approx(result.test_loss, rel=1e-5)
    assert (ten.loss, ten.error) == pytest.approx(loss_and_error(answers, labels), rel=1e-5)


def test_a_run_is_judged_as_at_its_own_end(runs: list[Path]) -> None:
    (score,) = evaluate_runs(runs[:1])
    result = read_result(runs[0])

    assert result is not None
    assert score.error == result.test_error
    assert score.loss == pytest.approx(result.test_loss, rel=1e-5)
    assert (score.name, score.images) == ("seed0", int(np.sum(score.confusion)))


def test_the_validation_part_is_that_of_the_run(runs: list[Path]) -> None:
    (score,) = evaluate_runs(runs[:1], part="validation")
    result = read_result(runs[0])

    assert result is not None
    assert score.error == pytest.approx(result.validation_error)
    assert score.loss == pytest.approx(result.validation_loss, rel=1e-5)


def test_an_ensemble_averages_probabilities(runs: list[Path], data: Path) -> None:
    images, labels = held_out(data)
    *alone, together = evaluate_runs(runs)

    each = [probabilities(folder, normalized(folder, images)) for folder in runs]
    for score, answers in zip([*alone, together], [*each, sum(each) / 2], strict=True):
        loss, error = loss_and_error(answers, labels)
        assert score.loss == pytest.approx(loss, rel=1e-5)
        assert score.error == error
    assert [score.name for score in alone] == ["seed0", "seed1"]
    assert together.name == "ensemble"
    assert together.loss < max(score.loss for score in alone)  # by Jensen's inequality


def ten_crops(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Krizhevsky et al. 2012: four corners and the middle, and their mirror images."""
    H, W = images.shape[2:]
    places = [(0, 0), (0, W - size), (H - size, 0), (H - size, W - size)]
    places.append((round((H - size) / 2), round((W - size) / 2)))
    for top, left in places:
        part = images[:, :, top : top + size, left : left + size]
        yield from (part, part[..., ::-1])


def test_ten_crops_are_averaged_as_probabilities(runs: list[Path], data: Path) -> None:
    images, labels = held_out(data)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    padded = normalized(runs[0], padded)
    answers = np.mean([probabilities(runs[0], part) for part in ten_crops(padded, SIDE)], 0)

    (score,) = evaluate_runs(runs[:1], crops=10)

    assert (score.loss, score.error) == pytest.approx(loss_and_error(answers, labels), rel=1e-5)


def test_scales_are_averaged_and_taken_whole(runs: list[Path], data: Path) -> None:
    images, labels = held_out(data)
    resized = [mr.data.transforms.Resize((side, side))(images) for side in (12, 18)]
    given = [normalized(runs[0], each) for each in resized]
    answers = np.mean([probabilities(runs[0], each) for each in given], 0)

    (score,) = evaluate_runs(runs[:1], scales=[12, 18])

    assert (score.loss, score.error) == pytest.approx(loss_and_error(answers, labels), rel=1e-5)


def test_corners_of_scales_are_as_large_as_what_was_trained_on() -> None:
    views = views_of_run(config("cifar10"), (32, 32), 10, (40, 48))
    parts = list(views.of(np.zeros((2, 3, 32, 32), np.uint8)))

    assert len(parts) == len(views) == 20
    assert {part.shape for part in parts} == {(2, 3, 32, 32)}


def test_views_of_photographs_are_those_of_the_papers() -> None:
    run = config("photos", augmentation="imagenet")
    photographs = np.zeros((1, 3, 300, 400), np.uint8)

    def shapes(crops: int, *scales: int) -> list[tuple[int, ...]]:
        views = views_of_run(run, None, crops, scales)
        return [part.shape[2:] for part in views.of(photographs)]

    assert shapes(1) == [(224, 224)]
    assert shapes(10) == [(224, 224)] * 10
    assert shapes(1, 224, 384) == [(224, 224), (384, 384)]
    assert shapes(10, 256, 480) == [(224, 224)] * 20


@pytest.mark.parametrize(
    ("crops", "scales", "options", "sentence"),
    [
        (3, (), {}, "crops: expected 1, 5, 10, found 3"),
        (1, (0,), {}, "scales: expected sizes in pixels"),
        (1, (10**6,), {}, "scales: expected sizes in pixels, 1 to 2,048"),
        (10, (), {"augmentation": "crop"}, "mirror images, which this run was not trained with"),
        (5, (), {"augmentation": "none"}, "all parts would be the same; name larger scales"),
        (10, (), {"augmentation": "none"}, "all parts would be the same; name larger scales"),
        (10, (64,), {"augmentation": "none"}, "5 leaves them out"),
    ],
)
def test_views_that_say_nothing_are_refused(
    crops: int, scales: tuple[int, ...], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        views_of_run(config("cifar10", **options), (32, 32), crops, scales)


def test_a_part_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match="8x8 pixels cannot be cut out of an image of 4x6"):
        list(Views(5, (4,), (8, 8)).of(np.zeros((1, 1, 8, 12), np.uint8)))


def test_runs_that_do_not_belong_together_are_refused(runs: list[Path], tmp_path: Path) -> None:
    options = {"epochs": 1, "model_options": {"width": 2}}
    train(configured("cifar_resnet8", "digits", **options), tmp_path / "digits")

    with pytest.raises(ConfigError, match=r"averaged over the same data set; .*--dataset"):
        evaluate_runs([runs[0], tmp_path / "digits"])
    with pytest.raises(ConfigError, match="kept other images for validation"):
        evaluate_runs(runs, part="validation")
    with pytest.raises(ConfigError, match="kept nothing for validation"):
        evaluate_runs([tmp_path / "digits"], part="validation")
    with pytest.raises(ConfigError, match="none was named"):
        evaluate_runs([])
    with pytest.raises(FileNotFoundError, match="there is no run"):
        evaluate_runs([tmp_path])


def test_data_that_have_got_other_classes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    x = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    np.savez(path, x=x, y=np.arange(20) % 2)
    train(configured("cifar_resnet8", str(path), steps=1, model_options={"width": 2}),
          tmp_path / "run")  # fmt: skip
    np.savez(path, x=x, y=np.arange(20) % 4)

    with pytest.raises(ConfigError, match="the data have changed"):
        evaluate_runs([tmp_path / "run"])


@pytest.mark.long
def test_images_in_files_are_decoded_side_by_side_and_stay_in_order() -> None:
    meeting = threading.Barrier(2, timeout=60)

    class Files:
        def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
            meeting.wait()  # alone, none would come past it
            return np.full((1, 1, 1), row), 0

    with ThreadPoolExecutor(2) as pool:
        images = evaluation._images(Files(), range(3, 11), pool)
    assert [int(image[0, 0, 0]) for image in images] == list(range(3, 11))


def test_photographs_of_any_size_are_judged(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for number, name in enumerate(("dark", "light")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                size = tuple(draw.integers(230, 300, 2))
                pixels = draw.integers(0, 100, (*size, 3)) + 150 * number
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    options = {"steps": 2, "batch_size": 4, "val_split": 4, "model_options": {"width": 2}}
    train(configured("cifar_resnet8", str(tmp_path / "photos"), **options), tmp_path / "run")
    told: list[tuple[int, int]] = []

    one, ten = (
        evaluate_runs([tmp_path / "run"], crops=crops, told=lambda *so_far: told.append(so_far))[0]
        for crops in (1, 10)
    )

    result = read_result(tmp_path / "run")
    assert result is not None
    assert one.loss == pytest.approx(result.test_loss, rel=1e-5)
    assert one.loss != ten.loss
    assert told == [(4, 4), (4, 4)]


def test_data_from_another_folder_must_be_the_same(
    data: Path, runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mr.data.get_dataset

    def others(name: str, root: str) -> Any:
        return found(name) if root == "same" else found("digits")

    monkeypatch.setattr(evaluation, "get_dataset", others)
    assert evaluate_runs(runs[:1], root="same")
    with pytest.raises(CheckpointError, match="is not the one that the run began with"):
        evaluate_runs(runs[:1], root="other")


def test_a_run_that_was_stopped_within_its_first_epoch_cannot_be_judged_yet(
    data: Path, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train(config(data), tmp_path / "run", watcher=Watched(stop_after=1))
    for which, file in (("best", "best.safetensors"), ("last", "best.json")):
        with pytest.raises(FileNotFoundError, match=f"has no {file} yet.*after the first epoch"):
            evaluate_runs([tmp_path / "run"], which=which)
