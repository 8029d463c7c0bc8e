from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.peers import environments
from benchmarks.peers.conversation import ChildError, Contender, converse

FAKE = """
import json, os, sys

def answer(**facts):
    print(json.dumps(facts), flush=True)

answer(version="1.2", numpy="0.1", home=os.environ.get("PYTHONPATH"))
for turn, line in enumerate(sys.stdin):
    assert line == "step\\n"
    {body}
    answer(wall={wall}, cpu=0.5, loss={loss}, peak_rss_mb=100.0)
"""


def fake(
    folder: Path, name: str, wall: str = "1.0", loss: str = "2.0", body: str = "pass"
) -> Contender:
    script = folder / f"{name}.py"
    script.write_text(FAKE.format(body=body, wall=wall, loss=loss), encoding="utf-8")
    return Contender(name, [sys.executable, str(script)])


def test_all_take_turns_round_by_round(tmp_path):
    lines = []
    slow = fake(tmp_path, "slow")
    slow.at_most = 2
    children, reasons = converse([fake(tmp_path, "a"), fake(tmp_path, "b"), slow], 5, lines.append)
    timed = [line.split(",")[0] for line in lines if "round" in line]
    assert reasons == {}
    assert timed == [
        *("a: round 1 of 5", "b: round 1 of 5"),
        *("a: round 2 of 5", "b: round 2 of 5"),
        *("a: round 3 of 5", "b: round 3 of 5", "slow: round 3 of 5"),
        *("a: round 4 of 5", "b: round 4 of 5"),
        *("a: round 5 of 5", "b: round 5 of 5", "slow: round 5 of 5"),
    ]
    assert [len(child.steps) for child in children.values()] == [11, 11, 5]


@pytest.mark.parametrize("rounds", [1, 2, 3, 15, 16])
def test_who_has_fewer_rounds_takes_part_in_exactly_that_many(rounds):
    contender = Contender("slow", [], at_most=3)
    turns = [contender.takes_part(turn, rounds) for turn in range(rounds)]
    assert sum(turns) == min(rounds, 3)


def test_python_variables_of_the_parent_stay_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    children, _ = converse([fake(tmp_path, "a")], 1)
    assert children["a"].facts == {"version": "1.2", "numpy": "0.1", "home": None}


def test_child_that_crashes_is_left_out_with_its_last_words(tmp_path):
    crashing = fake(tmp_path, "crashing", body="if turn == 3: raise ValueError('no more memory')")
    children, reasons = converse([fake(tmp_path, "a"), crashing], 3)
    assert list(children) == ["a"]
    assert len(children["a"].steps) == 7
    assert reasons == {"crashing": "ended with status 1, saying: ValueError: no more memory"}


def test_child_that_cannot_even_start_is_left_out(tmp_path):
    missing = Contender("missing", [str(tmp_path / "no-python")])
    refusing = Contender("refusing", [sys.executable, "-c", "raise SystemExit('no compiler')"])
    children, reasons = converse([fake(tmp_path, "a"), missing, refusing], 1)
    assert list(children) == ["a"]
    assert "No such file" in reasons["missing"]
    assert reasons["refusing"] == "ended with status 1, saying: no compiler"


def test_child_that_talks_beside_the_point_is_left_out(tmp_path):
    chatting = fake(tmp_path, "chatting", body="print('hello')")
    _, reasons = converse([fake(tmp_path, "a"), chatting], 1)
    assert reasons == {"chatting": r"said 'hello\n', which is no answer in JSON"}


def test_nothing_is_measured_without_the_first(tmp_path):
    with pytest.raises(ChildError, match="first ended with status 1, saying: broken"):
        converse([Contender("first", [sys.executable, "-c", "raise SystemExit('broken')"])], 1)


def test_ratio_is_of_the_same_round_and_warm_up_does_not_count(tmp_path):
    ours = fake(tmp_path, "ours", wall="[9, 9, 1, 9, 2, 9, 4][turn]")
    theirs = fake(tmp_path, "theirs", wall="[99, 99, 8, 99, 20, 99, 36][turn]")
    children, _ = converse([ours, theirs], 3)
    result = peers.beside(children["ours"], children["theirs"])
    assert result["ratio"] == {"median": 9, "minimum": 8, "maximum": 10}
    assert (result["minimum"], result["median"], result["cpu_minimum"]) == (8e3, 20e3, 500)
    assert (result["timed_steps"], result["untimed_steps"]) == (3, 4)
    assert result["peak_rss_mb"] == 100


