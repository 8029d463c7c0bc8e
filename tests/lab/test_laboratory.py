from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minires.lab.laboratory import Laboratory, NotMeasuredError, Trial
from minires.lab.results import read_result
from minires.serialize.locking import alone_in
from tests.lab import odd_experiments

pytestmark = pytest.mark.timeout(90)
SRC = Path(__file__).resolve().parents[2]


def laboratory(folder: Path, **options: object) -> Laboratory:
    return Laboratory(folder, "tiny", known=odd_experiments.ALL, **{"jobs": 2, **options})  # type: ignore[arg-type]


def test_an_experiment_is_run_judged_and_kept(tmp_path: Path) -> None:
    trials: list[Trial] = []
    result = laboratory(tmp_path).run(["sane"], trials.append)["sane"]

    assert result.outcome == "supports"
    assert result.measured == {"two less one": [1, 1, 1]}
    assert result.claims[0]["because"] == "two less one: 1, 1, 1"
    assert len(trials) == 6
    assert all(not trial.failure for trial in trials)
    assert read_result(tmp_path, "sane") == result
    assert result.environment["processors"] == os.cpu_count()
    assert result.seeds == [0, 1, 2]


def test_trials_that_are_there_are_not_run_again(tmp_path: Path) -> None:
    first = laboratory(tmp_path).run(["sane"])["sane"]
    again: list[Trial] = []
    second = laboratory(tmp_path).run(["sane"], again.append)["sane"]

    assert again == []
    assert second.trials == first.trials

    more: list[Trial] = []
    third = laboratory(tmp_path, seeds=5).run(["sane"], more.append)["sane"]
    assert {trial.seed for trial in more} == {3, 4}
    assert len(third.measured["two less one"]) == 5


def test_a_trial_of_another_scale_or_a_damaged_one_is_run_again(tmp_path: Path) -> None:
    lab = laboratory(tmp_path)
    lab.run(["sane"])
    file = next((tmp_path / "trials" / "sane").iterdir())

    file.write_text("{")
    assert lab.missing(["sane"]) == 1
    record = json.loads(sorted((tmp_path / "trials" / "sane").iterdir())[-1].read_text())
    file.write_text(json.dumps({**record, "fingerprint": "another"}))
    assert lab.missing(["sane"]) == 1


def test_experiments_that_fail_are_reported_and_stop_no_other(tmp_path: Path) -> None:
    names = ["raises", "dies", "no-json", "cannot-measure", "measures-no-json", "sane"]

    results = laboratory(tmp_path).run(names)

    assert {name: results[name].outcome for name in names} == {
        "raises": "failed",
        "dies": "failed",
        "no-json": "failed",
        "cannot-measure": "failed",
        "measures-no-json": "failed",
        "sane": "supports",
    }
    raised = results["raises"].failures
    assert [(each["condition"], each["seed"]) for each in raised] == [("2", 1)]
    assert "two and two is five" in raised[0]["failure"]
    assert "Traceback" in raised[0]["details"]
    assert "SIGKILL" in results["dies"].failures[0]["failure"]
    assert "no JSON" in results["no-json"].failures[0]["failure"]
    assert "no seeds" in results["cannot-measure"].failures[0]["failure"]
    assert laboratory(tmp_path).missing(["raises"]) == 1  # the others are kept


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_is_broken_off_goes_on(
    tmp_path: Path, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "from tests.lab.test_laboratory import laboratory\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        f"    laboratory(Path({str(tmp_path)!r})).run(['takes-long'])\n"
    )
    (tmp_path / "script.py").write_text(script)
    environment = {**os.environ, "GO_ON": str(tmp_path / "go on"), "PYTHONPATH": str(SRC)}
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py"],
        env=environment,
        cwd=SRC,
        stderr=subprocess.DEVNULL,
    )
    kept = tmp_path / "trials" / "takes-long" / "1-seed0.json"
    while not kept.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(how)
    process.wait()
    before = kept.read_text()

    (tmp_path / "go on").touch()
    monkeypatch.setenv("GO_ON", environment["GO_ON"])
    result = laboratory(tmp_path).run(["takes-long"])["takes-long"]

    assert result.outcome == "supports"
    assert kept.read_text() == before


def test_two_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(BlockingIOError, match="another process runs"):
        laboratory(tmp_path).run(["sane"])


def test_a_result_that_is_not_there_or_failed_is_not_read(tmp_path: Path) -> None:
    lab = laboratory(tmp_path)
    with pytest.raises(NotMeasuredError, match="'sane' has no result: it has not been run"):
        lab.measured("sane")
    lab.run(["cannot-measure", "sane"])
    with pytest.raises(NotMeasuredError, match="it has failed"):
        lab.measured("cannot-measure")
    assert lab.measured("sane") == {"two less one": [1, 1, 1]}


def test_a_damaged_result_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "sane.json").write_text('{"schema": "another"}')
    with pytest.raises(ValueError, match="no result of minires lab"):
        laboratory(tmp_path).result("sane")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seeds": 0}, "seeds: must be at least 1"),
        ({"jobs": 0}, "jobs: must be at least 1"),
        ({"device": "gpu"}, "device: "),
    ],
)
def test_what_is_asked_must_be_possible(tmp_path: Path, options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        laboratory(tmp_path, **options)


def test_who_runs_nothing_needs_no_folder(tmp_path: Path) -> None:
    assert laboratory(tmp_path / "none").run([]) == {}
    assert not (tmp_path / "none").exists()
