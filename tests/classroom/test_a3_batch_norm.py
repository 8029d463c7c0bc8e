"""The assignment on batch normalisation: its solution is right, and its mistakes are told."""

from __future__ import annotations

import doctest
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import Assignment, executed
from minires.classroom.judging import CheckResult, Prepared, judged, prepared
from minires.classroom.processes import Runner, run_alone
from minires.classroom.verify import verified

NAME = "a3_batch_norm"
BANK = Path(__file__).parent / NAME
FOLDER = Path(mr.__file__).parent / "classroom" / "assignments" / NAME


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return Assignment(FOLDER)


@pytest.fixture(scope="module")
def solved(assignment: Assignment) -> Any:
    return executed(assignment.source.solution(), "norm")


@pytest.fixture(scope="module")
def cases(assignment: Assignment, run_here: Runner) -> dict[str, Prepared]:
    return prepared(assignment, 11, run_here)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def told(results: list[CheckResult]) -> set[str]:
    return {each.mistake for each in results if each.mistake}


@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 2, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_the_solution_agrees_with_the_op_and_its_gradients(
    solved: Any, rng: np.random.Generator, shape: tuple[int, ...], training: bool
) -> None:
    x, g = rng.standard_normal((2, *shape))
    gamma, beta, mean = rng.standard_normal((3, shape[1]))
    var = rng.uniform(0.5, 2.0, shape[1])
    inputs = [mr.tensor(each, requires_grad=True) for each in (x, gamma, beta)]
    running = mr.tensor(mean), mr.tensor(var)
    y = mr.ops.batch_norm(inputs[0], *running, *inputs[1:], training, momentum=0.3, eps=0.1)
    y.backward(mr.tensor(g))

    if training:
        found, cache = solved.batch_norm_train(x, gamma, beta, 0.1)
        gradients = solved.batch_norm_train_backward(g, cache)
        mean, var = solved.update_running(mean, var, x, 0.3)
    else:
        found, cache = solved.batch_norm_eval(x, gamma, beta, mean, var, 0.1)
        gradients = solved.batch_norm_eval_backward(g, cache)

    np.testing.assert_allclose(found, y.numpy(), rtol=1e-12)
    for gradient, tensor in zip(gradients, inputs, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mean, running[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(var, running[1].numpy(), rtol=1e-12)


def test_several_steps_agree_with_a_layer_and_gradient_descent(
    solved: Any, rng: np.random.Generator
) -> None:
    layer = mr.nn.BatchNorm2d(2, eps=0.1, momentum=0.2)
    optimizer = mr.optim.SGD(layer.parameters(), lr=0.05)
    batches, gs = [list(rng.standard_normal((3, 4, 2, 3, 2))) for _ in range(2)]
    for x, g in zip(batches, gs, strict=True):
        optimizer.zero_grad()
        layer(mr.tensor(x)).backward(mr.tensor(g))
        optimizer.step()
    found = solved.batch_norm_steps(batches, gs, np.ones(2), np.zeros(2), 0.05, 0.2, 0.1)
    state = layer.state_dict()
    for value, name in zip(found, ("weight", "bias", "running_mean", "running_var"), strict=True):
        np.testing.assert_allclose(value, np.asarray(state[name]), rtol=1e-5)


def test_the_handout_s_example_has_the_right_numbers(
    solved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("norm")
    vars(module).update(vars(solved))
    monkeypatch.setitem(sys.modules, "norm", module)
    text = (FOLDER / "handout.md").read_text(encoding="utf-8")
    example = doctest.DocTestParser().get_doctest(text, {}, "handout.md", None, 0)
    said: list[str] = []
    results = doctest.DocTestRunner().run(example, out=said.append)
    assert results.attempted > 10
    assert results.failed == 0, "".join(said)


def test_the_handout_names_every_function_and_all_points(assignment: Assignment) -> None:
    text = (FOLDER / "handout.md").read_text(encoding="utf-8")
    assert f"**{assignment.points}**" in text
    assert all(f"`{name}(" in text for name in assignment.functions)


def test_every_known_mistake_is_caught_and_named(assignment: Assignment, run_here: Runner) -> None:
    found = verified(assignment, 0, run_here)
    assert found.problems == []
    assert found.caught == found.named == found.mistakes


@pytest.mark.long
def test_it_is_the_same_in_processes_of_their_own(assignment: Assignment) -> None:
    assert verified(assignment, 1, run_alone).problems == []


@pytest.mark.parametrize("file", sorted(BANK.glob("right/*.py")), ids=lambda file: file.stem)
def test_what_is_right_passes_in_any_style(
    assignment: Assignment, cases: dict[str, Prepared], run_here: Runner, file: Path
) -> None:
    results = judged(assignment, file, cases, run_here)
    assert [(each.name, each.says) for each in results if each.status != "passed"] == []
    assert told(results) == set()


def test_mistakes_in_another_style_are_named(
    assignment: Assignment, cases: dict[str, Prepared], run_here: Runner
) -> None:
    files = {file: file.stem.split("_")[0] for file in BANK.glob("second/*.py")}
    found = {file: told(judged(assignment, file, cases, run_here)) for file in files}
    assert set(files.values()) == set(assignment.mistakes)
    assert {file.stem: ids for file, ids in found.items() if ids - {files[file]}} == {}
    assert sum(bool(ids) for ids in found.values()) >= 0.9 * len(files)


@pytest.mark.parametrize("file", sorted(BANK.glob("two/*.py")), ids=lambda file: file.stem)
def test_of_two_mistakes_none_is_told_that_is_not_there(
    assignment: Assignment, cases: dict[str, Prepared], run_here: Runner, file: Path
) -> None:
    results = judged(assignment, file, cases, run_here)
    assert any(each.status == "failed" for each in results)
    assert told(results) <= set(file.stem.split("_"))


def test_the_first_intermediate_that_deviates_is_told(
    assignment: Assignment, cases: dict[str, Prepared], run_here: Runner
) -> None:
    wanted = {"B7_loops": "cache.var", "B9_float32": "cache.std", "B22_loops": "cache.x_hat"}
    for name, leaf in wanted.items():
        results = judged(assignment, BANK / "second" / f"{name}.py", cases, run_here)
        assert results[0].deviates == leaf


def test_a_cache_may_keep_an_argument_and_a_result_may_not(
    assignment: Assignment, cases: dict[str, Prepared], run_here: Runner, tmp_path: Path
) -> None:
    text = assignment.source.solution()
    assert '"gamma": gamma}' in text
    file = tmp_path / "norm.py"
    written_into = "g[:] = dx\n    return g, dgamma, dbeta"
    file.write_text(text.replace("return dx, dgamma, dbeta", written_into))
    by_name = {each.name: each for each in judged(assignment, file, cases, run_here)}
    assert by_name["train_rows"].status == "passed"
    assert "it changes argument 1" in by_name["train_backward_rows"].says