@pytest.mark.parametrize(
    ("loss", "agree"),
    [
        ("2.0 - 0.1 * turn", True),
        ("2.0001 - 0.1 * turn", True),
        ("2.001 - 0.1 * turn", False),
        ("2.0 - 0.1 * min(turn, 2)", False),
        ("float('nan')", False),
    ],
)
def test_peer_whose_losses_are_others_is_flagged(tmp_path, loss, agree):
    ours = fake(tmp_path, "ours", loss="2.0 - 0.1 * turn")
    children, _ = converse([ours, fake(tmp_path, "theirs", loss=loss)], 3)
    result = peers.beside(children["ours"], children["theirs"])
    assert result["losses_agree"] is agree
    assert len(result["losses"]) == 7


def test_peers_that_are_not_installed_are_absent_and_minires_is_measured_all_the_same(tmp_path):
    result = peers.run_peers(rounds=2, folder=tmp_path, batch_size=2)
    names = ("Chainer", "DeZero", "tinygrad", "HIPS autograd")
    absent = {"status": "absent", "install": "python -m benchmarks.peers install"}
    assert result["peers"] == dict.fromkeys(names, absent)
    ours = result["minires"]
    assert ours["timed_steps"] == 2
    assert 0 < ours["minimum"] <= ours["median"]
    assert np.isfinite(ours["losses"]).all()


def test_shared_description_of_the_network_uses_every_parameter_of_minires(tmp_path):
    peers.write_task(tmp_path / "task.npz", 2)
    with np.load(tmp_path / "task.npz") as file:
        arrays = dict(file)
    described = runpy.run_path(str(Path(peers.__file__).parent / "steps" / "network.py"))
    used = ["fc.weight", "fc.bias"]

    def conv(name, x, stride):
        used.append(f"{name}.weight")
        return x

    def norm(name, x):
        used.extend([f"{name}.weight", f"{name}.bias"])
        return x

    described["features"](0, conv, norm, relu=lambda x: x, shortcut=lambda x: x)
    assert sorted(used) == sorted(described["parameters"](arrays))


def test_unknown_peer_is_refused_by_naming_the_known(tmp_path):
    with pytest.raises(ValueError, match=r"no peer is called PyTorch; known: \['Chainer'"):
        peers.run_peers(names=["PyTorch"], folder=tmp_path)


def test_environment_counts_as_installed_only_with_the_versions_pinned_now(tmp_path):
    home = tmp_path / "modern"
    home.mkdir()
    assert environments.interpreter("modern", tmp_path) is None
    (home / "installed.txt").write_text("numpy==1.0\n", encoding="utf-8")
    assert environments.interpreter("modern", tmp_path) is None
    pinned = (environments.REQUIREMENTS / "modern.txt").read_text("utf-8")
    (home / "installed.txt").write_text(pinned, encoding="utf-8")
    found = environments.interpreter("modern", tmp_path)
    assert found is not None
    assert home in found.parents


def test_install_that_fails_says_what_pip_said_and_leaves_the_environment_absent(
    tmp_path, monkeypatch
):
    def run(command, **_):
        refused = "pip" in command
        said = "ERROR: no matching distribution\n" if refused else "3.11\n"
        return subprocess.CompletedProcess(command, returncode=int(refused), stdout=said)

    monkeypatch.setattr(environments.subprocess, "run", run)
    with pytest.raises(environments.InstallError) as raised:
        environments.install(tmp_path, python=sys.executable)
    assert str(raised.value).startswith("old-numpy: ")
    assert str(raised.value).endswith("status 1, saying\nERROR: no matching distribution")
    assert environments.interpreter("old-numpy", tmp_path) is None


def test_install_wants_python_3_11(tmp_path):
    with pytest.raises(environments.InstallError, match=r"name a Python 3\.11 with --python"):
        environments.install(tmp_path, python=str(tmp_path / "python"))
    assert list(tmp_path.iterdir()) == []
