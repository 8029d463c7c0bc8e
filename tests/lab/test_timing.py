"""Timing in rounds."""

from __future__ import annotations

import pytest

from minires.lab.timing import Rounds, interleaved


def test_jobs_take_turns_and_warm_up_rounds_are_not_measured() -> None:
    ran: list[str] = []

    measured = interleaved({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, rounds=3)

    assert ran == ["a", "b"] * 5
    assert {name: len(times) for name, times in measured.wall.items()} == {"a": 3, "b": 3}
    assert {name: len(times) for name, times in measured.cpu.items()} == {"a": 3, "b": 3}


def test_ratios_are_taken_round_by_round_and_not_of_medians() -> None:
    # The machine was ten times slower in the second round, for both alike.
    measured = Rounds({"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 2.0]}, {"a": [1.0] * 3})

    assert measured.ratio("a", to="b") == {"median": 2.0, "low": 2.0, "high": 3.0}
    assert measured.times("a", 10) == {"minimum": 20.0, "median": 40.0, "cpu_minimum": 10.0}


def test_a_sum_is_taken_round_by_round() -> None:
    measured = Rounds({"a": [1.0, 5.0], "b": [6.0, 1.0]}, {"a": [1.0, 1.0], "b": [2.0, 3.0]})

    measured.add_sum("both", ("a", "b"))

    assert measured.wall["both"] == [7.0, 6.0]
    assert measured.cpu["both"] == [3.0, 4.0]


def test_no_round_is_refused() -> None:
    with pytest.raises(ValueError, match="rounds must be at least 1, found 0"):
        interleaved({"a": int}, rounds=0)
