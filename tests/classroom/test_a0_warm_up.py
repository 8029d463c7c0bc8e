"""The warm-up: right beside minires' own, and what is said of files."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from minires.classroom.verify import verified
from tests.classroom.assignments import Classroom, run_here


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a0_warm_up")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return executed(here.text, "a0_warm_up")


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("chain_backward", lambda x, w: (w * x) ** 2),
        ("residual_backward", lambda x, w: mr.ops.residual_add(x, (w * x) ** 2)),
    ],
)
def test_gradients_of_two_are_those_of_minires(solved: Any, name: str, op: Any) -> None:
    rng = np.random.default_rng(0)
    g, x, w = (rng.standard_normal((3, 4)) for _ in range(3))
    tensors = [mr.tensor(each, requires_grad=True) for each in (x, w)]
    expected = mr.grad(op(*tensors), tensors, mr.tensor(g))
    for found, right in zip(getattr(solved, name)(g, x, w), expected, strict=True):
        np.testing.assert_allclose(found, right.numpy(), rtol=1e-12)


def test_gradients_of_one_are_those_of_minires(solved: Any) -> None:
    rng = np.random.default_rng(0)
    g, x = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    tensor = mr.tensor(x, requires_grad=True)
    [expected] = mr.grad(tensor**2, [tensor], mr.tensor(g))
    np.testing.assert_allclose(solved.square_backward(g, x), expected.numpy(), rtol=1e-12)
    [expected] = mr.grad(tensor.sum(), [tensor], mr.tensor(2.5))
    np.testing.assert_array_equal(solved.total_backward(2.5, x.shape), expected.numpy())


def test_slopes_that_are_measured_agree_with_those_that_are_worked_out(solved: Any) -> None:
    rng = np.random.default_rng(0)
    g, x, w = (rng.uniform(0.5, 2, (3, 4)) for _ in range(3))

    def block(x: np.ndarray) -> Any:
        return x + solved.square(w * x)

    measured = g * solved.slope(block(x + 1e-5), block(x - 1e-5), 1e-5)
    assert solved.relative_error(measured, solved.residual_backward(g, x, w)[0]) < 1e-8


def test_it_can_be_given_out(here: Classroom) -> None:
    found = verified(here.assignment, seed=1, runner=run_here)
    assert found.problems == []
    assert found.known_wrong.right == found.known_wrong.total == len(here.assignment.mistakes)
    assert found.known_right.right == found.known_right.total == 3


@pytest.mark.long
@pytest.mark.timeout(600)
def test_it_can_be_given_out_with_a_process_for_each_check(here: Classroom) -> None:
    assert verified(here.assignment, seed=2).problems == []


def test_mistakes_written_anew_are_named_or_unknown_and_never_misnamed(here: Classroom) -> None:
    told = {file: here.named(file) for file in here.files("second")}
    made = {file: file.stem.split("_")[0] for file in told}
    assert set(made.values()) == set(here.assignment.mistakes)
    assert {file.stem: ids for file, ids in told.items() if ids - {made[file]}} == {}
    assert sum(bool(ids) for ids in told.values()) >= 0.9 * len(told)


def test_of_two_mistakes_one_is_named_or_none(here: Classroom) -> None:
    for file in here.files("two"):
        assert any(each.status == "failed" for each in here.results(file))
        assert here.named(file) <= set(file.stem.split("_"))


def test_the_handouts_examples_hold(here: Classroom, solved: Any) -> None:
    text = (here.assignment.folder / "handout.md").read_text(encoding="utf-8").replace("```", "")
    names = {"np": np, **vars(solved)}
    examples = doctest.DocTestParser().get_doctest(text, names, "handout.md", None, 0)
    assert len(examples.examples) >= 8
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_the_handout_names_every_function_and_counts_the_points(here: Classroom) -> None:
    text = (here.assignment.folder / "handout.md").read_text(encoding="utf-8")
    assert [name for name in here.assignment.functions if f"`{name}(" not in text] == []
    assert f"**{here.assignment.points}**" in text
    assert f"About {here.assignment.settings.minutes} minutes" in text
