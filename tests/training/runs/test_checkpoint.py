from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training.runs import CheckpointError
from minires.training.runs.checkpoint import (
    read_checkpoint,
    read_circumstances,
    read_seconds,
    write_checkpoint,
)


def a_state(step: int = 7, weight: float = 1.5) -> dict[str, Any]:
    return {
        "step": step,
        "model": {"conv.weight": mr.full((2, 3), weight), "count": np.int64(4)},
        "optimizer": {"state": {0: {"momentum": np.arange(3.0)}}, "betas": (0.9, 0.99)},
        "best": -math.inf,
        "random": [2**100, "PCG64", None, True],
    }


def test_a_state_comes_back_with_its_numbers_tuples_and_keys(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, a_state(), {})
    state = read_checkpoint(tmp_path / "last.safetensors")
    assert state["model"]["conv.weight"].tolist() == [[1.5] * 3] * 2
    assert state["optimizer"]["state"][0]["momentum"].tolist() == [0.0, 1.0, 2.0]
    assert state["optimizer"]["betas"] == (0.9, 0.99)
    assert state["best"] == -math.inf
    assert state["random"] == [2**100, "PCG64", None, True]
    assert state["model"]["count"] == 4


def test_equal_states_are_equal_bytes_under_other_circumstances(tmp_path: Path) -> None:
    for name, threads in (("one", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        write_checkpoint(tmp_path / name, a_state(), {"threads": threads}, seconds=threads)
    one, other = (tmp_path / name / "last.safetensors" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert read_circumstances(tmp_path / "other") == {"threads": 2}
    assert read_seconds(tmp_path / "other") == 2
    (tmp_path / "other" / "last.json").write_text("{")
    assert (read_circumstances(tmp_path / "other"), read_seconds(tmp_path / "other")) == ({}, 0)


def test_the_json_beside_it_can_be_read_by_eye_and_names_the_files_digest(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, a_state(), {})
    told = json.loads((tmp_path / "last.json").read_text())
    assert told["step"] == told["state"]["step"] == 7
    weights = (tmp_path / "last.safetensors").read_bytes()
    assert told["sha256"] == hashlib.sha256(weights).hexdigest()


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, a_state(), {})
    path = tmp_path / "last.safetensors"
    sound = path.read_bytes()
    for place in range(0, len(sound), 7):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
    path.write_bytes(sound[:-1])
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


def test_weights_alone_are_no_checkpoint_and_another_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    mr.save({"weight": np.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="no state to go on from"):
        read_checkpoint(path)
    mr.serialize.save({}, path, metadata={"format": "minires.checkpoint/2", "state": "{}"})
    with pytest.raises(CheckpointError, match=r"checkpoint/2.*the version that wrote it"):
        read_checkpoint(path)


def test_the_last_ones_are_kept_and_named_where_the_newest_is_damaged(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, a_state(step, weight=step), {}, keep=2)
    kept = sorted(path.name for path in tmp_path.glob("step-*"))
    assert kept == ["step-00000002.safetensors", "step-00000003.safetensors"]
    state = read_checkpoint(tmp_path / "step-00000002.safetensors")
    assert state["model"]["conv.weight"][0, 0] == 2
    (tmp_path / "last.safetensors").unlink()
    (tmp_path / "last.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"rename it.*step-00000002"):
        read_checkpoint(tmp_path / "last.safetensors")


def test_a_second_name_of_the_damaged_file_is_no_way_out(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, a_state(step), {}, keep=2)
        with (tmp_path / "last.safetensors").open("r+b") as file:
            file.truncate(100)
        with pytest.raises(CheckpointError) as raised:
            read_checkpoint(tmp_path / "last.safetensors")
        told = str(raised.value)
        assert "download" not in told
        assert "step-00000002" not in told
        assert ("step-00000001" in told) == (step == 2)
        assert ("begin the run again in another folder" in told) == (step == 1)


def test_what_a_file_cannot_hold_is_named_and_the_old_checkpoint_stays(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, a_state(), {})
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(TypeError, match=r"optimizer\.rule is a set"):
        write_checkpoint(tmp_path, {"step": 8, "optimizer": {"rule": {1, 2}}}, {})
    assert (tmp_path / "last.safetensors").read_bytes() == before
