from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from minires.lab import laboratory as laboratory_module
from minires.lab.claims import auditing
from minires.lab.claims.item import Items
from minires.lab.laboratory import Laboratory
from minires.lab.rules import Above, Equal
from tests.lab import odd_experiments

pytestmark = pytest.mark.timeout(90)
FIELDS = {
    "code",
    "statement",
    "verdict",
    "correct",
    "kind",
    "outcome",
    "measured",
    "rule",
    "because",
    "source",
    "seconds",
    "scale",
    "commit",
    "created",
    "read",
}


def laboratory(folder: Path) -> Laboratory:
    return Laboratory(folder, "tiny", known=odd_experiments.ALL, jobs=2)


def test_all_items_are_there_most_of_them_by_experiment() -> None:
    items = auditing.audited_items()
    groups = Counter(code[0] for code in items)

    assert groups == {"A": 20, "B": 21, "C": 12, "D": 11}
    assert list(items) == [f"{letter}{n + 1}" for letter in "ABCD" for n in range(groups[letter])]
    assert Counter(item.verdict for item in items.values()) == {
        "true": 13,
        "misleading": 12,
        "false": 38,
        "typo": 1,
    }
    assert sum(item.check is not None for item in items.values()) >= 56
    for item in items.values():
        assert all((item.code, item.statement, item.correct, item.source))
        assert (item.check is None) == (item.rule is None)


def test_what_reads_an_experiment_runs_it_first_and_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    found = auditing.audit(
        laboratory(tmp_path), CODES, trial_told=lambda trial: told.append(trial.experiment)
    )

    outcomes = {record["code"]: record["outcome"] for record in found}
    assert outcomes == {
        "X1": "supports",
        "X2": "contradicts",
        "X3": "failed",
        "X4": "supports",
        "X5": "cited",
        "X6": "failed",
    }
    assert set(told) == {"sane", "raises"}
    assert all(set(record) == FIELDS for record in found)
    because = {record["code"]: record["because"] for record in found}
    assert because["X3"].startswith("ZeroDivisionError: ")
    assert "two and two is five" in because["X6"]


def test_what_has_failed_a_moment_ago_is_not_run_again(tmp_path: Path) -> None:
    told: list[Any] = []
    before: list[str] = []
    (found,) = auditing.audit(
        laboratory(tmp_path),
        ["X6"],
        trial_told=told.append,
        before=before.extend,
        failed={"raises": "two and two is six"},
    )

    assert found["outcome"] == "failed"
    assert found["because"] == "the experiment 'raises' has failed: two and two is six"
    assert told == before == []
    auditing.audit(laboratory(tmp_path), ["X4", "X6"], before=before.extend)
    assert before == ["raises", "sane"]


def test_records_of_other_codes_stay(tmp_path: Path) -> None:
    lab = laboratory(tmp_path)
    auditing.write_audit(auditing.audit(lab, ["X5", "X1"]), tmp_path)
    auditing.write_audit([{**auditing.audit(lab, ["X1"])[0], "because": "again"}], tmp_path)

    kept = auditing.read_audit(tmp_path)
    assert kept is not None
    assert [(record["code"], record["because"]) for record in kept] == [("X1", "again"), ("X5", "")]


def test_records_are_a_json_list_and_are_read_again(tmp_path: Path) -> None:
    lab = laboratory(tmp_path)
    records = auditing.audit(lab, ["x1", "X5"])
    file = auditing.write_audit(records, tmp_path)

    assert json.loads(file.read_text()) == records == auditing.read_audit(tmp_path)
    assert [record["code"] for record in records] == ["X1", "X5"]
    assert records[1]["kind"] == "citation"
    file.write_text("[{]")
    with pytest.raises(ValueError, match="damaged"):
        auditing.read_audit(tmp_path)


def test_a_source_that_changes_meanwhile_is_a_failure_and_no_endless_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[str] = []
    monkeypatch.setattr(Laboratory, "out_of_date", lambda self, result: "out of date")
    (found,) = auditing.audit(laboratory(tmp_path), ["X4"], before=before.extend)

    assert found["outcome"] == "failed"
    assert "the lab's source was changed meanwhile" in found["because"]
    assert before == ["sane"]


def test_a_record_is_out_of_date_when_what_it_read_or_its_rule_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = laboratory(tmp_path)
    read, alone = auditing.audit(lab, ["X4", "X1"])

    assert list(read["read"]) == ["sane"]
    assert alone["read"] == {}
    assert [auditing.out_of_date(each, lab) for each in (read, alone)] == ["", ""]
    assert auditing.out_of_date({**alone, "rule": "sum: 5 supports"}, lab) == "out of date"
    assert auditing.out_of_date({**alone, "correct": "something else"}, lab) == "out of date"
    small = Laboratory(tmp_path, "small", known=odd_experiments.ALL)
    assert auditing.out_of_date(alone, small) == "of the scale tiny"
    Laboratory(tmp_path, "tiny", seeds=4, known=odd_experiments.ALL).run(["sane"])
    assert auditing.out_of_date(read, lab) == "out of date"


def test_an_unknown_code_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown claim 'Z9'; there are: X1"):
        auditing.audit(laboratory(tmp_path), ["Z9"])


ITEMS = Items()
ABOUT: Any = ("is said", "false", "is right", "arithmetic")
ITEMS.experiment("X1", *ABOUT, Equal("sum", 4))(lambda lab: {"sum": 4})
ITEMS.experiment("X2", *ABOUT, Equal("sum", 4))(lambda lab: {"sum": 5})
ITEMS.experiment("X3", *ABOUT, Equal("sum", 4))(lambda lab: {"sum": 1 // 0})
ITEMS.experiment("X4", *ABOUT, Above("two less one"))(lambda lab: lab.measured("sane"))
ITEMS.citation("X5", *ABOUT)
ITEMS.experiment("X6", *ABOUT, Above("two less one"))(lambda lab: lab.measured("raises"))
CODES = list(ITEMS)


@pytest.fixture(autouse=True)
def odd_items(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the items above, in this process: what others are in is tested elsewhere."""
    if "tmp_path" not in request.fixturenames:
        return
    from minires.lab.workers import carry_out

    def here_or_there(jobs: Any, processes: int) -> Any:
        ours, others = [], []
        for job in jobs:
            (ours if job.function is auditing.check_item else others).append(job)
        yield from (in_this_process(job) for job in ours)
        yield from carry_out(others, processes)

    monkeypatch.setattr(auditing, "audited_items", lambda: ITEMS)
    monkeypatch.setattr(laboratory_module, "experiments", lambda: odd_experiments.ALL)
    monkeypatch.setattr(auditing, "carry_out", here_or_there)


def in_this_process(job: Any) -> Any:
    from minires.lab.workers import Done, _carried_out

    return Done(job, *_carried_out(job))
