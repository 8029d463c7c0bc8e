"""The rates of the checkers: what is counted, and what simpler checks are known to miss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.checking import CHECKS, OURS, judged, table, upper_bound, verdicts
from benchmarks.checking_page import write_checking_page
from minires.checking.bank import RIGHT, WRONG, Solution


def planted(title: str) -> Solution:
    (solution,) = (solution for solution in WRONG if solution.title == title)
    return solution


def test_no_event_in_n_trials_bounds_the_rate_by_three_in_n() -> None:
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)
    assert upper_bound(300, 300) == 1
    assert upper_bound(1, 300) > upper_bound(0, 300)


@pytest.mark.parametrize(
    ("title", "missed_by"),
    [
        (
            "batch norm: zeros for the input",
            {"cotangent of ones", "one random entry", "shapes only"},
        ),
        ("square: wrong sign", {"shapes only"}),
        ("convolution: padding not stripped", set()),
        ("square: computed in float32", set(CHECKS) - {OURS}),
    ],
)
def test_simpler_checks_miss_what_they_are_known_to_miss(title: str, missed_by: set[str]) -> None:
    told, seconds = verdicts(planted(title), seed=0)

    assert {check for check, verdict in told.items() if verdict == "right"} == missed_by
    assert seconds > 0


def test_failures_are_counted_by_check_in_total_and_by_solution() -> None:
    solutions = [planted("square: wrong sign"), planted("batch norm: zeros for the input")]

    measured = judged(solutions, 3, frozenset({"right"}))

    assert measured[OURS] == 0
    assert measured["cotangent of ones"] == 0.5
    assert measured["shapes only"] == 1
    assert measured["totals"]["cotangent of ones"]["failures"] == 3
    by_solution = measured["by_solution"]["square: wrong sign"]
    assert by_solution["shapes only"] == {"failures": 3, "undecided": 0}
    assert table("misses", measured).row_count == 5


def test_right_solutions_raise_no_alarm() -> None:
    assert judged(RIGHT[:3], 1, frozenset({"wrong", "unfit"}))[OURS] == 0


def result() -> dict[str, Any]:
    jobs = {"minimum": 2000.0, "median": 2500.0, "cpu_minimum": 1900.0}
    timed = {
        "rounds": 3,
        "jobs": dict.fromkeys(("minires", "torch"), jobs),
        "ratios": {"minires": {"torch": {"median": 0.05, "low": 0.04, "high": 0.06}}},
    }
    return {
        "date": "2026-01-01",
        "environment": {
            "processor": "a CPU",
            "processors": 2,
            "minires": "0",
            "kernels": "numpy",
            "numpy": "2",
            "python": "3",
        },
        "checking": {
            "false alarms": judged(RIGHT[:2], 1, frozenset({"wrong", "unfit"})),
            "misses": judged([planted("square: computed in float32")], 1, frozenset({"right"})),
        },
        "block_check": {"block": "a block", "entries": 1234, "full": timed, "random": timed},
    }


def test_the_page_tells_the_rates_and_the_times(tmp_path: Path) -> None:
    text = write_checking_page(result(), tmp_path / "page.md").read_text("utf-8")

    assert "| `mr.gradcheck` | 0.00% (< 77.64%) | 0.00% (< 95.00%) |" in text
    assert "| shapes only | 0.00% (< 77.64%) | 100.00% (< 100.00%) |" in text
    assert "| every entry: torch | 2 | 2.5 | 1.9 | 20.0 |" in text
    assert "accepted: none." in text
    assert "1,234 entries" in " ".join(text.split())


@pytest.mark.parametrize("part", ["checking", "block_check"])
def test_a_page_without_its_measurements_is_refused(part: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"the result lacks {part}; measure it with"):
        write_checking_page(result() | {part: {}}, tmp_path / "page.md")
    assert list(tmp_path.iterdir()) == []
