from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minires.lab.claims import auditing
from minires.lab.claims.audited import audited_items
from tests.lab import odd_experiments

Command = Callable[..., Any]
pytestmark = pytest.mark.timeout(120)


def test_the_list_tells_claim_source_cost_and_status(minires: Command) -> None:
    done = minires("lab", COLUMNS="400")

    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith("degradation"))
    assert "not run" in line
    assert "He et al. 2015" in line

    listed = json.loads(minires("lab", "--json", "--scale", "paper").stdout)
    assert listed["schema"] == "minires.lab.list/1"
    first = listed["experiments"][0]
    assert {"name", "title", "claims", "seconds", "status"} == set(first)
    assert {"claim", "source", "rule"} == set(first["claims"][0])


def test_an_experiment_is_run_reported_and_gone_on_with(minires: Command, tmp_path: Path) -> None:
    done = minires("lab", "run", "degradation", "--scale", "tiny", "--json", "--jobs", "2")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["results"][0]["experiment"] == "degradation"
    assert len(done.stderr.splitlines()) > 10  # a line for each trial
    assert (tmp_path / "runs/lab-tiny/report.html").is_file()
    assert (tmp_path / "runs/lab-tiny/results/degradation.json").is_file()

    again = minires("lab", "run", "degradation", "--scale", "tiny")
    assert again.returncode == 0
    assert "seed 0" not in again.stderr  # nothing was left to be run
    assert "degradation" in again.stdout

    assert "not run" not in minires("lab", "--scale", "tiny").stdout.split("degradation")[1][:40]

    page = minires("lab", "report", "--scale", "tiny", "--html", "page.html")
    assert page.returncode == 0
    assert "<html" in (tmp_path / "page.html").read_text()


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three experiments, two of which fail, and four items of the audit, one of which fails."""
    known = {name: odd_experiments.ALL[name] for name in ("sane", "raises", "no-json")}
    for place in ("experiments", "laboratory"):
        monkeypatch.setattr(f"minires.lab.{place}.experiments", lambda: known)
    items = {code: audited_items()[code] for code in ("A1", "A17", "D8")}
    unknown = replace(items["A17"], code="X1")  # which the checking process does not find
    monkeypatch.setattr(auditing, "audited_items", lambda: {**items, "X1": unknown})


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


@pytest.mark.usefixtures("odd")
def test_everything_is_run_and_audited_and_what_fails_makes_the_exit_code_1(
    minires: Command, tmp_path: Path
) -> None:
    done = minires("lab", "run", "--all", "--scale", "tiny", "--json", "--jobs", "2")

    assert done.returncode == 1
    told = json.loads(done.stdout)
    outcomes = {each["experiment"]: each["outcome"] for each in told["results"]}
    assert outcomes == {"sane": "supports", "raises": "failed", "no-json": "failed"}
    assert {each["code"]: each["outcome"] for each in told["claims"]} == {
        "A1": "supports",
        "A17": "supports",
        "D8": "supports",
        "X1": "failed",
    }
    assert "minires: raises: 2, seed 1: ArithmeticError" in done.stderr
    assert "minires: claim X1: KeyError" in done.stderr
    kept = json.loads((tmp_path / "runs/lab-tiny/claims.json").read_text())
    assert kept == told["claims"]
    assert "Two is more than one." in page_of(tmp_path / "runs/lab-tiny")

    listed = minires("lab", "--scale", "tiny", "--json").stdout
    status = {each["name"]: each["status"] for each in json.loads(listed)["experiments"]}
    assert status == outcomes


@pytest.mark.usefixtures("odd")
def test_claims_are_checked_kept_and_listed(minires: Command, tmp_path: Path) -> None:
    done = minires("lab", "claims", "a17", "--scale", "tiny", "--json")
    assert done.returncode == 0
    (record,) = json.loads(done.stdout)
    assert (record["code"], record["outcome"], record["kind"]) == ("A17", "supports", "experiment")

    table = minires("lab", "claims", "D8", "A17", "--scale", "tiny", "--quiet")
    assert table.returncode == 0
    assert table.stderr == ""
    assert "D8" in table.stdout
    kept = json.loads((tmp_path / "runs/lab-tiny/claims.json").read_text())
    assert [each["code"] for each in kept] == ["A17", "D8"]

    failed = minires("lab", "claims", "X1", "--scale", "tiny")
    assert failed.returncode == 1
    assert "X1: failed" in failed.stderr


def test_weeks_of_training_are_not_begun_by_an_audit(minires: Command) -> None:
    done = minires("lab", "claims", "C1", "--scale", "paper")

    assert done.returncode == 1
    assert "--scale paper --device cuda" in done.stderr


def test_what_must_be_run_for_a_check_is_told_beforehand(
    minires: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: object, names: list[str], told: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minires.lab.laboratory.Laboratory.run", stop)
    done = minires("lab", "claims", "C1", "--scale", "small")

    assert done.returncode == 130
    assert "to be run first: degradation, which takes about" in done.stderr
    assert "stopped; what is done is kept" in done.stderr


@pytest.mark.usefixtures("odd")
def test_another_result_that_is_damaged_hides_nothing(minires: Command, tmp_path: Path) -> None:
    results = tmp_path / "runs/lab-tiny/results"
    results.mkdir(parents=True)
    (results / "raises.json").write_text("{")

    done = minires("lab", "run", "sane", "--scale", "tiny", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["results"][0]["outcome"] == "supports"
    assert "damaged" in done.stderr


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("damage", ["{", "[{}]", '[{"code": "A1"}]', "5"])
def test_a_damaged_audit_is_told(minires: Command, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "runs/lab-tiny"
    folder.mkdir(parents=True)
    (folder / "claims.json").write_text(damage)

    for arguments in (["lab", "claims", "A17"], ["lab", "report"]):
        done = minires(*arguments, "--scale", "tiny")
        assert done.returncode == 1
        assert "is no audit of minires lab, or a damaged one" in done.stderr
    assert (folder / "claims.json").read_text() == damage


@pytest.mark.usefixtures("odd")
def test_results_of_another_scale_are_told(minires: Command, tmp_path: Path) -> None:
    minires("lab", "run", "sane", "--scale", "tiny")

    listed = minires("lab", "--out", "runs/lab-tiny")
    assert "supports, of the scale tiny" in listed.stdout
    minires("lab", "report", "--out", "runs/lab-tiny")
    assert "This result is of the scale tiny." in page_of(tmp_path / "runs/lab-tiny")


@pytest.mark.usefixtures("odd")
def test_markdown_has_figures_that_are_there(minires: Command, tmp_path: Path) -> None:
    minires("lab", "run", "sane", "--scale", "tiny")

    done = minires("lab", "report", "--scale", "tiny", "--markdown", "here/measured.md")
    assert done.returncode == 0
    assert done.stdout.strip() == str(Path("here/measured.md"))
    page = (tmp_path / "here/measured.md").read_text()
    linked = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page)
    assert linked == ["measured/sane.png"]
    assert (tmp_path / "here" / linked[0]).is_file()

    refused = minires("lab", "report", "--scale", "tiny", "--markdown", "measured")
    assert refused.returncode == 2
    assert "name it measured.md" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lab", "--scale", "tiny", "run", "degradation"], "lab run ... --scale"),
        (["lab", "--json", "claims"], "lab claims ... --json"),
        (["lab", "run", "nonsense"], "unknown experiment 'nonsense'; there are: degradation"),
        (["lab", "run"], "name an experiment"),
        (["lab", "run", "degradation", "--all"], "name an experiment"),
        (["lab", "run", "degradation", "--scale", "huge"], "--scale: expected tiny, small, paper"),
        (["lab", "run", "degradation", "--device", "cuda"], "--device"),
        (["lab", "claims", "Z99"], "unknown claim 'Z99'; there are: A1"),
        (["lab", "--scale", "huge"], "--scale: expected"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_done(
    minires: Command, arguments: list[str], told: str, tmp_path: Path
) -> None:
    done = minires(*arguments)

    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_report_without_results_says_what_to_run(minires: Command) -> None:
    done = minires("lab", "report")

    assert done.returncode == 1
    assert "minires lab run --all" in done.stderr


def test_images_that_are_missing_are_told_and_the_exit_code_is_1(
    minires: Command, tmp_path: Path
) -> None:
    done = minires("lab", "run", "degradation", "--scale", "paper", MINIRES_DATA=str(tmp_path))

    assert done.returncode == 1
    assert "the data set 'cifar10' is not in" in done.stderr
    assert "minires data get cifar10" in done.stderr
