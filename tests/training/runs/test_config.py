from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minires.training.runs import ConfigError, RunConfig, RunError, read_config, write_config

A_RUN: dict[str, Any] = {"model": "cifar_resnet20", "dataset": "digits", "epochs": 2}


def test_a_configuration_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    config = RunConfig.checked(
        **A_RUN, schedule="steps", milestones=(0.5, 0.75), freeze=("layer1.*",), val_split=0.1
    )
    write_config(config, tmp_path)
    assert read_config(tmp_path) == config


def test_a_number_of_validation_images_stays_a_number_and_a_share_a_share() -> None:
    assert type(RunConfig.checked(**A_RUN, val_split=5000).val_split) is int
    assert type(RunConfig.checked(**A_RUN, val_split=0.1).val_split) is float


BAD = [
    ({"epochs": 0}, "epochs: .* greater than 0, found 0"),
    ({"steps": 5}, "epochs by .*one of them|by epochs or by steps"),
    ({"epochs": None}, "by epochs or by steps"),
    ({"epochs": 1.5}, "epochs: .*integer"),
    ({"model": ""}, "model: .*at least 1 character"),
    ({"batch_size": 0}, "batch_size: .*greater than 0, found 0"),
    ({"accumulate": 0}, "accumulate"),
    ({"lr": 0.0}, "lr: .*greater than 0, found 0.0"),
    ({"lr": float("nan")}, "lr: .*finite"),
    ({"momentum": 1.0}, "momentum: .*less than 1"),
    ({"weight_decay": -1.0}, "weight_decay"),
    ({"schedule": "stairs"}, "schedule: .*'cosine'.*found 'stairs'"),
    ({"schedule": "steps"}, "milestones: .*at least one"),
    ({"schedule": "steps", "milestones": (0.7, 0.5)}, "milestones must rise"),
    ({"milestones": (1.0,)}, "milestones: .*below 1"),
    ({"gamma": 1.0}, "gamma"),
    ({"schedule": "plateau"}, "set val_split above 0, or take another schedule"),
    ({"nesterov": True, "momentum": 0.0}, "nesterov: .*momentum"),
    ({"patience": 0}, "patience"),
    ({"early_stop": 3}, "early_stop: .*set val_split"),
    ({"warm_up_steps": 400}, "warm_up_lr"),
    ({"warm_up_lr": 0.01}, "warm_up_steps"),
    ({"warm_up_lr": 0.01, "warm_up_steps": 3, "warm_up_error": 0.8}, "warm_up_steps"),
    ({"label_smoothing": 1.0}, "label_smoothing"),
    ({"mixup": -0.1}, "mixup"),
    ({"cutout": -1}, "cutout"),
    ({"ema": 1.0}, "ema"),
    ({"clip": 0.0}, "clip"),
    ({"augmentation": "all"}, "augmentation: .*'crop-flip'"),
    ({"crop_padding": -1}, "crop_padding"),
    ({"val_split": 1.0}, "val_split: .*as 5000, found 1.0"),
    ({"val_split": -1}, "val_split"),
    ({"precise_bn": -1}, "precise_bn"),
    ({"sync_bn": True}, "sync_bn: .*distributed"),
    ({"seed": -1}, "seed"),
    ({"dtype": "float16"}, "dtype: .*'float64'"),
    ({"threads": 0}, "threads"),
    ({"workers": -1}, "workers"),
    ({"checkpoint_steps": 0}, "checkpoint_steps"),
    ({"keep": 0}, "keep"),
    ({"optimiser": "sgd"}, "optimiser: there is no such option"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_value_is_told_in_one_sentence_with_the_options_name(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        RunConfig.checked(**{**A_RUN, **options})
    assert "\n" not in str(raised.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="dataset: it is missing"):
        RunConfig.checked(model="resnet18", epochs=1)


def test_a_folder_without_a_run_is_told_from_a_run_with_a_changed_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no run in .*config\.json"):
        read_config(tmp_path)
    path = write_config(RunConfig.checked(**A_RUN), tmp_path)
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "lr": "fast"}))
    with pytest.raises(RunError, match=r"config\.json': lr: .*found 'fast'"):
        read_config(tmp_path)
    path.write_text('{"model": ')
    with pytest.raises(RunError, match=r"config\.json'"):
        read_config(tmp_path)
