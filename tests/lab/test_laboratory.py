from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from minires.devices.threads import available
from minires.lab.images import Images
from minires.lab.laboratory import Laboratory, NotMeasuredError, Trial
from minires.lab.results import as_kept, commit, read_result
from minires.serialize.locking import alone_in
from tests.lab import odd_experiments

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
SRC = Path(__file__).resolve().parents[2]


def laboratory(folder: Path, **options: object) -> Laboratory:
    return Laboratory(folder, "tiny", known=odd_experiments.ALL, **{"jobs": 2, **options})  # type: ignore[arg-type]


def _trials(folder: Path, name: str) -> list[Path]:
    return sorted((folder / "trials" / name).glob("*/*.json"))


def test_an_experiment_is_run_judged_and_kept(tmp_path: Path) -> None:
    trials: list[Trial] = []
    result = laboratory(tmp_path).run(["sane"], trials.append)["sane"]

    assert result.outcome == "supports"
    assert result.measured == {"two less one": [1, 1, 1]}
    assert result.claims[0]["because"] == "two less one: 1, 1, 1"
    assert len(trials) == 6
    assert all(not trial.failure for trial in trials)
    read = read_result(tmp_path, "sane")
    assert read is not None
    assert as_kept(asdict(read)) == as_kept(asdict(result))
    assert result.seeds == [0, 1, 2]


def test_a_result_says_where_its_trials_come_from(tmp_path: Path) -> None:
    first = laboratory(tmp_path).run(["sane"])["sane"]
    (origin,) = first.origins
    assert origin["environment"]["processors"] == os.cpu_count()
    assert origin["environment"]["threads"] == max(available() // 2, 1)  # a worker's
    assert (origin["trials"], origin["commit"]) == (6, commit())
    assert origin["first"] <= origin["last"] <= str(first.judged["created"])

    file = _trials(tmp_path, "sane")[0]
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "commit": "another"}))
    second = laboratory(tmp_path, seeds=4).run(["sane"])["sane"]
    assert [(each["commit"], each["trials"]) for each in second.origins] == [
        ("another", 1),
        (commit(), 7),
    ]
    assert second.judged["commit"] == commit()


