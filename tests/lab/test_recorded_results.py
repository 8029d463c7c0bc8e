"""The results that the documentation shows follow from their files, by the rules as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from minires.lab.claims.audited import audited_items
from minires.lab.claims.auditing import read_audit
from minires.lab.experiments import experiments
from minires.lab.fingerprint import digest
from minires.lab.results import read_result
from minires.lab.rules import joint

DOCS = Path(__file__).resolve().parents[2] / "docs"
ALL = experiments()


@pytest.mark.parametrize("name", ALL)
def test_what_was_measured_and_judged_follows_from_the_trials(name: str) -> None:
    experiment, result = ALL[name], read_result(DOCS / "lab", name)

    assert result is not None, "minires lab run --all --scale small, and copy its results"
    assert result.scale == "small"
    assert _chosen(result.settings) == _chosen(asdict(experiment.scales["small"]))
    assert result.failures == []
    measured = experiment.measure(result.trials, experiment.scales["small"])
    judged = [claim.rule.judge(measured) for claim in experiment.claims]
    assert [claim["rule"] for claim in result.claims] == [c.rule.text for c in experiment.claims]
    assert [claim["outcome"] for claim in result.claims] == [each.outcome for each in judged]
    assert result.outcome == joint(each.outcome for each in judged)
    assert (DOCS / "lab-measured" / f"{name}.png").is_file()
    (origin,) = result.origins  # run at once, on one machine
    assert origin["environment"]["processor"]
    assert origin["commit"]
    assert "dirty" not in origin["commit"]


def test_the_page_of_documentation_shows_every_outcome() -> None:
    page = (DOCS / "lab-measured.md").read_text("utf-8")

    for name in ALL:
        result = read_result(DOCS / "lab", name)
        assert result is not None
        for claim in result.claims:
            assert claim["claim"] in page
            assert claim["because"] in page


def test_the_audit_was_recorded_whole_and_follows_from_what_was_measured() -> None:
    records, items = read_audit(DOCS / "lab") or [], audited_items()
    measured = {name: read_result(DOCS / "lab", name) for name in ALL}

    assert [record["code"] for record in records] == list(items)
    for record in records:
        item = items[record["code"]]
        assert (record["statement"], record["verdict"]) == (item.statement, item.verdict)
        assert (record["correct"], record["source"]) == (item.correct, item.source)
        if item.rule is not None:
            assert record["rule"] == item.rule.text
            assert item.rule.judge(record["measured"]).outcome == record["outcome"]
        for name, read in record["read"].items():
            result = measured[name]
            assert result is not None
            assert digest(result.measured) == read
    assert sum(record["kind"] == "experiment" for record in records) >= 56
    assert not [record["code"] for record in records if record["outcome"] == "failed"]


def _chosen(settings: Mapping[str, Any]) -> Any:
    """Return settings as a file has them, but for how long trials take."""
    return json.loads(json.dumps({**settings, "seconds": None}))
