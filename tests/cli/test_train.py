"""minires train: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import errno
import hashlib
import inspect
import io
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minires as mr
from minires.cli import main
from minires.cli.train import run_train
from minires.training import LRCurve
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
    opening, images, _, first, second = done.stderr.splitlines()
    assert opening == f"cifar_resnet8 (1,320 parameters) on digits, in {Path('runs/a')}"
    assert images == "1,294 images of 10 classes to train, 144 to validate, 359 to test"
    assert first.startswith("epoch 1  loss ")
    assert "validation loss" in second
    assert done.stdout.startswith("test error ")
    for name in ("best.safetensors", "metrics.jsonl", "report.html"):
        assert f"{Path('runs/a', name)}" in done.stdout
        assert (tmp_path / "runs/a" / name).exists()


def test_a_single_step_of_few_images_is_told_as_one(minires: Minires, tmp_path: Path) -> None:
    three_classes(tmp_path / "three.npz")
    asked = ["train", *SMALL[:4], "--dataset", "three.npz", "--recipe", "digits", "--steps", "1"]
    done = minires(*asked, "--batch-size", "256", "--out", "a")
    assert "digits, 1 step of 48\n" in done.stderr


def test_an_early_end_is_told_where_the_result_is(minires: Minires) -> None:
    asked = ["--epochs", "30", "--lr", "1e-9", "--val-split", "0.1", "--early-stop", "1"]
    done = minires("train", *SMALL, *asked, "--schedule", "constant", "--out", "a")
    assert "; the run ended early\n" in done.stdout
    assert "of 30: no better validation in 1 epoch\n" in done.stderr


def test_lines_of_epochs_stand_in_columns_also_from_the_tenth_on_and_of_a_huge_loss(
    minires: Minires,
) -> None:
    done = minires("train", *SMALL, "--epochs", "10", "--threads", "1", "--lr", "1000")
    lines = [line for line in done.stderr.splitlines() if line.startswith("epoch")]

    assert len({line.index("  error") for line in lines}) == 1
    assert len({line.index("  lr") for line in lines}) == 1


def test_the_result_as_json_and_no_progress(minires: Minires) -> None:
    done = minires(*RUN, "--out", "a", "--json", "--quiet", "--seed", "3")
    told = json.loads(done.stdout)
    assert (told["schema"], told["folder"], told["seed"]) == ("minires.train/1", "a", 3)
    assert (told["epochs"], told["steps"], told["validation_error"]) == (2, 12, None)
    assert 0 <= told["test_error"] <= 1
    assert done.stderr == ""


def test_a_terminal_shows_a_bar_and_how_long_it_will_take(minires: Minires) -> None:
    done = minires(*RUN, "--out", "a", FORCE_COLOR="1", TERM="xterm", COLUMNS="120")
    assert done.returncode == 0
    assert re.search(r"loss \S+ +\d+ img/s +0:00:00 left", done.stderr)
    assert "img/s" not in done.stdout


def test_a_folder_is_named_where_none_is(minires: Minires, tmp_path: Path) -> None:
    assert minires(*RUN, "--quiet").returncode == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-train")


FREEZE = ["--freeze", "conv1.*", "--freeze", "bn1.*"]


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
    done = minires(*RUN, *given, "--half", "--checkpoint-blocks", *FREEZE, "--out", "a")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    for name, value in options.items():
        assert config[name.replace("-", "_")] == value, name
    assert config["half"]
    assert config["checkpoint_blocks"]
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
    bare = ("--model", "--dataset", "--resume", "--checkpoint-blocks")
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

    mine = tmp_path / "mine"
    assert f"--augmentation: the images of {mine} differ in size" in refused.stderr
    assert "--size 32" in refused.stderr
    found = minires("lr-find", *SMALL[:4], "--dataset", "mine/", "--size", "8")
    assert found.stdout.split()[:3] == ["rate", "loss", "smoothed"]
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
    (
        ["--val-split", "1.5"],
        "--val-split: expected a share from 0 to below 1, as 0.1, or a number",
    ),
    (["--val-split", "9000"], "--val-split: "),
    (["--early-stop", "3"], "--early-stop: it looks at the validation part; set --val-split"),
    (["--warm-up-lr", "0.01"], "a warm-up ends by --warm-up-steps or by --warm-up-error"),
    (["--milestones", "half"], "--milestones: expected numbers separated by commas"),
    (["--milestones", "30,60"], "--milestones: expected shares of the training, above 0 and"),
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
    (["--schedule", "steps"], "the recipes he2015-cifar, preact and wrn have some"),
    (["--normalize", "row"], "--normalize: "),
    (["--normalize", "pixel", "--augmentation", "imagenet"], "--normalize: 'pixel' needs square"),
    (["--dataset", "digit"], "--dataset: "),
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


def test_weights_that_are_not_there_are_no_wrong_value(minires: Minires, tmp_path: Path) -> None:
    done = minires(*RUN, "--weights", "none.safetensors", "--out", "runs/new")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("minires: --weights: ")
    assert "none.safetensors" in line
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
    for option in (
        ["--lr", "1"],
        ["--model", "resnet18"],
        ["--width", "2"],
        ["--out", "b"],
        ["--half"],
    ):
        done = minires("train", "--resume", "a", *option)
        assert done.returncode == 2
        assert f"{option[0]}: a run is gone on with as it was begun" in done.stderr
    assert minires("train", "--resume", "a", "--threads", "1", "--workers", "1").returncode == 0
    nowhere = minires("train", "--resume", "nowhere")
    assert nowhere.returncode == 1
    assert "minires: there is no run in 'nowhere'" in nowhere.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_run_of_a_gpu_that_is_gone_goes_on_where_it_is_told_to(
    minires: Minires, tmp_path: Path
) -> None:
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    config = tmp_path / "a" / "config.json"
    config.write_text(config.read_text().replace('"device": "cpu"', '"device": "cuda:99"'))
    assert minires("train", "--resume", "a").returncode == 0  # for it is finished
    (tmp_path / "a" / "result.json").unlink()
    gone = minires("train", "--resume", "a")
    assert gone.returncode == 2
    assert "--device: device 'cuda:99' is not available" in gone.stderr
    assert minires("train", "--resume", "a", "--device", "cpu").returncode == 0


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
    assert done.returncode == 1
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert digests(tmp_path / "a") == before


@pytest.mark.parametrize(
    ("by", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
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


def test_a_ctrl_c_before_the_run_begins_is_told(
    minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minires.training.runs.batches.get_dataset", interrupted)
    done = minires(*RUN, "--out", "a")
    assert (done.returncode, done.stderr) == (130, "minires: stopped\n")
    assert not (tmp_path / "a").exists()


def test_a_finished_run_whose_result_cannot_be_printed_is_told_so(
    minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(sys, "stdout", Full())
        done = minires(*RUN, "--out", "a", "--quiet")
    assert done.returncode == 1
    assert done.stderr == (
        "minires: the run in 'a' is finished, and its result.json is written, but could not be"
        " printed (No space left on device)\n"
    )
    assert (tmp_path / "a" / "result.json").exists()


def three_classes(path: Path, seed: int = 0) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (60, 1, 8, 8), np.uint8)
    np.savez(path, x=images, y=np.arange(60) % 3)


def test_a_run_finds_its_data_and_weights_from_any_working_directory(
    minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_classes(tmp_path / "three.npz")
    asked = ["train", *SMALL[:4], "--dataset", "three.npz", "--recipe", "digits", "--epochs", "1"]
    assert minires(*asked, "--out", "a").returncode == 0
    assert minires(*asked, "--out", "b", "--weights", "a").returncode == 0
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    assert config["dataset"] == str(tmp_path / "three.npz")
    assert config["weights"] == str(tmp_path / "a")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert minires("evaluate", "--run", "../b").returncode == 0
    (tmp_path / "b" / "result.json").unlink()
    resumed = minires("train", "--resume", "../b")
    assert resumed.returncode == 0, resumed.stderr
    assert "on three.npz, in " in resumed.stderr


def test_the_folder_of_the_data_sets_is_found_from_anywhere_and_where_it_was_moved_to(
    minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*RUN, "--root", "data", "--out", "a"]
    assert minires(*asked, "--quiet").returncode == 0
    config = tmp_path / "a" / "config.json"
    assert json.loads(config.read_text())["root"] == str(tmp_path / "data")
    (tmp_path / "a" / "result.json").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert minires("train", "--resume", "../a", "--root", "moved").returncode == 0
    assert json.loads(config.read_text())["root"] == str(tmp_path / "elsewhere" / "moved")


def test_a_data_set_that_was_moved_is_named_and_must_be_the_same(
    minires: Minires, tmp_path: Path
) -> None:
    three_classes(tmp_path / "three.npz")
    three_classes(tmp_path / "other.npz", seed=1)
    asked = ["train", *SMALL[:4], "--dataset", "three.npz", "--recipe", "digits", "--epochs", "1"]
    assert minires(*asked, "--val-split", "0.2", "--out", "a").returncode == 0
    (tmp_path / "a" / "result.json").unlink()
    (tmp_path / "three.npz").rename(tmp_path / "moved.npz")
    evaluated = ["evaluate", "--run", "a"]
    assert "there is no '" in minires(*evaluated).stderr
    assert minires(*evaluated, "--dataset", "moved.npz").returncode == 0
    for command in (evaluated, ["train", "--resume", "a"]):
        other = minires(*command, "--dataset", "other.npz")
        assert other.returncode == 1
        assert "the data set is not the one that the run began with" in other.stderr
    assert minires("train", "--resume", "a", "--dataset", "moved.npz").returncode == 0
    assert minires(*evaluated).returncode == 0


def test_a_folder_that_is_not_there_is_no_unknown_name(minires: Minires) -> None:
    done = minires("train", *SMALL[:4], "--dataset", "pictures/")
    assert done.returncode == 1
    assert "pictures'; a data set is a folder or .zip of images" in done.stderr


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(
    minires: Minires, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = minires(*RUN, "--out", "file")
    assert done.returncode == 2
    assert "--out: 'file' is a file, and a run is a folder" in done.stderr
    below = minires(*RUN, "--out", "file/a")
    assert below.returncode == 1
    assert "the folder 'file/a' cannot be made (Not a directory)" in below.stderr


def test_a_run_goes_on_when_nobody_hears_its_progress_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listened, spoken = os.pipe()
    os.close(listened)
    monkeypatch.chdir(tmp_path)
    with os.fdopen(spoken, "w", buffering=1) as stream, monkeypatch.context() as unheard:
        unheard.setattr(sys, "stderr", stream)
        assert main([*RUN, "--out", "a"]) == 0
        assert main(["train", "--resume", "nowhere"]) == 1
    assert (tmp_path / "a" / "result.json").exists()


def test_a_class_whose_name_cannot_be_printed_is_told_before_the_training(
    minires: Minires, tmp_path: Path
) -> None:
    for name in ("cat", "do\tg"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(5):
            image = Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8))
            image.save(tmp_path / "mine" / name / f"{number}.png")
    done = minires("train", *SMALL[:4], "--dataset", "mine/", "--size", "8", "--out", "a")

    assert done.returncode == 2
    assert "--dataset: its classes: a name has characters that cannot be printed" in done.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_images_that_are_gone_cost_a_sentence_and_the_run_goes_on_when_they_are_back(
    workers: str, minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minires.cli import training

    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        for number in range(5):
            image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
            image.save(tmp_path / "mine" / name / f"{number}.png")

    def take_away(self: Any, line: Any) -> None:
        if line.epoch == 1:
            (tmp_path / "mine").rename(tmp_path / "gone")

    asked = ["train", *SMALL[:4], "--dataset", "mine/", "--size", "8", "--workers", workers]
    with monkeypatch.context() as taking:
        taking.setattr(training._Lines, "epoch_done", take_away)
        done = minires(*asked, "--epochs", "2", "--out", "a")

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("minires: sample ")
    assert "No such file" in last
    assert last.endswith("put the image right, then minires train --resume a goes on from it")
    (tmp_path / "gone").rename(tmp_path / "mine")
    assert minires("train", "--resume", "a").returncode == 0


@pytest.mark.parametrize("size", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_processes_that_would_all_train_the_whole_run_are_refused(
    size: str, minires: Minires, tmp_path: Path
) -> None:
    done = minires(*RUN, "--out", "a", **{size: "2"})
    assert done.returncode == 2
    assert "mpiexec started 2 processes" in done.stderr
    assert "--distributed" in done.stderr
    assert not (tmp_path / "a").exists()
    other = minires(*RUN, "--out", "a", **{size: "2", size.replace("SIZE", "RANK"): "1"})
    assert (other.returncode, other.stdout, other.stderr) == (2, "", "")
    assert minires(*RUN, "--epochs", "0", **{size.replace("SIZE", "RANK"): "1"}).stderr == ""
    assert "without mpiexec" in minires("lr-find", *SMALL, **{size: "2"}).stderr
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    assert "without mpiexec" in minires("train", "--resume", "a", **{size: "2"}).stderr


@pytest.mark.parametrize(
    ("ranks", "advice"),
    [
        (1, "minires train --resume 'runs/a b'"),
        (2, "mpiexec -n 2 minires train --resume 'runs/a b'"),
    ],
)
def test_the_advice_can_be_pasted_into_a_shell(ranks: int, advice: str) -> None:
    from minires.cli.train import _how_to_go_on

    assert _how_to_go_on(Path("runs/a b"), ranks) == advice


def test_a_network_that_diverges_costs_code_1_and_a_sentence(minires: Minires) -> None:
    done = minires(*RUN, "--lr", "1e9", "--out", "a")
    assert done.returncode == 1
    assert "training diverged at step" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_head_is_begun_anew_for_other_classes(minires: Minires, tmp_path: Path) -> None:
    three_classes(tmp_path / "three.npz")
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    begun = ["train", *SMALL[:4], "--dataset", "three.npz", "--epochs", "1", "--weights", "a"]
    done = minires(*begun, "--freeze", "layer?.*", "--out", "b")
    assert done.returncode == 0, done.stderr
    assert "the classes are others, so fc.weight and fc.bias begin anew" in done.stderr
    other = minires("train", *SMALL, "--epochs", "1", "--width", "4", "--weights", "a")
    assert other.returncode == 1
    assert "does not fit this network: it is of --model cifar_resnet8 --width 2\n" in other.stderr
    assert "dialect" not in other.stderr


def test_predict_can_be_asked_with_the_weights_of_a_run(minires: Minires, tmp_path: Path) -> None:
    assert minires(*RUN, "--out", "a", "--quiet").returncode == 0
    np.save(tmp_path / "image.npy", np.zeros((8, 8), np.uint8))
    for weights in ("a/best.safetensors", "a"):
        done = minires("predict", "--weights", weights, "image.npy", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["model"] == "cifar_resnet8"
    none = minires("predict", "--weights", tmp_path, "image.npy")
    assert none.returncode == 2
    assert "best.safetensors" in none.stderr
    folder = minires("predict", "--weights", "a", "image.npy", "a")
    assert folder.returncode == 2
    assert "minires: a: it is a folder; name the pictures in it, as a/*" in folder.stderr


def test_lr_find_suggests_a_rate_and_keeps_nothing(minires: Minires, tmp_path: Path) -> None:
    done = minires("lr-find", *SMALL, "--steps", "30")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("suggested: --lr ")
    told = json.loads(minires("lr-find", *SMALL, "--steps", "30", "--json").stdout)
    assert told["schema"] == "minires.lr-find/1"
    assert 1e-5 <= told["suggestion"] <= 10
    assert list(tmp_path.iterdir()) == []
    channel, pixel = (
        minires("lr-find", *SMALL, "--steps", "10", "--normalize", each).stdout
        for each in ("channel", "pixel")
    )
    assert channel != pixel
    none = minires("lr-find", *SMALL, "--start", "1e-9", "--end", "1e-7", "--steps", "10")
    assert (none.returncode, "suggested" in none.stdout) == (1, False)
    assert "no rate is suggested: from 1e-09 to 1e-07 the loss did not fall, or by" in none.stderr
    for options, message in (
        (["--steps", "9"], "steps must be at least 10, found 9"),
        (["--val-split", "some"], "--val-split: expected a number"),
        (["--freeze", "stem"], "--freeze: no parameter matches 'stem'"),
        (["--start", "0"], "must rise from above 0"),
        (["--model", "resnet21"], "--model: "),
    ):
        done = minires("lr-find", *SMALL, *options)
        assert done.returncode == 2
        assert message in done.stderr


def test_lr_find_takes_steps_as_train_does(
    minires: Minires, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minires.training.runs import making

    taken: list[Any] = []

    def found(model: Any, optimizer: Any, loader: Any, **options: Any) -> LRCurve:
        taken.append((model, optimizer, loader))
        return LRCurve([0.1] * 90, [2.0] * 90, [2.0] * 90, 0.1)

    monkeypatch.setattr(making, "lr_find", found)
    begun = ["--weights", "cifar_resnet20_digits", "--freeze", "conv1.*", "--freeze", "layer1.*"]
    done = minires(
        *("lr-find", "--model", "cifar_resnet20", "--dataset", "digits", *begun),
        *("--dtype", "float64", "--augmentation", "crop-flip", "--momentum", "0.5", "--nesterov"),
        *("--weight-decay", "0.25", "--val-split", "100", "--batch-size", "50", "--workers", "1"),
        MINIRES_HOME=str(tmp_path),
    )

    assert (done.returncode, done.stderr) == (0, "")
    *_, shown, suggested = done.stdout.splitlines()
    assert shown == (
        "23 of 90 steps are shown, all of them by --json;"
        " the other 10 were not taken, for the loss had blown up"
    )
    assert suggested == "suggested: --lr 0.1"
    ((model, optimizer, loader),) = taken
    trained, _ = mr.models.pretrained("cifar_resnet20_digits")
    assert (model.fc.weight.numpy() == trained.fc.weight.numpy()).all()
    frozen = {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "layer1"}
    assert model.fc.weight.dtype == np.float64
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.5, True, 0.25)
    assert (len(loader.dataset), loader.batch_size, loader.num_workers) == (1338, 50, 1)
    assert "RandomHorizontalFlip" in repr(loader.transform)


def test_lr_find_tells_of_an_image_that_cannot_be_read(
    minires: Minires, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minires.data import WorkerError
    from minires.training.runs import making

    def broken(*arguments: Any, **options: Any) -> None:
        raise WorkerError("sample 3 could not be made")

    monkeypatch.setattr(making, "lr_find", broken)
    done = minires("lr-find", *SMALL)
    assert (done.returncode, done.stderr) == (1, "minires: sample 3 could not be made\n")


def test_a_run_whose_loss_blew_up_says_so_at_its_end(minires: Minires) -> None:
    done = minires("train", *SMALL, "--epochs", "1", "--threads", "1", "--lr", "30", "-q")

    assert done.returncode == 0
    assert done.stderr.startswith("minires: The training goes the wrong way: it diverges. ")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--accumulate", "500"], "--accumulate: a batch of 256 images cannot be cut into 500"),
        (["--cutout", "9"], "--cutout: a square of 9 pixels is larger than the images, which are"),
        (["--allow-reshard"], "--allow-reshard: it is for --resume"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: list[str], told: str, minires: Minires) -> None:
    done = minires(*RUN, *options)

    assert done.returncode == 2
    assert told in done.stderr


def test_options_that_do_nothing_beside_others_are_told(minires: Minires) -> None:
    named = {"milestones": "0.5", "gamma": "0.3", "patience": "7", "crop-padding": "3"}
    options = [word for name, value in named.items() for word in (f"--{name}", value)]
    options += ["--crop-padding-mode", "reflect"]
    small = ["train", *SMALL, "--epochs", "1", "--threads", "1", "--quiet"]
    done = minires(*small, *options)
    silent = minires(*small, "--recipe", "wrn", "--schedule", "cosine", "--augmentation", "none")

    assert (done.returncode, silent.returncode) == (0, 0)
    told = done.stderr.splitlines()
    assert len(told) == 5
    for line, name in zip(told, (*named, "crop padding mode"), strict=True):
        assert f"nothing is done with {name.replace('-', ' ')}, for the " in line
    assert silent.stderr == "", "what the recipe says nobody has named"


def test_a_warm_up_that_is_longer_than_the_training_is_told(minires: Minires) -> None:
    options = ["--recipe", "preact", "--augmentation", "none", "--epochs", "1", "--threads", "1"]
    done = minires("train", *SMALL, *options, "--quiet")

    assert done.returncode == 0
    told = "takes 400 steps, and the training only 6: the rate stays at 0.01"
    assert told in done.stderr


def test_images_that_are_no_squares_are_told_to_be_asked_about_by_squares(
    minires: Minires, tmp_path: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 12), np.uint8)
    np.savez(tmp_path / "wide.npz", x=images, y=np.arange(60) % 3)
    asked = ["train", *SMALL[:4], "--dataset", "wide.npz", "--recipe", "digits", "--epochs", "1"]

    assert "the images are 8x12" in minires(*asked, "--quiet").stderr
    assert "the images are" not in minires(*asked, "--quiet", "--size", "8").stderr


def test_what_can_hardly_be_meant_is_told(minires: Minires) -> None:
    options = ["--epochs", "1", "--batch-size", "2000", "--threads", "999", "--root", "nowhere"]
    done = minires("train", *SMALL, *options, "--quiet")

    assert done.returncode == 0
    batch, threads, root = done.stderr.splitlines()
    assert "1,438 images to train on, fewer than a batch of 2,000" in batch
    assert "999 threads share" in threads
    assert "digits is not looked for in " in root