def test_chance_is_the_seeds_alone_and_processors_are_shared(tmp_path: Path) -> None:
    one = laboratory(tmp_path / "one").run(["draws"])["draws"].trials
    two = laboratory(tmp_path / "two", jobs=1).run(["draws"])["draws"].trials

    drawn = [trial["number"] for trial in one["1"]]
    assert len(set(drawn)) == 3
    assert drawn == [trial["number"] for trial in one["2"]]
    assert drawn == [trial["number"] for trial in two["1"]]
    assert {trial["threads"] for trial in one["1"]} == {max(available() // 2, 1)}
    assert {trial["threads"] for trial in two["1"]} == {available()}


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
    first, *_, last = _trials(tmp_path, "sane")

    first.write_text("{")
    assert lab.missing(["sane"]) == 1
    first.write_text(last.read_text())  # of another condition and seed
    assert lab.missing(["sane"]) == 1
    record = json.loads(last.read_text())
    first.write_text(json.dumps({**record, "condition": "1"}))  # of another seed
    assert lab.missing(["sane"]) == 1
    first.write_text("[]")
    assert lab.missing(["sane"]) == 1


def test_trials_of_other_settings_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = laboratory(tmp_path)
    lab.run(["sane"])
    other = {"tiny": replace(odd_experiments.SANE.scales["tiny"], images=Images("digits", 20, 10))}
    with monkeypatch.context() as changed:
        changed.setattr(type(odd_experiments.SANE), "scales", other)
        assert lab.missing(["sane"]) == 6
        lab.run(["sane"])

    assert lab.missing(["sane"]) == 0
    assert len(_trials(tmp_path, "sane")) == 12


def test_a_result_that_failed_replaces_none_that_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = laboratory(tmp_path)
    lab.run(["sane", "raises"])
    before = lab.result("sane")

    def fails(self: object, trials: object, scale: object) -> None:
        raise ArithmeticError("two and two is five")

    monkeypatch.setattr(type(odd_experiments.SANE), "measure", fails)
    failed = lab.run(["sane"])["sane"]

    assert failed.outcome == "failed"
    assert "two and two is five" in failed.failures[0]["failure"]
    after = lab.result("sane")
    assert after is not None
    assert before is not None
    assert replace(after, failures=[]) == before
    assert after.failures == failed.failures  # which the list and the page tell
    read = lab.result("raises")
    assert read is not None
    assert read.outcome == "failed"


def test_a_result_of_other_settings_or_another_scale_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = laboratory(tmp_path)
    result = lab.run(["sane"])["sane"]

    assert lab.out_of_date(result) == ""
    assert lab.out_of_date(replace(result, source="another")) == "out of date"
    assert laboratory(tmp_path, seeds=5).out_of_date(result) == "of 3 seeds"
    assert laboratory(tmp_path, seeds=3).out_of_date(result) == ""
    small = Laboratory(tmp_path, "small", known=odd_experiments.ALL)
    assert small.out_of_date(result) == "of the scale tiny"
    other = {"tiny": replace(odd_experiments.SANE.scales["tiny"], images=Images("digits"))}
    monkeypatch.setattr(type(odd_experiments.SANE), "scales", other)
    assert lab.out_of_date(result) == "out of date"
    with pytest.raises(NotMeasuredError, match="out of date"):
        lab.measured("sane")


def test_experiments_that_fail_are_reported_and_stop_no_other(tmp_path: Path) -> None:
    failing = ["raises", "dies", "no-json", "cannot-prepare", "cannot-measure", "measures-no-json"]
    names = [*failing, "sane"]

    results = laboratory(tmp_path).run(names)

    assert {name: results[name].outcome for name in names} == {
        **dict.fromkeys(failing, "failed"),
        "sane": "supports",
    }
    raised = results["raises"].failures
    assert [(each["condition"], each["seed"]) for each in raised] == [("2", 1)]
    assert "two and two is five" in raised[0]["failure"]
    assert "Traceback" in raised[0]["details"]
    assert "SIGKILL" in results["dies"].failures[0]["failure"]
    assert "no JSON" in results["no-json"].failures[0]["failure"]
    assert "no such network" in results["cannot-prepare"].failures[0]["failure"]
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
    while not (there := _trials(tmp_path, "takes-long")):
        assert process.poll() is None
        time.sleep(0.05)
    (kept,) = there
    process.send_signal(how)
    process.wait()
    before = kept.read_text()

    (tmp_path / "go on").touch()
    monkeypatch.setenv("GO_ON", environment["GO_ON"])
    result = laboratory(tmp_path).run(["takes-long"])["takes-long"]

    assert result.outcome == "supports"
    assert kept.read_text() == before


def test_trials_of_another_source_are_not_taken_for_those_of_this(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = laboratory(tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr("minires.lab.plan.source_of", lambda experiment: "as it was")
        failed = lab.run(["sane"])["sane"]

    assert failed.outcome == "failed"
    assert "source was changed meanwhile" in failed.failures[0]["failure"]
    assert _trials(tmp_path, "sane") == []


def test_a_result_under_another_name_is_told(tmp_path: Path) -> None:
    lab = laboratory(tmp_path)
    lab.run(["sane"])
    results = tmp_path / "results"
    (results / "sane.json").rename(results / "raises.json")

    with pytest.raises(ValueError, match="it is of 'sane'"):
        lab.result("raises")


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
    lab = laboratory(tmp_path)
    file = tmp_path / "results" / "sane.json"
    file.write_text('{"schema": "another"}')
    with pytest.raises(ValueError, match="no result of minires lab"):
        lab.result("sane")

    lab.run(["sane"])  # which makes a new one
    record = json.loads(file.read_text())
    del record["claims"][0]["outcome"]
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"damaged one .*claims.0.outcome"):
        lab.result("sane")


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
