"""The assignment on the tape: right beside minires' own, and what is said of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from tests.classroom.assignments import Classroom, run_here


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a1_tape")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return executed(here.text, "a1_tape")


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("add_vjp", lambda a, b: a + b),
        ("sub_vjp", lambda a, b: a - b),
        ("mul_vjp", lambda a, b: a * b),
        ("div_vjp", lambda a, b: a / b),
    ],
)
@pytest.mark.parametrize(
    ("a", "b"), [((3, 2), (3, 2)), ((3, 4), (4,)), ((2, 1, 4), (3, 1)), ((), (2, 3))]
)
def test_rules_are_those_of_minires(solved: Any, name: str, op: Any, a: Any, b: Any) -> None:
    _same_gradients(getattr(solved, name), op, a, b)


@pytest.mark.parametrize(
    ("a", "b"), [((3, 2), (2, 4)), ((5, 3, 2), (2, 4)), ((1, 3, 2), (5, 2, 4))]
)
def test_the_rule_of_matmul_is_that_of_minires(solved: Any, a: Any, b: Any) -> None:
    _same_gradients(solved.matmul_vjp, lambda a, b: a @ b, a, b)


def test_the_residual_block_has_the_gradients_of_minires(solved: Any) -> None:
    _same_gradients(solved.residual_vjp, lambda x, w: x + mr.ops.relu(x @ w), (4, 3), (3, 3))


def test_a_graph_has_the_gradients_of_minires_tape(solved: Any) -> None:
    rng = np.random.default_rng(0)
    x, w = (mr.tensor(rng.standard_normal((3, 2)), requires_grad=True) for _ in range(2))
    a = x * w
    b = a + x
    c = b * b
    y = c + a
    parents = [[], [], [0, 1], [2, 0], [3, 3], [4, 2]]
    partials = [[], [], [w.numpy(), x.numpy()], [None, None], [b.numpy(), b.numpy()], [None, None]]
    g = rng.standard_normal((3, 2))
    found = solved.backward(parents, partials, 5, g)
    expected = mr.grad(y, [x, w, a, b, c], mr.tensor(g))
    for mine, theirs in zip(found, expected, strict=False):
        _close(mine, theirs)
    assert np.array_equal(found[5], g)


def test_any_right_order_is_accepted_and_every_wrong_one_is_seen(here: Classroom) -> None:
    def seen(*order: int) -> Any:
        [view] = [here.assignment.view("topological_order", ([[], [], [0, 1], [2]], 2), order)]
        return view["nodes"].tolist(), view["parents_behind_a_child"]

    assert seen(0, 1, 2) == seen(1, 0, 2) == ([0, 1, 2], 0)
    assert seen(0, 2, 1) == ([0, 1, 2], 1)
    assert seen(2, 0, 1) == ([0, 1, 2], 2)
    assert seen(0, 2) == ([0, 2], 1)
    assert seen(0, 1, 2, 3) == ([0, 1, 2, 3], 0)


def test_zeros_where_no_gradient_arrives_are_told(here: Classroom, tmp_path: Path) -> None:
    file = tmp_path / "tape.py"
    text = here.text
    zeros = "return [np.zeros((3, 2)) if each is None else each for each in grads]"
    assert text.count("    return grads") == 1
    file.write_text(text.replace("return grads", zeros), encoding="utf-8")
    [failed, *_] = [each for each in here.results(file) if each.status == "failed"]
    assert failed.name == "backward_chain"
    assert "grads[3] should be None, it is an array of shape (3, 2)" in failed.says


@pytest.mark.parametrize(
    ("stem", "check", "words"),
    [
        ("A3_paths", "backward_32_blocks", r"calls functions more than 52000 times, where 2600"),
        ("A21_each_time", "backward_32_blocks", r"calls functions 2\d{4} times, where 2600 are"),
        ("A22_global", "backward_lets_go", r"18 kB more are held after each call"),
    ],
)
def test_what_takes_too_much_is_told_with_numbers(
    here: Classroom, stem: str, check: str, words: str
) -> None:
    [file] = [each for each in here.files("second") if each.stem == stem]
    [failed] = [each for each in here.results(file) if each.status == "failed"]
    assert failed.name == check
    assert re.search(words, failed.says)


def test_a_walk_through_residual_blocks_calls_few_functions_for_each_node(here: Classroom) -> None:
    """Whichever way is right, it is far from the 40 for each node that are allowed."""
    for check in ("topological_order_residual", "backward_32_blocks"):
        assert here.assignment.checks[check].most_calls == 40 * 65
        calls = here.assignment.calls(check, np.random.default_rng(0), here.assignment.reference)
        for file in here.files("right"):
            answer = run_here(
                file, here.assignment.checks[check].function, calls, 5.0, measure={"calls": 2600}
            )
            assert max(each["calls"] for each in answer.outcomes) <= 10 * 65


def _same_gradients(vjp: Any, op: Any, a: Any, b: Any) -> None:
    rng = np.random.default_rng(1)
    tensors = [mr.tensor(rng.standard_normal(shape), requires_grad=True) for shape in (a, b)]
    y = op(*tensors)
    g = rng.standard_normal(tuple(y.shape))
    expected = mr.grad(y, tensors, mr.tensor(g))
    for mine, theirs in zip(vjp(g, *(each.numpy() for each in tensors)), expected, strict=True):
        assert mine.shape == tuple(theirs.shape)
        _close(mine, theirs)


def _close(found: Any, expected: mr.Tensor) -> None:
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-12)
