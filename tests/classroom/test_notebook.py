"""Checks in a cell of a notebook."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from minires.classroom.assignment import Assignment, AssignmentError
from minires.classroom.notebook import check
from minires.classroom.running.child import outcomes_of

from .conftest import SMALL


def _cell(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(text, "<cell>", "exec"), names)
    return names


def test_what_is_right_is_let_pass_without_a_word(
    small: Assignment, capsys: pytest.CaptureFixture[str]
) -> None:
    check(str(SMALL), _cell(small.solution["units.py"]))
    assert capsys.readouterr() == ("", "")


def test_a_known_mistake_is_raised_by_its_explanation(small: Assignment) -> None:
    wrong = _cell(small.mistaken(small.mistakes["L4"])["units.py"])
    check(str(SMALL), wrong, "relu_values")
    with pytest.raises(AssertionError, match=r"relu_backward_values\)\nThe incoming grad"):
        check(str(SMALL), wrong)


def test_errors_are_those_of_the_cell() -> None:
    names = _cell("def relu(x):\n    return undefined\n")
    with pytest.raises(AssertionError, match="NameError: name 'undefined' is not defined"):
        check(str(SMALL), names, "relu_values")


def test_functions_that_are_not_there_do_not_pass(small: Assignment) -> None:
    for wanted in ((), ("relu_backward_values",), ("relu_backward",)):
        with pytest.raises(AssertionError) as told:
            check(str(SMALL), {}, *wanted)
        said = str(told.value).split("\n\n")
        assert sorted(said) == ["there is no function relu", "there is no function relu_backward"]
    mistyped = small.solution["units.py"].replace("def relu_backward(", "def relu_backwards(")
    check(str(SMALL), _cell(mistyped), "relu_values")
    with pytest.raises(AssertionError) as told:
        check(str(SMALL), _cell(mistyped))
    assert str(told.value) == "there is no function relu_backward; is it relu_backwards?"


def test_beside_what_is_not_there_the_others_are_checked() -> None:
    names = _cell("def relu(x):\n    return undefined\n")
    with pytest.raises(AssertionError) as told:
        check(str(SMALL), names)
    absent, wrong = str(told.value).split("\n\n")
    assert absent == "there is no function relu_backward"
    assert "NameError" in wrong


def test_all_checks_of_a_function_are_asked_for_by_its_name(small: Assignment) -> None:
    check(str(SMALL), _cell(small.solution["units.py"]), "relu")
    wrong = _cell(small.mistaken(small.mistakes["L4"])["units.py"])
    check(str(SMALL), wrong, "relu")
    with pytest.raises(AssertionError, match=r"relu_backward_values\)\nThe incoming grad"):
        check(str(SMALL), wrong, "relu_backward")


def test_answers_are_none_of_a_notebooks_checks() -> None:
    with pytest.raises(AssertionError) as told:
        check("a5", {})
    assert {line[:20] for line in str(told.value).split("\n\n")} == {"there is no function"}


def test_who_interrupts_a_cell_interrupts_all_of_it() -> None:
    names = _cell("calls = []\ndef relu(x):\n    calls.append(x)\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        check(str(SMALL), names)
    assert len(names["calls"]) == 1


def test_a_check_that_is_not_there_is_told() -> None:
    with pytest.raises(
        AssignmentError, match="no check or function 'rely'; there are the checks r"
    ):
        check(str(SMALL), {}, "rely")


def test_measuring_leaves_the_process_as_it_was() -> None:
    cell = _cell(
        "seen = []\ndef f(x):\n    seen.append(x)\n    assert len(seen) < 3\n    return x\n"
    )
    asked = [{"function": "f", "arguments": [1.0]}]
    before = sys.getprofile()
    sys.setprofile(_look)
    try:
        measure = {"memory": True, "calls": 100}
        [told] = outcomes_of(SimpleNamespace(**cell), Path("<cell>"), asked, measure)
        assert sys.getprofile() is _look
    finally:
        sys.setprofile(before)
    assert told["error"] == "AssertionError"
    assert not tracemalloc.is_tracing()
    assert gc.get_freeze_count() == 0


def _look(*_: Any) -> None:
    """Stand for the profiler of somebody else."""
