"""The numbers of the papers, as reference/experiments.md and the papers have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.data.transforms import (
    CenterCrop,
    Lighting,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomShortestSize,
)
from minires.optim.lr_scheduler import ReduceLROnPlateau, WarmUpUntil
from minires.training.runs import RECIPES, ConfigError, RunConfig, configured, train
from minires.training.runs.batches import batches_of
from minires.training.runs.making import (
    made_model,
    made_schedule,
    made_trainer,
    rising_rates,
)

from .conftest import Watched


def rates(config: RunConfig, steps: int, at: list[int]) -> list[float]:
    optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=config.lr)
    schedule = made_schedule(config, optimizer, steps)
    return [round(schedule.lr_at(step, config.lr), 10) for step in at]


def stated(config: RunConfig, names: str) -> list[Any]:
    return [getattr(config, name) for name in names.split()]


def test_he2015_cifar() -> None:
    config = configured("cifar_resnet20", "cifar10", "he2015-cifar")
    assert stated(config, "momentum nesterov weight_decay batch_size lr steps epochs") == [
        0.9, False, 1e-4, 128, 0.1, 64_000, None
    ]  # fmt: skip
    assert stated(config, "schedule gamma augmentation crop_padding normalize val_split") == [
        "steps", 0.1, "crop-flip", 4, "pixel", 0.1
    ]  # fmt: skip
    assert stated(config, "label_smoothing mixup cutout ema clip accumulate") == [
        0, 0, 0, None, None, 1
    ]  # fmt: skip
    at = [0, 31_999, 32_000, 47_999, 48_000, 63_999]
    assert rates(config, 64_000, at) == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert config.val_split * 50_000 == 5_000
    assert (config.warm_up_lr, config.warm_up_error) == (None, None)


@pytest.mark.parametrize("depth", [110, 1202])
def test_he2015_cifar_warms_up_its_deepest_networks(depth: int) -> None:
    config = configured(f"cifar_resnet{depth}", "cifar10", "he2015-cifar")
    assert (config.warm_up_lr, config.warm_up_error, config.warm_up_steps) == (0.01, 0.8, 0)
    optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=config.lr)
    schedule = made_schedule(config, optimizer, 64_000)
    assert isinstance(schedule, WarmUpUntil)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
    schedule.epoch_done(0.81)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
    schedule.epoch_done(0.79)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    assert configured("cifar_resnet56", "cifar10", "he2015-cifar").warm_up_lr is None


def test_he2015_imagenet() -> None:
    config = configured("resnet34", "photographs", "he2015-imagenet")
    assert stated(config, "momentum nesterov weight_decay batch_size lr steps gamma") == [
        0.9, False, 1e-4, 256, 0.1, 600_000, 0.1
    ]  # fmt: skip
    assert stated(config, "schedule augmentation warm_up_lr") == ["plateau", "imagenet", None]
    optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=config.lr)
    schedule = made_schedule(config, optimizer, 600_000)
    assert isinstance(schedule, ReduceLROnPlateau)
    assert schedule.factor == 0.1


def test_wide_residual_networks() -> None:
    config = configured("wrn_28_10", "cifar10", "wrn")
    assert stated(config, "momentum nesterov weight_decay batch_size lr epochs steps gamma") == [
        0.9, True, 5e-4, 128, 0.1, 200, None, 0.2
    ]  # fmt: skip
    assert stated(config, "augmentation crop_padding crop_padding_mode schedule") == [
        "crop-flip", 4, "reflect", "steps"
    ]  # fmt: skip
    per_epoch = 391
    at = [per_epoch * epoch for epoch in (0, 60, 120, 160)]
    assert rates(config, 200 * per_epoch, at) == [0.1, 0.02, 0.004, 0.0008]
    assert rates(config, 200 * per_epoch, [60 * per_epoch - 1]) == [0.1]


def test_preactivation() -> None:
    config = configured("cifar_preact_resnet164", "cifar10", "preact")
    assert stated(config, "momentum weight_decay batch_size lr steps warm_up_lr warm_up_steps") == [
        0.9, 1e-4, 128, 0.1, 64_000, 0.01, 400
    ]  # fmt: skip
    at = [0, 399, 400, 31_999, 32_000, 48_000]
    assert rates(config, 64_000, at) == [0.01, 0.01, 0.1, 0.1, 0.01, 0.001]


def test_mnist_is_trained_on_all_its_images_by_a_schedule_that_is_fixed() -> None:
    config = configured("cifar_resnet8", "mnist")
    assert (config.recipe, config.val_split, config.early_stop) == ("mnist", 0.0, None)
    assert config.augmentation == "crop", "a digit that is mirrored is another one, or none"
    steps = 469 * (config.epochs or 0)
    assert rates(config, steps, [0, steps // 2, steps]) == [config.lr, config.lr / 2, 0]


def test_the_images_of_he2015_cifar_lose_each_pixels_mean_before_they_are_padded(
    tmp_path: Path,
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=[0, 1] * 20)
    config = configured("cifar_resnet8", str(tmp_path / "images.npz"), "he2015-cifar")
    train_part = batches_of(config).train
    normalize, crop, flip = train_part.transform.transforms
    assert isinstance(normalize, Normalize)
    assert normalize.mean.shape == (3, 32, 32)
    assert isinstance(crop, RandomCrop)
    assert (crop.size, crop.padding) == ((32, 32), 4)
    assert isinstance(flip, RandomHorizontalFlip)
    assert flip.p == 0.5


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Make a tree of small photographs, coloured and grey, of different sizes."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 3)):
        for label, name in enumerate(("bird", "cat")):
            folder = tmp_path / "photographs" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = rng.integers(40, 80, 2)
                pixels = rng.integers(0, 128, (height, width, 3), np.uint8) + 100 * label
                image = Image.fromarray(pixels.astype(np.uint8))
                (image.convert("L") if number == 0 else image).save(folder / f"{number}.jpg")
    return tmp_path / "photographs"


def test_he2015_imagenet_from_end_to_end_on_a_folder_of_photographs(
    photographs: Path, tmp_path: Path
) -> None:
    config = configured(
        "cifar_resnet8",
        str(photographs),
        batch_size=4,
        epochs=1,
        val_split=0.34,
        model_options={"width": 2},
    )
    assert config.recipe == "he2015-imagenet"
    batches = batches_of(config)
    shortest, crop, flip, light, normalize = batches.train.transform.transforms
    assert isinstance(shortest, RandomShortestSize)
    assert (shortest.min_size, shortest.max_size) == (256, 480)
    assert isinstance(crop, RandomCrop)
    assert crop.size == (224, 224)
    assert isinstance(flip, RandomHorizontalFlip)
    assert isinstance(light, Lighting)
    assert isinstance(normalize, Normalize)
    shorter, middle, _ = batches.test.transform.transforms
    assert (shorter.min_size, shorter.max_size, middle.size) == (256, 256, (224, 224))
    assert isinstance(middle, CenterCrop)
    images, labels = next(iter(batches.train))
    assert images.shape == (4, 3, 224, 224)
    assert labels.shape == (4,)
    watcher = Watched()
    result = train(config, tmp_path / "run", watcher=watcher)
    assert watcher.plan is not None
    assert watcher.plan.images == (8, 4, 6)
    assert result.steps == 2
    pretrained = mr.models.pretrained(tmp_path / "run" / "best.safetensors")
    assert pretrained.card.classes == ("bird", "cat")
    assert (pretrained.card.preprocessing.size, pretrained.card.preprocessing.crop) == (256, 224)


def test_images_of_different_sizes_need_the_augmentation_that_makes_them_equal(
    photographs: Path, tmp_path: Path
) -> None:
    config = configured(
        "cifar_resnet8", str(photographs), augmentation="none", schedule="cosine", val_split=0
    )
    with pytest.raises(ConfigError, match=r"augmentation: .* differ in size"):
        train(config, tmp_path / "run")
    config = configured(
        "cifar_resnet8", str(photographs), normalize="pixel", schedule="cosine", val_split=0
    )
    with pytest.raises(ConfigError, match="normalize: 'pixel'"):
        train(config, tmp_path / "run")


def test_another_length_stretches_a_recipe() -> None:
    config = configured("cifar_resnet20", "cifar10", epochs=164)
    assert (config.epochs, config.steps, config.milestones) == (164, None, (0.5, 0.75))
    assert rates(config, 164 * 352, [82 * 352 - 1, 82 * 352]) == [0.1, 0.01]
    cosine = configured("cifar_resnet20", "cifar10", schedule="cosine")
    assert (cosine.schedule, cosine.milestones, cosine.steps) == ("cosine", (), 64_000)


def test_a_rate_as_low_as_that_of_the_warm_up_needs_none() -> None:
    for lr, expected in ((0.02, 0.01), (0.01, None), (0.005, None)):
        config = configured("cifar_preact_resnet164", "cifar10", "preact", lr=lr)
        assert (config.lr, config.warm_up_lr) == (lr, expected)
        assert bool(config.warm_up_steps) == bool(expected)


def test_without_momentum_there_is_none_of_nesterovs() -> None:
    config = configured("cifar_resnet8", "digits", momentum=0.0)
    assert (config.momentum, config.nesterov) == (0.0, False)
    with pytest.raises(ConfigError, match="nesterov: "):
        configured("cifar_resnet8", "digits", momentum=0.0, nesterov=True)


def test_a_range_test_draws_all_of_its_numbers_by_the_seed() -> None:
    random = mr.devices.random
    config = configured("cifar_resnet8", "digits", seed=5, model_options={"width": 2})
    with random.replayed(random.state()):
        rising_rates(config, 1e-3, 1.0, steps=10)
        assert random.state()["seed"] == 5


def test_recipes_name_where_they_come_from_and_unknown_ones_what_there_is() -> None:
    assert all(recipe.source for recipe in RECIPES.values())
    with pytest.raises(ConfigError, match=r"recipe: .*'he2015-cifar'"):
        configured("resnet18", "cifar10", "he2015-cifra")
    with pytest.raises(ConfigError, match=r"recipe: .*there are: he2015-cifar, "):
        configured("resnet18", "cifar10", "best")


def test_predict_subtracts_what_training_subtracted(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=[0, 1] * 20)
    config = configured(
        "cifar_resnet8",
        str(tmp_path / "images.npz"),
        epochs=1,
        augmentation="none",
        model_options={"width": 2},
    )
    train(config, tmp_path / "run")
    model, card = mr.models.pretrained(tmp_path / "run" / "best.safetensors")
    batches = batches_of(config)
    seen, _ = next(iter(batches.test))
    raw = batches.split.test.arrays[0][0].transpose(1, 2, 0)
    prepared = mr.data.prepare(np.ascontiguousarray(raw), card.preprocessing)
    np.testing.assert_allclose(prepared, seen[0].numpy(), atol=1e-5)
    assert not model.training


def test_a_network_with_auxiliary_heads_is_refused_in_a_sentence() -> None:
    config = configured("googlenet_aux", "cifar10", model_options={"width": 4})
    with pytest.raises(ConfigError, match=r"model: googlenet_aux, .*auxiliary heads have no place"):
        made_model(config, classes=10, channels=3, size=(32, 32))


def test_blocks_that_a_network_has_not_cannot_be_computed_twice() -> None:
    config = configured("densenet_40_12", "cifar10", checkpoint_blocks=True)
    with pytest.raises(ConfigError, match="checkpoint_blocks: DenseNet has no ResidualBlock"):
        made_model(config, classes=10, channels=3, size=(32, 32))


def test_the_trainer_gets_what_the_recipe_says() -> None:
    config = configured("wrn_28_10", "cifar10", "wrn", label_smoothing=0.1, clip=2.0, accumulate=3)
    model = mr.nn.Linear(2, 2)
    trainer = made_trainer(config, model, steps=100)
    (group,) = trainer.optimizer.param_groups
    told = [group[name] for name in ("lr", "momentum", "weight_decay", "nesterov")]
    assert told == [0.1, 0.9, 5e-4, True]
    assert (trainer.clip_grad_norm, trainer.accumulate, trainer.schedule) == (2.0, 3, "step")
    smoothed = trainer.loss(mr.tensor([[2.0, 0.0]]), mr.tensor([0])).item()
    assert smoothed > mr.ops.cross_entropy(mr.tensor([[2.0, 0.0]]), mr.tensor([0])).item()
