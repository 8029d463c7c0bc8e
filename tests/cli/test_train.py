"""minires train: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minires.cli.train import run_train
from minires.training.runs import RunConfig

SMALL = ["--model", "cifar_resnet8", "--width", "2", "--dataset", "digits", "--batch-size", "256"]
RUN = ["train", *SMALL, "--epochs", "2", "--threads", "1"]

Minires = Callable[..., Any]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_run_prints_a_line_for_each_epoch_and_ends_with_its_test_error(
    minires: Minires, tmp_path: Path
) -> None:
    done = minires(*RUN, "--out", "runs/a", "--val-split", "0.1")
    assert done.returncode == 0
    opening, first, second = done.stderr.splitlines()
    assert opening.startswith("cifar_resnet8 (1,320 parameters) on digits: 1,294 images to train")
    assert first.startswith("epoch 1  loss ")
    assert "validation loss" in second
    assert done.stdout.startswith("test error ")
    for name in ("best.safetensors", "metrics.jsonl", "report.html"):
        assert f"{Path('runs/a', name)}" in done.stdout
        assert (tmp_path / "runs/a" / name).exists()


def test_the_result_as_json_and_no_progress(minires: Minires) -> None:
    done = minires(*RUN, "--out", "a", "--json", "--quiet", "--seed", "3")
    told = json.loads(done.stdout)
    assert (told["schema"], told["folder"], told["seed"]) == ("minires.train/1", "a", 3)
    assert (told["epochs"], told["steps"], told["validation_error"]) == (2, 12, None)
    assert 0 <= told["test_error"] <= 1
    assert done.stderr == ""


def test_a_folder_is_named_where_none_is(minires: Minires, tmp_path: Path) -> None:
    assert minires(*RUN, "--quiet").returncode == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-train")


def test_every_option_stands_in_the_configuration(minires: Minires, tmp_path: Path) -> None:
    options = {
        "lr": 0.05,
        "momentum": 0.8,
        "weight-decay": 0.001,
        "schedule": "cosine",
        "label-smoothing": 0.1,
        "mixup": 0.2,
        "cutout": 2,
        "augmentation": "crop",
        "crop-padding": 1,
        "crop-padding-mode": "reflect",
        "normalize": "pixel",
        "gamma": 0.2,
        "patience": 3,
        "warm-up-lr": 0.01,
        "warm-up-steps": 2,
        "ema": 0.9,
        "clip": 2.0,
        "accumulate": 2,
        "val-split": 200,
        "early-stop": 5,
        "precise-bn": 2,
        "seed": 4,
        "dtype": "float64",
        "workers": 1,
        "checkpoint-steps": 3,
        "keep": 2,
    }
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    given += ["--milestones", "0.5,0.75", "--no-nesterov"]
    done = minires(*RUN, *given, "--half", "--freeze", "conv1.*", "--freeze", "bn1.*", "--out", "a")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    for name, value in options.items():
        assert config[name.replace("-", "_")] == value, name
    assert config["half"]
    assert config["milestones"] == [0.5, 0.75]
    assert config["nesterov"] is False
    assert config["freeze"] == ["conv1.*", "bn1.*"]
    assert config["model_options"] == {"width": 2}


def test_whatever_a_message_can_name_is_an_option() -> None:
    named = RunConfig.model_fields.keys() - {"schema_", "model_options"}

    assert named <= inspect.signature(run_train).parameters.keys()


def test_the_help_is_in_panels_and_says_what_counts_by_default(minires: Minires) -> None:
    told = minires("train", "--help", COLUMNS="160").stdout

    for panel in ("Run", "Network", "Data", "Optimisation", "Averages and limits", "Machine"):
        assert f"─ {panel} ─" in told
    options = told.partition("─ Run ─")[2].partition("─ Machine ─")[0]
    # These are asked for, or not, and nothing stands in for them.
    bare = ("--model", "--dataset", "--resume")
    for described in re.split(r"\n│ +(?=--)", options)[1:]:
        assert described.startswith(bare) or "[default: " in described


def test_images_of_any_size_are_brought_to_the_one_that_is_asked_for(
    minires: Minires, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(5):
            sides = (*rng.integers(20, 40, 2), 3)
            image = Image.fromarray(rng.integers(0, 256, sides, np.uint8))
            image.save(tmp_path / "mine" / name / f"{number}.png")
    asked = ["train", *SMALL[:4], "--dataset", "mine/", "--epochs", "1", "--quiet"]
    flat = ["--augmentation", "none", "--schedule", "constant"]

    refused = minires(*asked, *flat, "--out", "c")
    done = [
        minires(*asked, "--size", "8", "--out", "a"),
        minires(*asked, "--size", "8", *flat, "--out", "b"),
    ]

    assert "--augmentation: the images of mine/ differ in size" in refused.stderr
    assert "--size 32" in refused.stderr
    for each, folder, shorter in zip(done, "ab", (9, 8), strict=True):
        assert each.returncode == 0, each.stderr
        shown = json.loads((tmp_path / folder / "best.json").read_text())["preprocessing"]
        assert (shown["size"], shown["crop"]) == (shorter, 8)
        result = json.loads((tmp_path / folder / "result.json").read_text())
        again = json.loads(minires("evaluate", "--run", folder, "--json").stdout)["scores"][0]
        assert again["loss"] == pytest.approx(result["test_loss"], rel=1e-5)
        asked_of = f"{folder}/best.safetensors", "mine/cat/0.png"
        assert minires("predict", "--weights", *asked_of).returncode == 0


BAD = [
    (["--epochs", "0"], "--epochs: input should be greater than 0, found 0"),
    (["--epochs", "two"], "'--epochs': "),
    (["--steps", "5"], "epochs or by steps"),
    (["--batch-size", "0"], "--batch-size: "),
    (["--lr", "-1"], "--lr: input should be greater than 0, found -1.0"),
    (["--lr", "nan"], "--lr: "),
    (["--momentum", "1"], "--momentum: "),
    (["--weight-decay", "-1"], "--weight-decay: "),
    (["--schedule", "stairs"], "--schedule: "),
    (["--label-smoothing", "1"], "--label-smoothing: "),
    (["--mixup", "-1"], "--mixup: "),
    (["--cutout", "-1"], "--cutout: "),
    (["--augmentation", "all"], "--augmentation: "),
    (["--augmentation", "imagenet", "--dataset", "nowhere"], "nowhere"),
    (["--ema", "1"], "--ema: "),
    (["--clip", "0"], "--clip: "),
    (["--accumulate", "0"], "--accumulate: "),
    (["--val-split", "some"], "--val-split: expected a number, found 'some'"),
    (["--val-split", "1.5"], "--val-split: "),
    (["--val-split", "9000"], "--val-split: "),
    (["--early-stop", "3"], "--early-stop: it looks at the validation part; set --val-split"),
    (["--warm-up-lr", "0.01"], "a warm-up ends by --warm-up-steps or by --warm-up-error"),
    (["--milestones", "half"], "--milestones: expected shares separated by commas"),
    (["--milestones", "0.7,0.5"], "--milestones: the milestones must rise"),
    (["--size", "0"], "--size: "),
    (["--size", "6", "--normalize", "pixel"], "--normalize: 'pixel' needs square images"),
    (["--precise-bn", "-1"], "--precise-bn: "),
    (["--seed", "-1"], "--seed: "),
    (["--dtype", "float16"], "--dtype: "),
    (["--width", "0"], "--model: cifar_resnet8"),
    (["--threads", "0"], "--threads: "),
    (["--workers", "-1"], "--workers: "),
    (["--checkpoint-steps", "0"], "--checkpoint-steps: "),
    (["--keep", "0"], "--keep: "),
    (["--device", "gpu"], "--device: unknown device 'gpu'"),
    (["--recipe", "he2015-cifa"], "--recipe: there is none called 'he2015-cifa'; perhaps"),
    (["--model", "resnet21"], "--model: there is no network 'resnet21'; near: "),
    (["--model", "alexnet"], "--model: alexnet"),
    (["--dataset", "digit"], "--dataset: "),
    (["--weights", "none.safetensors"], "--weights: "),
    (["--freeze", "stem"], "--freeze: no parameter matches 'stem'"),
]


@pytest.mark.parametrize(("options", "told"), BAD, ids=lambda value: " ".join(value)[:30])
def test_a_bad_value_costs_one_line_and_leaves_nothing(
    options: list[str], told: str, minires: Minires, tmp_path: Path
) -> None:
    done = minires(*RUN, *options, "--out", "runs/new")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("minires: ")
    assert told in line
    assert not (tmp_path / "runs").exists()


def test_a_data_set_that_is_not_there_is_told_with_what_to_do(
    minires: Minires, tmp_path: Path
) -> None:
    asked = ["--model", "cifar_resnet8", "--dataset", "mnist", "--root", tmp_path]
    done = minires("train", *asked, "--out", "runs/a")
    assert done.returncode == 1
    assert "minires data get mnist" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_model_and_dataset_are_asked_for(minires: Minires) -> None:
    assert "--model is missing" in minires("train", "--dataset", "digits").stderr
    assert "--dataset is missing" in minires("train", "--model", "cifar_resnet8").stderr


def test_a_run_that_is_there_is_gone_on_with_and_not_overwritten(
    minires: Minires, tmp_path: Path
) -> None:
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    before = digests(tmp_path / "a")
    again = minires(*RUN, "--out", "a")
    assert again.returncode == 2
    assert "--resume" in again.stderr
    resumed = minires("train", "--resume", "a")
    assert resumed.returncode == 0
    assert "is finished; nothing is changed" in resumed.stderr
    assert digests(tmp_path / "a") == before


def test_with_resume_only_what_changes_no_result_may_be_said(
    minires: Minires, tmp_path: Path
) -> None:
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    for option in (["--lr", "1"], ["--model", "resnet18"], ["--out", "b"], ["--half"]):
        done = minires("train", "--resume", "a", *option)
        assert done.returncode == 2
        assert f"{option[0]}: a run is gone on with as it was begun" in done.stderr
    assert minires("train", "--resume", "a", "--threads", "1", "--workers", "1").returncode == 0
    nowhere = minires("train", "--resume", "nowhere")
    assert nowhere.returncode == 2
    assert "--resume: there is no run in 'nowhere'" in nowhere.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["last.safetensors", "metrics.jsonl", "config.json"])
def test_a_damaged_file_costs_one_line_and_no_other_file_is_touched(
    name: str, minires: Minires, tmp_path: Path
) -> None:
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    (tmp_path / "a" / "result.json").unlink()
    path = tmp_path / "a" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = digests(tmp_path / "a")
    done = minires("train", "--resume", "a")
    assert done.returncode in (1, 2)
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert digests(tmp_path / "a") == before


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_a_checkpoint_and_says_how_to_go_on(
    by: int, code: int, minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minires.cli import training

    def stop(self: Any, epoch: int, step: int, loss: float, images: int) -> None:
        if step == 4:
            os.kill(os.getpid(), by)

    with monkeypatch.context() as stopping:
        stopping.setattr(training._Lines, "step_done", stop)
        done = minires(*RUN, "--out", "a")
    assert done.returncode == code
    assert "after step 4; go on by: minires train --resume a" in done.stderr
    resumed = minires("train", "--resume", "a")
    assert resumed.returncode == 0
    assert "goes on after step 4" in resumed.stderr
    assert minires(*RUN, "--out", "whole", "--quiet").returncode == 0
    one, other = (tmp_path / name / "last.safetensors" for name in ("a", "whole"))
    assert one.read_bytes() == other.read_bytes()


def test_a_network_that_diverges_costs_code_1_and_a_sentence(minires: Minires) -> None:
    done = minires(*RUN, "--lr", "1e9", "--out", "a")
    assert done.returncode == 1
    assert "training diverged at step" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_head_is_begun_anew_for_other_classes(minires: Minires, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 1, 8, 8), np.uint8)
    np.savez(tmp_path / "three.npz", x=images, y=np.arange(60) % 3)
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    begun = ["train", *SMALL[:4], "--dataset", "three.npz", "--epochs", "1", "--weights", "a"]
    done = minires(*begun, "--freeze", "layer?.*", "--out", "b")
    assert done.returncode == 0, done.stderr
    assert "for other classes, and begun anew: fc.weight, fc.bias" in done.stderr
    other = minires("train", *SMALL, "--epochs", "1", "--width", "4", "--weights", "a")
    assert other.returncode == 2
    assert "does not fit" in other.stderr


def test_predict_can_be_asked_with_the_weights_of_a_run(minires: Minires, tmp_path: Path) -> None:
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    np.save(tmp_path / "image.npy", np.zeros((8, 8), np.uint8))
    done = minires("predict", "--weights", "a/best.safetensors", "image.npy", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == "cifar_resnet8"


def test_lr_find_suggests_a_rate_and_keeps_nothing(minires: Minires, tmp_path: Path) -> None:
    done = minires("lr-find", *SMALL, "--steps", "30")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("suggested: --lr ")
    told = json.loads(minires("lr-find", *SMALL, "--steps", "30", "--json").stdout)
    assert told["schema"] == "minires.lr-find/1"
    assert 1e-5 <= told["suggestion"] <= 10
    assert list(tmp_path.iterdir()) == []
    for options, message in (
        (["--steps", "1"], "steps must be at least 2"),
        (["--start", "0"], "must rise from above 0"),
        (["--model", "resnet21"], "--model: "),
    ):
        done = minires("lr-find", *SMALL, *options)
        assert done.returncode == 2
        assert message in done.stderr
