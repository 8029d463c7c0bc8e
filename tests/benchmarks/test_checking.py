"""The rates of the checkers: what is counted, and what simpler checks are known to miss."""

from __future__ import annotations

import pytest

from benchmarks.checking import CHECKS, OURS, judged, table, upper_bound, verdicts
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
