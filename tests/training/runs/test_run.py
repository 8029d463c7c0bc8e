from __future__ import annotations

import errno
import json
import math
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import DivergedError, trainer
from minires.training.distributed import DistributedError
from minires.training.runs import (
    CheckpointError,
    ConfigError,
    RunError,
    StoppedError,
    course,
    load_run,
    read_config,
    read_metrics,
    read_result,
    train,
    write_config,
    write_report,
)
from minires.training.runs.checkpoint import (
    read_checkpoint,
    read_circumstances,
    write_checkpoint,
)
from minires.training.runs.evaluation import evaluate_runs
from minires.training.runs.making import made_model
from minires.training.runs.resuming import decisive

from ..distributed.ranks import ThreadRank, on_ranks
from .conftest import Watched, a_config, digests

Stopped = Callable[..., Path]


def test_a_run_leaves_its_configuration_log_weights_and_result(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    weights = {"last.safetensors", "last.json", "best.safetensors", "best.json"}
    assert weights | {"config.json", "metrics.jsonl", "metrics.csv", "result.json"} <= names
    metrics = read_metrics(whole)
    assert [line.step for line in metrics.steps] == list(range(1, 16))
    assert [(line.epoch, line.step) for line in metrics.epochs] == [(1, 5), (2, 10), (3, 15)]
    assert metrics.test is not None
    assert np.sum(metrics.test.confusion) == 359
    mistakes = np.sum(metrics.test.confusion) - np.trace(metrics.test.confusion)
    assert metrics.test.error == pytest.approx(mistakes / 359)
    assert read_config(whole) == a_config()


def test_epochs_are_means_over_their_steps(whole: Path) -> None:
    metrics = read_metrics(whole)
    steps = [line for line in metrics.steps if line.epoch == 2]
    images = sum(line.images for line in steps)
    assert images == 1438 - 216  # 15 % of the training part are kept for validation
    expected = sum(line.loss * line.images for line in steps) / images
    assert metrics.epochs[1].train_loss == pytest.approx(expected)


# The first step, within an epoch, the last one of an epoch, the first one after, the very last.
@pytest.mark.parametrize(
    ("step", "by"),
    [
        (1, signal.SIGTERM),
        (3, signal.SIGINT),
        (5, signal.SIGTERM),
        (6, signal.SIGINT),
        (15, signal.SIGTERM),
    ],
)
def test_a_run_that_was_stopped_comes_to_the_same_bytes(
    step: int, by: int, stopped: Stopped, whole: Path
) -> None:
    folder = stopped(step, by)
    watcher = Watched()
    train(read_config(folder), folder, resume=True, watcher=watcher)
    assert watcher.steps == list(range(step + 1, 16))
    for name in ("last.safetensors", "best.safetensors", "config.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    assert read_metrics(folder).steps == read_metrics(whole).steps
    assert read_metrics(folder).test == read_metrics(whole).test


@pytest.mark.usefixtures("device")
def test_a_run_that_was_stopped_on_a_gpu_comes_to_the_same_bytes(
    stopped: Stopped, tmp_path: Path
) -> None:
    """There losses are read late: at a checkpoint, and at the end of an epoch."""
    options = {"device": "cuda", "epochs": 2, "ema": 0.9, "clip": 1.0, "checkpoint_steps": 4}
    train(a_config(**options), tmp_path / "run")
    folder = stopped(7, **options)
    train(read_config(folder), folder, resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    assert read_metrics(folder).steps == read_metrics(tmp_path / "run").steps


@pytest.mark.parametrize("option", [{"warm_up_error": 0.99}, {"warm_up_steps": 8}])
def test_a_warm_up_goes_on_where_it_was_stopped(
    option: dict[str, Any], stopped: Stopped, tmp_path: Path
) -> None:
    options = {"warm_up_lr": 0.01, "epochs": 2, **option}
    train(a_config(**options), tmp_path / "run")
    folder = stopped(7, **options)
    train(read_config(folder), folder, resume=True)
    assert read_metrics(folder).steps == read_metrics(tmp_path / "run").steps
    rates = [line.lr for line in read_metrics(folder).steps]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates[5:]) > 0.04, "it is over"


def test_another_seed_comes_to_other_bytes(tmp_path: Path, whole: Path) -> None:
    train(a_config(seed=1), tmp_path / "run")
    name = "last.safetensors"
    assert (tmp_path / "run" / name).read_bytes() != (whole / name).read_bytes()


def test_a_signal_writes_a_checkpoint_and_tells_the_exit_code(tmp_path: Path) -> None:
    for by, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        folder = tmp_path / str(code)
        with pytest.raises(StoppedError) as raised:
            train(a_config(), folder, watcher=Watched(stop_after=7, by=by))
        assert (raised.value.exit_code, raised.value.step) == (code, 7)
        assert read_checkpoint(folder / "last.safetensors")["step"] == 7
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_state_has_no_time_path_or_host(whole: Path) -> None:
    header = (whole / "last.safetensors").read_bytes()[:100_000]
    assert str(whole).encode() not in header
    for word in (b'seconds": 0.0', b'"history": {}'):
        assert word.replace(b'"', b'\\"') in header


def test_going_on_with_a_finished_run_changes_nothing(whole: Path) -> None:
    before = digests(whole)
    watcher = Watched()
    train(read_config(whole), whole, resume=True, watcher=watcher)
    assert digests(whole) == before
    assert watcher.steps == []
    assert "finished" in watcher.notes[0]


def test_a_run_is_not_overwritten(whole: Path) -> None:
    before = digests(whole)
    with pytest.raises(FileExistsError, match="--resume"):
        train(a_config(), whole)
    assert digests(whole) == before


def test_two_processes_cannot_train_in_one_folder(stopped: Stopped) -> None:
    fcntl = pytest.importorskip("fcntl")
    folder = stopped(3)
    before = digests(folder)
    other = os.open(folder, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(RunError, match="another process is training in"):
        train(read_config(folder), folder, resume=True)
    assert digests(folder) == before
    os.close(other)
    assert train(read_config(folder), folder, resume=True).steps == 15


def test_a_run_without_a_checkpoint_begins_again(stopped: Stopped, whole: Path) -> None:
    folder = stopped(6)  # as if killed between the first epoch's line and its checkpoint
    for name in ("last.safetensors", "last.json", "best.safetensors", "best.json"):
        (folder / name).unlink()
    log = folder / "metrics.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:6]))
    assert [line.epoch for line in read_metrics(folder).epochs] == [1]
    watcher = Watched()
    train(read_config(folder), folder, resume=True, watcher=watcher)
    assert watcher.steps[0] == 1
    name = "last.safetensors"
    assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert "begins again" in watcher.notes[0]


@pytest.mark.parametrize("heard", [(None, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_ranks_that_hear_other_signals_end_with_one_code(
    heard: tuple[int | None, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(heard)

    def noted() -> Any:
        return nullcontext(SimpleNamespace(number=left.pop()))

    def codes(rank: ThreadRank) -> int:
        with pytest.raises(StoppedError) as told:
            train(a_config(distributed=True), tmp_path / "run", communicator=rank)
        return told.value.exit_code

    monkeypatch.setattr(course, "noted_stops", noted)
    assert on_ranks(2, codes) == [130, 130]


def test_where_the_data_sets_are_is_kept_for_a_shell_without_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots: list[str | None] = []

    def found(name: str, root: str | None) -> Any:
        roots.append(root)
        return mr.data.get_dataset("digits")

    monkeypatch.setattr("minires.training.runs.batches.get_dataset", found)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIRES_DATA", "here")
    folder, config = tmp_path / "run", a_config(dataset="mnist")
    with pytest.raises(StoppedError):
        train(config, folder, watcher=Watched(2))
    assert read_config(folder).root == str(tmp_path / "here")
    monkeypatch.delenv("MINIRES_DATA")
    train(read_config(folder), folder, resume=True)
    assert roots == [str(tmp_path / "here")] * 2
    assert decisive(read_config(folder)) == decisive(config)


def test_a_folder_that_is_taken_is_the_same_mistake_on_every_rank(
    whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    before = digests(whole)

    def begun_in(folder: Path) -> Callable[[ThreadRank], str]:
        def begun(rank: ThreadRank) -> str:
            with pytest.raises(FileExistsError) as told:
                train(a_config(distributed=True), folder, communicator=rank)
            return str(told.value)

        return begun

    for told in on_ranks(2, begun_in(whole)):
        assert told.startswith("there is a run in")
    for told in on_ranks(2, begun_in(tmp_path / "file")):
        assert told.endswith("is a file, and a run is a folder")
    assert digests(whole) == before


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (3, {"config.json", "metrics.jsonl", "last.json"}),
        (12, {"config.json", "metrics.jsonl"}),
        (12, {"config.json", "metrics.jsonl", "best.safetensors", "best.json"}),
        (12, {"config.json", "best.safetensors", "best.json"}),
        (12, {"config.json", "step-00000005.safetensors", "step-00000010.safetensors"}),
    ],
)
def test_a_run_whose_checkpoint_is_lost_does_not_begin_again(
    stop: int, left: set[str], stopped: Stopped
) -> None:
    folder = stopped(stop, keep=3)
    for path in folder.iterdir():
        if path.name not in left:
            path.unlink()
    before = digests(folder)
    assert set(before) == left
    with pytest.raises(CheckpointError, match=r"last\.safetensors' is gone; bring it back") as told:
        train(read_config(folder), folder, resume=True)
    kept = any(name.startswith("step-") for name in left)
    assert ("rename step-00000010.safetensors to last.safetensors" in str(told.value)) == kept
    assert digests(folder) == before


def test_a_run_killed_behind_its_first_checkpoint_goes_on(stopped: Stopped, whole: Path) -> None:
    folder = stopped(5)
    (folder / "last.json").unlink()
    assert not (folder / "best.json").exists()
    (folder / "best.safetensors").write_bytes(b"without its card")
    (folder / ".last.safetensors.0123456789ab.tmp").write_bytes(b"torn")
    train(read_config(folder), folder, resume=True)
    name = "last.safetensors"
    assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert not list(folder.glob(".*.tmp"))


def test_other_threads_are_told_of(stopped: Stopped) -> None:
    folder = stopped(3)
    watcher = Watched()
    train(read_config(folder).changed(threads=2), folder, resume=True, watcher=watcher)
    assert any("threads: was 1, is now 2; from here on, bits may" in note for note in watcher.notes)


def test_nothing_is_noted_of_a_checkpoint_that_is_refused(stopped: Stopped) -> None:
    folder = stopped(3)
    state = read_checkpoint(folder / "last.safetensors")
    state["ranks"] = {"random": [state["random"]] * 2, "buffers": {}}
    write_checkpoint(folder, state, read_circumstances(folder))
    watcher = Watched()
    with pytest.raises(DistributedError, match="mpiexec -n 2"):
        train(read_config(folder).changed(threads=2), folder, resume=True, watcher=watcher)
    assert watcher.notes == []


def test_other_data_are_refused_even_if_only_the_weights_are_left(
    stopped: Stopped, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    images, data = rng.integers(0, 256, (60, 1, 8, 8), np.uint8), tmp_path / "images.npz"
    np.savez(data, x=images, y=np.arange(60) % 3)
    folder = stopped(2, dataset=str(data), batch_size=16)
    (folder / "last.json").unlink()
    images[0, 0, 0, 0] ^= 1
    np.savez(data, x=images, y=np.arange(60) % 3)
    before = digests(folder)
    with pytest.raises(CheckpointError, match="data set is not the one that the run began with"):
        train(read_config(folder), folder, resume=True)
    assert digests(folder) == before


def test_a_checkpoint_of_another_configuration_is_refused(stopped: Stopped) -> None:
    folder = stopped(3)
    before = digests(folder)
    for changed, told in (
        ({"model": "cifar_resnet14"}, "model 'cifar_resnet8'"),
        ({"model_options": {"width": 4}}, "model_options"),
        ({"lr": 0.2}, "lr 0.1"),
    ):
        with pytest.raises(CheckpointError, match=told):
            train(read_config(folder).changed(**changed), folder, resume=True)
    (folder / "last.safetensors").unlink()
    del before["last.safetensors"]
    with pytest.raises(CheckpointError, match=r"config\.json' is of a run with lr 0.1, not 0.2"):
        train(read_config(folder).changed(lr=0.2), folder, resume=True)
    assert digests(folder) == before


def test_an_edited_configuration_is_told_from_its_checkpoint(stopped: Stopped) -> None:
    folder = stopped(3)
    write_config(read_config(folder).changed(lr=0.2), folder)
    with pytest.raises(CheckpointError, match=r"last\.safetensors' is of a run with lr 0.1"):
        train(read_config(folder), folder, resume=True)


@pytest.mark.parametrize("name", ["best.safetensors", "best.json"])
@pytest.mark.parametrize("gone", [True, False])
def test_best_weights_that_could_not_be_tested_are_told_before_training_goes_on(
    name: str, gone: bool, stopped: Stopped
) -> None:
    folder = stopped(8)
    path = folder / name
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    before = digests(folder)
    with pytest.raises(CheckpointError, match=rf"{name}.*bring the file back"):
        train(read_config(folder), folder, resume=True)
    assert digests(folder) == before


def test_weights_that_were_not_the_best_are_not_tested_as_if_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(a_config(), folder)
    (folder / "result.json").unlink()
    log = folder / "metrics.jsonl"
    error = read_metrics(folder).epochs[0].validation_error
    log.write_text(log.read_text().replace(f'"validation_error": {error}', '"validation_error": 0'))
    with pytest.raises(CheckpointError, match="those after step 5 were best"):
        train(read_config(folder), folder, resume=True)
    assert read_result(folder) is None


def test_a_kill_between_a_checkpoint_and_the_best_weights_loses_neither(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*arguments: object, **options: object) -> None:
        raise KilledError

    folder = tmp_path / "run"
    monkeypatch.setattr(course, "write_best", killed)
    with pytest.raises(KilledError):
        train(a_config(), folder)
    monkeypatch.undo()
    assert read_checkpoint(folder / "last.safetensors")["epoch"] == 1
    assert not (folder / "best.safetensors").exists()
    train(read_config(folder), folder, resume=True)
    for name in ("last.safetensors", "best.safetensors", "best.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("moment", ["load_weights", "evaluate", "write_result"])
def test_a_kill_between_the_early_stop_and_the_result_changes_neither(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*arguments: object, **options: object) -> None:
        raise KilledError

    config = a_config(lr=1e-9, schedule="constant", early_stop=1, precise_bn=2, ema=0.9)
    expected = train(config, tmp_path / "run")
    folder, watcher = tmp_path / "killed", Watched()
    monkeypatch.setattr(course, moment, killed)
    with pytest.raises(KilledError):
        train(config, folder)
    monkeypatch.undo()
    found = train(config, folder, resume=True, watcher=watcher)
    assert watcher.steps == []
    assert replace(found, seconds=0) == replace(expected, seconds=0)
    for name in ("last.safetensors", "best.safetensors", "best.json"):
        assert (folder / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    assert (folder / "metrics.jsonl").read_text().count('"kind": "test"') == 1


def test_a_signal_during_validation_stops_after_it_and_one_during_the_test_lets_it_end(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    for where, stops in ((trainer, True), (course, False)):
        measured = where.evaluate

        def signalled(*arguments: Any, measured: Any = measured, **options: Any) -> Any:
            os.kill(os.getpid(), signal.SIGTERM)
            return measured(*arguments, **options)

        with monkeypatch.context() as signals:
            signals.setattr(where, "evaluate", signalled)
            if stops:
                with pytest.raises(StoppedError, match="after step 5"):
                    train(a_config(), folder)
                assert len(read_metrics(folder).epochs) == 1
            else:
                train(read_config(folder), folder, resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert read_metrics(folder).test == read_metrics(whole).test


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_loss_outside_of_training_that_is_no_number_is_told(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = trainer if part == "validation" else course
    measured = where.evaluate

    def overflowing(*arguments: Any, **options: Any) -> Any:
        return measured(*arguments, **options)._replace(loss=math.inf)

    monkeypatch.setattr(where, "evaluate", overflowing)
    folder = tmp_path / "run"
    with pytest.raises(DivergedError, match=f"the {part} loss is not finite"):
        train(a_config(epochs=1), folder)
    assert "diverged" in (folder / "report.html").read_text()
    monkeypatch.undo()
    assert train(read_config(folder), folder, resume=True).steps == 5


@pytest.mark.parametrize("name", ["last.safetensors", "metrics.jsonl", "config.json"])
def test_a_file_that_was_damaged_is_told_and_nothing_is_changed(
    name: str, stopped: Stopped
) -> None:
    folder = stopped(6)
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = digests(folder)
    with pytest.raises(ValueError, match=name):
        train(read_config(folder), folder, resume=True)
    assert digests(folder) == before


def test_a_new_folder_is_gone_if_the_run_cannot_begin(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "new"
    for options, told in (
        ({"val_split": 5000}, "val_split: "),
        ({"freeze": ("stem.*",)}, r"freeze: no parameter matches 'stem\.\*'.* conv1"),
        ({"freeze": ("*",)}, "freeze: every parameter"),
        ({"model_options": {"breadth": 2}}, "model: .*breadth"),
        ({"weights": str(tmp_path / "none.safetensors")}, "weights: .*none.safetensors"),
        ({"augmentation": "crop", "crop_padding": 1, "weights": str(tmp_path)}, "weights: "),
    ):
        with pytest.raises(RunError, match=told):
            train(a_config(**options), folder)
        assert not (tmp_path / "runs").exists()
    with pytest.raises(OSError, match="mnist"):
        train(a_config().changed(dataset="mnist", root=str(tmp_path)), folder)
    assert not (tmp_path / "runs").exists()


def test_a_network_that_diverges_keeps_its_last_finite_weights(tmp_path: Path) -> None:
    # The first to notice may be a loss, the validation, or a checkpoint.
    config = a_config(lr=1e4, schedule="constant", checkpoint_steps=1)
    with pytest.raises((DivergedError, RunError)):
        train(config, tmp_path / "run")
    state = read_checkpoint(tmp_path / "run" / "last.safetensors")
    assert state["step"] > 0
    assert all(np.isfinite(value).all() for value in state["model"].values())
    losses = [line.loss for line in read_metrics(tmp_path / "run").steps]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(("val_split", "part"), [(0.2, "validation"), (0, "test")])
def test_a_last_step_that_diverges_is_told_by_what_comes_after_it(
    tmp_path: Path, val_split: float, part: str
) -> None:
    asked = a_config(epochs=None, steps=1, lr=1e30, schedule="constant", val_split=val_split)

    for resume in (False, True):
        with pytest.raises(DivergedError, match=f"the {part} loss is not finite"):
            train(asked, tmp_path / "run", resume=resume)
    assert "The training diverged" in (tmp_path / "run" / "report.html").read_text()
    assert read_result(tmp_path / "run") is None


def test_weights_that_are_no_numbers_do_not_take_the_place_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = mr.optim.SGD.step

    def overflowing(self: mr.optim.SGD) -> None:
        taken(self)
        if counted.append(1) or len(counted) == 5:  # the last step of an epoch
            self.param_groups[0]["params"][0].data[...] = np.inf

    counted: list[int] = []
    monkeypatch.setattr(mr.optim.SGD, "step", overflowing)
    folder = tmp_path / "run"
    with pytest.raises(DivergedError, match=r"by step 5 .*some weights are not finite"):
        train(a_config(val_split=0, steps=5, epochs=None, checkpoint_steps=1), folder)
    assert read_checkpoint(folder / "last.safetensors")["step"] == 4
    assert not (folder / "best.safetensors").exists()


@pytest.mark.parametrize("room", [5, 13, 25, 34, 41])
def test_a_full_disk_leaves_the_checkpoint_before(
    room: int, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real, writes = tmp_path / "run", os.fsync, []

    def full_after_a_while(descriptor: int) -> None:
        writes.append(descriptor)
        if len(writes) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full_after_a_while)
        with pytest.raises(OSError, match=r"No space left on device") as told:
            train(a_config(), folder)
    last = folder / "last.safetensors"
    assert ("the last checkpoint is whole" in str(told.value)) == last.exists()
    assert not last.exists() or read_checkpoint(last)["step"] in (5, 10, 15)
    train(read_config(folder), folder, resume=True)
    name = "last.safetensors"
    assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert read_metrics(folder).steps == read_metrics(whole).steps


def test_blocks_that_are_computed_twice_come_to_the_same_bytes(tmp_path: Path, whole: Path) -> None:
    config = a_config(checkpoint_blocks=True)
    model = made_model(config, classes=10, channels=1, size=(8, 8))
    assert sum("forward" in vars(module) for module in model.modules()) == 3
    train(config, tmp_path / "run")
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes()


def test_averaged_weights_are_measured_and_kept(tmp_path: Path, stopped: Stopped) -> None:
    train(a_config(ema=0.9), tmp_path / "run")
    state = read_checkpoint(tmp_path / "run" / "last.safetensors")
    best = mr.load(tmp_path / "run" / "best.safetensors")
    name = "layer1.0.conv1.weight"
    assert not (best[name] == state["model"][name]).all()
    if read_metrics(tmp_path / "run").test.epoch == 3:
        assert (best[name] == state["ema"]["averages"][name]).all()
    folder = stopped(7, ema=0.9)
    train(read_config(folder), folder, resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_everything_that_a_step_may_have_goes_on_to_the_same_bytes(
    tmp_path: Path, stopped: Stopped
) -> None:
    everything = {
        "mixup": 0.4,
        "cutout": 2,
        "label_smoothing": 0.1,
        "clip": 1.0,
        "accumulate": 2,
        "ema": 0.99,
        "workers": 1,
        "augmentation": "crop-flip",
        "schedule": "plateau",
        "patience": 1,
    }
    train(a_config(**everything), tmp_path / "run")
    folder = stopped(8, **everything)
    train(read_config(folder).changed(workers=2), folder, resume=True)
    for name in ("last.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_the_best_weights_are_those_of_the_lowest_validation_error(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = train(a_config(epochs=6, lr=0.5, schedule="constant"), folder)
    errors = [line.validation_error for line in read_metrics(folder).epochs]
    assert result.validation_error == min(errors)
    assert result.best_epoch == errors.index(min(errors)) + 1 or errors.count(min(errors)) > 1
    card = json.loads((folder / "best.json").read_text())
    assert card["training"]["epoch"] == result.best_epoch


def test_it_stops_early_after_so_many_epochs_without_progress(tmp_path: Path) -> None:
    config, watcher = a_config(epochs=30, lr=1e-9, schedule="constant", early_stop=2), Watched()
    result = train(config, tmp_path / "run", watcher=watcher)
    assert result.epochs == result.best_epoch + 2 < 30
    assert result.stopped_early
    told = f"ended early, after epoch {result.epochs} of 30: no better validation in 2 epochs"
    assert told in watcher.notes[-1]
    assert told in (tmp_path / "run" / "report.html").read_text()


def test_a_run_that_was_trained_for_as_long_as_it_was_asked_to_did_not_end_early(
    tmp_path: Path,
) -> None:
    config = a_config(epochs=None, steps=7, lr=1e-9, schedule="constant", early_stop=1)
    assert not train(config, tmp_path / "run").stopped_early


def test_a_training_may_end_within_an_epoch(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = train(a_config(epochs=None, steps=7), folder)
    assert (result.steps, result.epochs) == (7, 2)
    assert [line.step for line in read_metrics(folder).epochs] == [5, 7]
    again = tmp_path / "again"
    with pytest.raises(StoppedError):
        train(a_config(epochs=None, steps=7), again, watcher=Watched(stop_after=6))
    train(read_config(again), again, resume=True)
    name = "last.safetensors"
    assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_without_a_validation_part_the_last_epoch_counts(tmp_path: Path) -> None:
    result = train(a_config(epochs=2, val_split=0), tmp_path / "run")
    assert (result.best_epoch, result.validation_error) == (2, None)
    best, _ = load_run(tmp_path / "run", "best")
    last, _ = load_run(tmp_path / "run", "last")
    for name, value in best.state_dict().items():
        assert (value.numpy() == last.state_dict()[name].numpy()).all()


def test_checkpoints_within_epochs_and_the_last_ones_of_them(tmp_path: Path) -> None:
    train(a_config(epochs=2, checkpoint_steps=2, keep=3), tmp_path / "run")
    kept = sorted(path.name for path in (tmp_path / "run").glob("step-*"))
    assert kept == [f"step-{step:08d}.safetensors" for step in (6, 8, 10)]


def test_double_precision_is_kept_from_images_to_weights(tmp_path: Path) -> None:
    train(a_config(epochs=1, dtype="float64"), tmp_path / "run")
    model, _ = load_run(tmp_path / "run")
    last, _ = load_run(tmp_path / "run", "last")
    for one, other in zip(model.parameters(), last.parameters(), strict=True):
        assert one.numpy().dtype == np.float64
        assert (one.numpy() == other.numpy()).all()


def test_half_the_space_for_the_best_weights(tmp_path: Path) -> None:
    train(a_config(epochs=1, half=True), tmp_path / "run")
    weights = mr.load(tmp_path / "run" / "best.safetensors")
    assert weights["conv1.weight"].dtype == np.float16
    model, _ = load_run(tmp_path / "run")
    assert model.state_dict()["conv1.weight"].numpy().dtype == np.float32


def test_what_float16_cannot_hold_is_kept_and_the_weights_that_are_kept_are_tested(
    tmp_path: Path,
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 3)
    large = mr.models.create("cifar_resnet8", seed=0, in_channels=1, num_classes=3, width=2)
    large.conv1.weight.copy_(1000 * large.conv1.weight.numpy())
    mr.save(large.state_dict(), tmp_path / "large.safetensors")
    begun = {
        "dataset": str(tmp_path / "images.npz"),
        "weights": str(tmp_path / "large.safetensors"),
    }
    for precise_bn in (0, 2):
        folder = tmp_path / f"run{precise_bn}"
        config = a_config(**begun, epochs=1, lr=1e-6, half=True, precise_bn=precise_bn)
        result = train(config, folder)

        kept = mr.load(folder / "best.safetensors")
        assert kept["bn1.running_var"].max() > 65_504
        kinds = {name: kept[name].dtype for name in ("bn1.running_var", "bn1.running_mean")}
        assert kinds == {"bn1.running_var": np.float32, "bn1.running_mean": np.float16}
        (score,) = evaluate_runs([folder])
        assert score.loss == pytest.approx(result.test_loss, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model_options": {"num_classes": 3}}, "model_options: 'num_classes' does not belong"),
        ({"model_options": {"seed": 3}}, "model_options: 'seed' does not belong"),
        ({"crop_padding": 8, "crop_padding_mode": "reflect"}, "crop_padding: 8 pixels cannot be"),
    ],
)
def test_what_would_fail_after_an_epoch_is_refused_before_it(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        train(a_config(**options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "is_alone"),
    [
        ({"batch_size": 16}, True),
        ({"batch_size": 13}, False),
        ({"batch_size": 48}, True),
        ({"batch_size": 16, "epochs": None, "steps": 3}, False),
        ({"batch_size": 13, "accumulate": 5}, False),
        ({"batch_size": 13, "accumulate": 13}, True),
        ({"batch_size": 47, "accumulate": 2}, True),
    ],
)
def test_an_image_that_is_left_alone_is_told_before_the_training(
    options: dict[str, Any], is_alone: bool
) -> None:
    config = a_config(**options).changed(model="resnet18", model_options={})
    asked = {"classes": 2, "channels": 1, "size": (32, 32), "images": 49}
    if is_alone:
        with pytest.raises(ConfigError, match="batch_size: of 49 images, in batches of"):
            made_model(config, **asked)
        made_model(config, **{**asked, "size": (64, 64)})
    else:
        made_model(config, **asked)


@pytest.mark.parametrize(
    ("options", "is_alone"),
    [
        ({"batch_size": 46}, True),  # 3 are left, of which one rank gets one
        ({"batch_size": 46, "sync_bn": True}, False),
        ({"batch_size": 47, "sync_bn": True, "accumulate": 2}, False),  # each has one, in one part
        ({"batch_size": 48, "sync_bn": True}, True),
        ({"batch_size": 45}, False),
    ],
)
def test_an_image_may_be_left_alone_on_a_rank(options: dict[str, Any], is_alone: bool) -> None:
    config = a_config(distributed=True, **options).changed(model="resnet18", model_options={})
    asked = {"classes": 2, "channels": 1, "size": (32, 32), "images": 49, "ranks": 2}
    with pytest.raises(ConfigError, match="batch_size: ") if is_alone else nullcontext():
        made_model(config, **asked)


def test_an_image_that_is_left_alone_does_not_matter_to_large_maps(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 3)
    config = a_config(dataset=str(tmp_path / "images.npz"), val_split=0, epochs=1)
    train(config.changed(batch_size=47), tmp_path / "run")
    assert [line.images for line in read_metrics(tmp_path / "run").steps] == [47, 1]


def test_why_a_run_cannot_begin_is_told_although_another_is_in_the_folder_above_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun_beside(*arguments: Any, **options: Any) -> Any:
        (tmp_path / "runs" / "beside").mkdir()
        raise ConfigError("dataset: there is none")

    monkeypatch.setattr(course, "batches_of", begun_beside)
    with pytest.raises(ConfigError, match="dataset: there is none"):
        train(a_config(), tmp_path / "runs" / "new")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["beside"]


@pytest.mark.parametrize(("seconds", "times"), [(0.0, 5), (1.0, 2)])
def test_a_report_that_takes_long_is_written_less_often(
    seconds: float, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []

    def write(*arguments: Any, **options: Any) -> Path:
        written.append(len(read_metrics(tmp_path / "run").epochs))
        return write_report(*arguments, **options)

    monkeypatch.setattr(course, "write_report", write)
    clock = SimpleNamespace(perf_counter=lambda: seconds * len(written))
    monkeypatch.setattr(course, "time", clock)
    train(a_config(), tmp_path / "run")

    assert (len(written), written[-1]) == (times, 3), "in the beginning, on the way, and at the end"
    assert "test, read once" in (tmp_path / "run" / "report.html").read_text()


def test_files_that_one_rank_cannot_read_are_told_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = course.batches_of

    class Unreadable:
        def __init__(self, split: Any) -> None:
            self._split = split

        def __getattr__(self, name: str) -> Any:
            if name == "digest":
                raise OSError("'3.png' cannot be read")
            return getattr(self._split, name)

    def batches_of(config: Any, rank: int, ranks: int) -> Any:
        batches = made(config, rank, ranks)
        return batches._replace(split=Unreadable(batches.split)) if rank else batches

    monkeypatch.setattr(course, "batches_of", batches_of)
    config = a_config(distributed=True)
    with pytest.raises(DistributedError, match=r"rank 1 of 2: OSError: '3.png' cannot be read"):
        on_ranks(2, lambda rank: train(config, tmp_path / "run", communicator=rank))


def test_images_without_any_contrast_are_refused_in_a_sentence(tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", x=np.full((60, 1, 8, 8), 7, np.uint8), y=np.arange(60) % 3)
    with pytest.raises(ConfigError, match="same grey value everywhere"):
        train(a_config(dataset=str(tmp_path / "grey.npz")), tmp_path / "run")


def test_what_is_frozen_stays_as_it_was(tmp_path: Path) -> None:
    config = a_config(epochs=1, freeze=("conv1.*", "layer1.0.*"))
    train(config, tmp_path / "run")
    began = mr.models.create("cifar_resnet8", seed=0, in_channels=1, num_classes=10, width=2)
    ended, _ = load_run(tmp_path / "run")
    for (name, before), after in zip(began.named_parameters(), ended.parameters(), strict=True):
        is_frozen = name.startswith(("conv1.", "layer1.0."))
        assert bool((before.numpy() == after.numpy()).all()) == is_frozen, name


def test_a_run_can_begin_with_the_weights_of_another_one(tmp_path: Path, whole: Path) -> None:
    watcher = Watched()
    result = train(a_config(weights=str(whole)), tmp_path / "run", watcher=watcher)
    assert "44 tensors were copied" in watcher.notes[0]
    first = read_metrics(tmp_path / "run").steps[0].loss
    assert first < read_metrics(whole).steps[0].loss
    assert result.steps == 15


def test_an_unfinished_run_has_a_network_too(stopped: Stopped, tmp_path: Path) -> None:
    folder = stopped(3)
    model, config = load_run(folder, "last")
    assert not model.training
    assert config.model == "cifar_resnet8"
    with pytest.raises(FileNotFoundError, match=r"no best\.safetensors yet"):
        load_run(folder)
    with pytest.raises(FileNotFoundError, match="no run"):
        load_run(tmp_path / "nowhere")
