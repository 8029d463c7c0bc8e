"""What holds of every assignment that comes with minires: that it can be given out."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

from minires.classroom.assignment import executed
from minires.classroom.shipped import assignment_of, names
from minires.classroom.verify import Verified, verified

from .assignments import run_here

# Those take the longest.
_LONG = ("a3_batch_norm", "a4_residual", "a5_training", "resnetlings")
NAMES = names()


def _holds(name: str, found: Verified) -> None:
    assignment = assignment_of(name)
    assert found.problems == []
    assert found.known_wrong.right == found.known_wrong.total == len(assignment.mistakes)
    assert found.known_right.right == found.known_right.total > 0
    assert found.diagnosis.right + found.diagnosis.unknown == found.diagnosis.total
    assert found.diagnosis.right >= 0.9 * found.diagnosis.total


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.long if each in _LONG else ()) for each in NAMES]
)
def test_it_can_be_given_out(name: str) -> None:
    _holds(name, verified(assignment_of(name), seed=1, runner=run_here))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["a0_warm_up", "a3_batch_norm", "resnetlings"])
def test_it_can_be_given_out_with_a_process_for_each_check(name: str) -> None:
    _holds(name, verified(assignment_of(name), seed=2))


@pytest.mark.parametrize("name", NAMES)
def test_mistakes_are_written_anew_and_some_two_at_once(name: str) -> None:
    assignment = assignment_of(name)
    given_out = {each.broken for each in assignment.settings.functions} - {""}
    made = {each.split("_")[0] for each in assignment.variants("second")}
    assert (given_out or set(assignment.mistakes)) <= made
    assert len(assignment.variants("two")) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_the_handouts_examples_hold(name: str) -> None:
    assignment = assignment_of(name)
    text = (assignment.folder / "handout.md").read_text(encoding="utf-8").replace("```", "")
    functions = {"np": np}
    for file in assignment.sources:
        functions |= vars(executed(assignment.solution[file], Path(file).stem))
    examples = doctest.DocTestParser().get_doctest(text, functions, "handout.md", None, 0)
    assert len(examples.examples) >= 3
    assert doctest.DocTestRunner().run(examples).failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_handout_names_what_is_to_be_written_and_counts_the_points(name: str) -> None:
    assignment = assignment_of(name)
    text = (assignment.folder / "handout.md").read_text(encoding="utf-8")
    shown = {
        each.name: f"`{each.name}(" if not each.broken else f"`{assignment.file_of(each.name)}`"
        for each in assignment.settings.functions
    }
    assert [each for each, how in shown.items() if how not in text] == []
    assert f"**{assignment.points}**" in text
    assert f"About {assignment.settings.minutes} minutes" in text
