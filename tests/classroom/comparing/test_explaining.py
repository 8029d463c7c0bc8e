"""What goes with a failed check: the step where a way back goes wrong, and the heat map."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from minires.classroom.assignment import Assignment
from minires.classroom.comparing.explaining import Explanation, explained, heat_map_of
from minires.classroom.comparing.steps import left_at, misleading, noted
from minires.classroom.judging import CheckResult
from minires.classroom.results import graded
from minires.cli.heat_maps import print_heat_map
from tests.classroom.assignments import Classroom

RNG = np.random.default_rng(4)
G, ONE, TWO, THREE = RNG.standard_normal((4, 3, 4))
STEPS = noted(
    [
        ("the sum over rows", "db", G),
        ("itself", "dx", G, ONE),
        ("the mean", "dx", G, TWO),
        ("the variance", "dx", G, THREE),
    ]
)
RIGHT = {"db": G.sum(0), "dx": ONE + TWO + THREE}
Judge = Callable[[str], dict[str, CheckResult]]


@pytest.fixture(scope="module")
def classroom() -> Callable[[str], Classroom]:
    import functools

    return functools.cache(Classroom)


def _mistaken(here: Classroom, mistake: str, tmp_path: Path) -> dict[str, CheckResult]:
    [text] = here.assignment.mistaken(here.assignment.mistakes[mistake]).values()
    file = tmp_path / "wrong.py"
    file.write_text(text, encoding="utf-8")
    return {each.name: each for each in here.results(file)}


@pytest.mark.parametrize(
    ("dx", "become"),
    [
        (ONE + TWO, ": without (3)"),
        (ONE, ": without (2) and (3)"),
        (ONE + 2 * TWO + THREE, ": with (2) twice"),
        (ONE + TWO - THREE, ": with (3) of the other sign"),
        (2 * ONE + TWO, ": without (3), with (1) twice"),
        ((ONE + TWO).astype("float32"), ": without (3)"),
        (ONE + TWO + 1e-4 * THREE, ""),
        (ONE + 1.5 * TWO + THREE, ""),
    ],
)
def test_what_became_of_the_parts_of_a_sum_is_told_where_it_is_certain(
    dx: Any, become: str
) -> None:
    lines = left_at(STEPS, "dx", RIGHT | {"dx": dx}, RIGHT)

    assert lines[0] == "On the way back, db right; to dx, in lengths of gradients:"
    assert lines[1].startswith(f"  (1) itself: {np.linalg.norm(G):.3g} arrives")
    assert lines[3].endswith(f"{np.linalg.norm(RIGHT['dx']):.3g} so far")
    assert lines[4] == f"  yours is {np.linalg.norm(dx.astype(float)):.3g}{become}"


def test_of_equal_parts_nobody_says_which_is_missing() -> None:
    steps = noted([("one", "dx", G, ONE), ("two", "dx", G, ONE)])
    assert left_at(steps, "dx", {"dx": ONE}, {"dx": 2 * ONE})[-1].split(": ")[1:] == []


def test_the_first_result_that_is_wrong_is_told_in_the_order_of_the_steps() -> None:
    found = {"dx": ONE, "db": G.sum(0) + 1}
    lines = left_at(STEPS, "dx", found, RIGHT)
    assert lines[0] == "db is wrong, too. On the way back, to db, in lengths of gradients:"
    assert len(lines) == 3


@pytest.mark.parametrize(
    "dx", ["words", None, 1.0, np.zeros((3, 5)), np.full((3, 4), np.nan), ONE + 1j, 1]
)
def test_what_is_no_array_of_numbers_has_no_steps(dx: Any) -> None:
    assert left_at(STEPS, "dx", RIGHT | {"dx": dx}, RIGHT) == []
    assert left_at(STEPS, "dx", {"dx": ONE}, RIGHT) == []
    assert left_at(STEPS, "y", RIGHT | {"y": dx}, RIGHT | {"y": ONE}) == []


def test_numbers_of_any_size_are_explained() -> None:
    found = RIGHT | {"dx": np.full((3, 4), -1e308)}
    told = explained("dx", found, RIGHT, (G,), STEPS)
    assert told.steps[-1] == "  yours is inf"


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([("a", "dx", G, ONE), ("b", "dx", G, TWO)], "the steps to dx do not add up to it"),
        ([("a", "dx", G, ONE), ("b", "dx", G)], "not all of several steps to dx say"),
        ([("a", "dw", G)], "a step leads to dw, which is not in the result"),
        ([("a", "dx", G)], None),
    ],
)
def test_steps_that_mislead_are_told_to_their_author(steps: Any, problem: str | None) -> None:
    told = misleading(noted(steps), RIGHT)
    assert not told if problem is None else problem in told[0]


@pytest.mark.parametrize("name", ["a1_tape", "a2_convolution", "a3_batch_norm", "a4_residual"])
def test_the_steps_of_assignments_come_to_their_results(
    classroom: Callable[[str], Classroom], name: str
) -> None:
    from tests.classroom.assignments import run_here

    cases = classroom(name)._cases(run_here).values()
    each = [(s, e) for case in cases for s, e in zip(case.steps, case.expected, strict=False) if s]
    assert each
    assert [problem for steps, right in each for problem in misleading(steps, right)] == []


@pytest.mark.parametrize(
    ("name", "mistake", "check", "lines"),
    [
        ("a1_tape", "A1", "backward_shared", ["grads[2] right; to grads[1]", "without (1)"]),
        (
            "a2_convolution",
            "C12",
            "conv_backward_values",
            ["db right; to dw", "without (1) and (2)"],
        ),
        ("a1_tape", "A10", "backward_chain", ["to grads[2]", "it starts from what is given"]),
        ("a1_tape", "R2", "residual_vjp_values", ["to dx", "with (1) twice"]),
        ("a3_batch_norm", "B1", "train_backward_rows", ["dbeta, dgamma right", "without (3)"]),
        ("a3_batch_norm", "B3", "train_backward_rows", ["to dx", "without (2) and (3)"]),
        ("a4_residual", "R1", "basic_backward_identity", ["conv1 right; to dx", "without (2)"]),
        ("a4_residual", "L1", "basic_backward_identity", ["grads.conv2 right; to grads.conv1"]),
    ],
)
def test_a_mistake_on_the_way_back_is_told_at_its_step(
    classroom: Callable[[str], Classroom],
    tmp_path: Path,
    name: str,
    mistake: str,
    check: str,
    lines: list[str],
) -> None:
    result = _mistaken(classroom(name), mistake, tmp_path)[check]
    assert result.status == "failed"
    assert all(line in "\n".join(result.explanation.steps) for line in lines)


def test_what_is_right_has_no_explanation(classroom: Callable[[str], Classroom]) -> None:
    here = classroom("a3_batch_norm")
    results = [each for file in here.files("right") for each in here.results(file)]
    assert {each.explanation == Explanation() for each in results} == {True}


def test_an_observation_stands_in_for_the_mistake_that_is_not_known(
    small: Assignment, results_of: Judge
) -> None:
    [text] = small.solution.values()
    twice = results_of(text.replace("np.where(mask, x, 0.0)", "np.where(mask, 2 * x, 0.0)"))
    known = results_of(small.mistaken(small.mistakes["L2"])["units.py"])
    says = {each.id: each.says for each in small.mistakes.values()}

    def told(results: dict[str, CheckResult]) -> Any:
        return graded(small, list(results.values()), says, "ada").checks[0]

    assert "y = 2 × what it should be everywhere" in told(twice).message
    assert told(twice).diagnosis is None
    assert told(known).message.startswith(says["L2"])
    assert not any(
        each in told(known).message for each in known["relu_values"].explanation.observed
    )
    assert told(known).heat_map or told(twice).heat_map


def test_a_heat_map_fits_a_terminal_and_has_characters_alone(capsys: Any) -> None:
    right = RNG.standard_normal((4, 8, 30, 40))
    lines = heat_map_of("dx", right * 1.5, right)
    texts = ["".join(text for text, _ in line) for line in lines]
    cells = [
        line for line in texts if line and line.lstrip()[0].isdigit() and set(line) & set("+-")
    ]

    assert texts[0].startswith("dx minus what it should be: ")
    assert len(cells) <= 12
    assert max(map(len, cells)) <= 60
    assert all(text == text.rstrip() for text in texts)
    file = io.StringIO()
    print_heat_map(Console(file=file, highlight=False, soft_wrap=True), lines, indent=3)
    assert file.getvalue() == "".join(f"   {text}\n" for text in texts)
    assert heat_map_of("loss", 1.0, 2.0) == []
