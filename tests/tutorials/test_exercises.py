"""The check of an exercise: three outcomes, whatever an answer does."""

from __future__ import annotations

import math
from typing import Any

import pytest

from minires.tutorials.exercise import Wrong, check


@check
def double(answer: Any) -> str:
    """Twice the number."""
    if answer(2) != 4:
        raise Wrong("double(2) is 4.")
    return "Compared at 2."


def told(answer: Any, capsys: pytest.CaptureFixture[str]) -> str:
    double(answer)
    return capsys.readouterr().out.strip()


def test_a_right_answer_is_told_with_what_was_compared(capsys: Any) -> None:
    assert told(lambda x: x + x, capsys) == "double: right. Compared at 2."


def test_a_wrong_answer_is_told_with_the_reason(capsys: Any) -> None:
    assert told(lambda x: x, capsys) == "double: wrong. double(2) is 4."


def test_an_answer_by_another_name_is_told_by_that_name(capsys: Any) -> None:
    def quadruple(x: int) -> int:
        return 4 * x

    assert told(quadruple, capsys) == "double (quadruple): wrong. double(2) is 4."


def test_a_function_that_returns_none_is_asked_for_its_return(capsys: Any) -> None:
    assert told(lambda x: None, capsys) == (
        "double: not written yet. It returns None: is a return missing?"
    )


@pytest.mark.parametrize("answer", [..., None, lambda x: ...])
def test_dots_are_not_written_yet(answer: Any, capsys: Any) -> None:
    assert told(answer, capsys) == "double: not written yet."


def test_an_answer_that_raises_is_wrong_and_the_line_is_told(capsys: Any) -> None:
    def half(x: int) -> float:
        return x / 0

    def double(x: int) -> float:
        return half(x)

    assert told(double, capsys) == (
        "double: wrong. It raises ZeroDivisionError: division by zero\n    at: return x / 0"
    )


def test_an_error_outside_of_the_answer_has_no_line(capsys: Any) -> None:
    wrongly_called = told(lambda: 4, capsys)
    assert wrongly_called.startswith("double: wrong. It raises TypeError")
    assert "at:" not in wrongly_called
    assert "at:" not in told(math.acos, capsys)  # it has no line that Python could tell


def test_an_answer_that_is_no_function_is_wrong(capsys: Any) -> None:
    assert told(3, capsys).startswith("double: wrong. It raises TypeError")
