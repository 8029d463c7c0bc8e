"""The broken programs: right beside minires' own gradients, and each named by its mistake."""

from __future__ import annotations

import difflib
import doctest
import functools
import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from minires.classroom.comparing.leaves import leaves, leaves_of
from minires.classroom.release import handed, release
from minires.classroom.results import Submission
from minires.classroom.running.processes import run_alone
from minires.ops import conv2d, pad, relu, sigmoid, tanh
from tests.classroom.assignments import Classroom, run_here

EPS = 1e-5
PIXELS = (0, 2, 3)


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("resnetlings")


@pytest.fixture(scope="module")
def given(here: Classroom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that students get."""
    return release(here.assignment, tmp_path_factory.mktemp("given") / "resnetlings", run_here)


def test_there_are_24_programs_in_the_order_of_their_numbers(here: Classroom) -> None:
    files = here.assignment.files
    assert len(files) == len(here.assignment.checks) == 24
    assert list(files) == sorted(files)
    for number, (file, check) in enumerate(
        zip(files, here.assignment.settings.checks, strict=True), 1
    ):
        assert file == f"{number:02d}_{check.name}.py"
        assert here.assignment.file_of(check.function) == file
        assert check.function == check.name


def test_each_is_given_out_with_a_mistake_of_its_own(here: Classroom) -> None:
    broken = [each.broken for each in here.assignment.settings.functions]
    assert len(set(broken)) == 24
    assert set(broken) <= set(here.assignment.mistakes)


def test_what_is_given_out_differs_from_the_solution_by_the_edits_alone(here: Classroom) -> None:
    starter, solution = here.assignment.starter(), here.assignment.solution
    for function in here.assignment.settings.functions:
        text = solution[file := here.assignment.file_of(function.name)]
        for edit in here.assignment.mistakes[function.broken].edits:
            text = text.replace(edit.find, edit.replace)
        assert starter[file] == text


def test_a_program_never_comments_on_what_is_wrong_with_it(here: Classroom) -> None:
    starter, solution = here.assignment.starter(), here.assignment.solution
    for file, text in starter.items():
        changed = [
            line[2:]
            for line in difflib.ndiff(solution[file].splitlines(), text.splitlines())
            if line[:2] in ("+ ", "- ")
        ]
        assert changed
        assert [line for line in changed if "#" in line or '"""' in line] == []


def test_they_can_be_read_in_a_minute(here: Classroom) -> None:
    for text in here.assignment.solution.values():
        lines = [line for line in text.splitlines() if line.strip()]
        assert len(lines) <= 75
        assert executed(text, "program").__doc__


def _checked(folder: Path) -> Submission:
    return handed(folder).checked(run_here)


def test_as_given_out_each_fails_its_own_check_and_is_named(here: Classroom, given: Path) -> None:
    told = {each.name: each for each in _checked(given).checks}
    for function in here.assignment.settings.functions:
        check = told[function.name]
        assert (check.status, check.diagnosis) == ("failed", function.broken)
        assert here.assignment.mistakes[function.broken].says in check.message


def test_mending_one_passes_its_check_and_no_other(
    here: Classroom, given: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(given, folder)
    for place, (file, text) in enumerate(here.assignment.solution.items(), 1):
        (folder / file).write_text(text, encoding="utf-8")
        if place in (1, 2, 13, 24):
            passed = [each.passed for each in _checked(folder).checks]
            assert passed == [True] * place + [False] * (24 - place)


def test_a_mistake_made_in_mending_another_is_named(
    here: Classroom, given: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(given, folder)
    made = [here.assignment.mistakes[id] for id in ("A9-one", "A12-example", "B1", "R6-back")]
    for mistake in made:
        file = here.assignment.file_of(mistake.function)
        (folder / file).write_text(here.assignment.mistaken(mistake)[file], encoding="utf-8")
    told = {each.name: each.diagnosis for each in _checked(folder).checks}
    assert {mistake.id for mistake in made} == {told[mistake.function] for mistake in made}


def test_no_two_mistakes_are_told_in_the_same_words(here: Classroom) -> None:
    says = [each.says for each in here.assignment.mistakes.values()]
    assert len(set(says)) == len(says)
    assert all(len(each) > 40 for each in says)


def test_hints_go_from_a_question_on_and_differ(here: Classroom) -> None:
    for check in here.assignment.settings.checks:
        first, second, third = check.hints
        assert "?" in first
        assert len({first, second, third}) == 3
        assert all(hint.strip() for hint in check.hints)


@pytest.mark.long
@pytest.mark.timeout(120)
def test_what_is_given_out_is_named_in_processes_of_their_own(here: Classroom, given: Path) -> None:
    told = handed(given).checked(run_alone)
    broken = [each.broken for each in here.assignment.settings.functions]
    assert [each.diagnosis for each in told.checks] == broken


def test_each_mistake_that_is_given_out_is_written_anew(here: Classroom) -> None:
    anew = {name.split("_")[0] for name in here.assignment.variants("second")}
    assert {each.broken for each in here.assignment.settings.functions} <= anew


def _block(x: Any, w: Any) -> Any:
    return x + relu(x @ w)


def _pointwise(x: Any, w: Any, stride: int = 1) -> Any:
    return conv2d(x, w.reshape((*w.shape, 1, 1)), stride=stride)


def _projected(x: Any, params: Any, stride: int = 1) -> Any:
    branch = _pointwise(relu(_pointwise(x, params["conv1"], stride)), params["conv2"])
    return _pointwise(x, params["projection"], stride) + branch


def _normalised(x: Any, gamma: Any, beta: Any) -> Any:
    away = x - x.mean(PIXELS, keepdim=True)
    std = ((away * away).mean(PIXELS, keepdim=True) + EPS) ** 0.5
    return x + relu(gamma * away / std + beta)


def _frozen(x: Any, layer: Any) -> Any:
    z = _pointwise(x, layer["w"])
    z_hat = (z - layer["running_mean"]) / (layer["running_var"] + EPS) ** 0.5
    return relu(x + layer["gamma"] * z_hat + layer["beta"])


# What y is, in the ops of minires, of those programs that return y and gradients of arguments.
PROGRAMS: dict[str, Callable[..., Any]] = {
    "two_ways": _block,
    "chain": lambda x, weights: functools.reduce(_block, weights, x),
    "last_relu": lambda x, w: relu(x + x @ w),
    "two_relus": lambda x, w1, w2: relu(x + relu(x @ w1) @ w2),
    "pre_activation": lambda image, stem, weights: functools.reduce(
        lambda x, w: x + relu(x) @ w, weights, image @ stem
    ),
    "tanh_branch": lambda x, w: x + tanh(x @ w),
    "bias": lambda x, w, b: x + relu(x @ w + b),
    "gate": lambda x, branch: x + sigmoid(x.mean((2, 3), keepdim=True)) * branch,
    "wider": lambda x, w: pad(x, (0, w.shape[1] - x.shape[1])) + relu(x @ w),
    "values": lambda x, weights: functools.reduce(lambda h, w: h + tanh(h * w), weights, x),
    "batch": lambda x, w: x + _pointwise(x, w),
    "projection": _projected,
    "stride": lambda x, w, step: x[:, :, 1:-1:step, 1:-1:step] + conv2d(x, w, stride=step),
    "downsample": _projected,
    "normalised": _normalised,
    "fine_tuning": _frozen,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_mended_programs_gradients_are_those_of_minires(here: Classroom, name: str) -> None:
    function = getattr(here.assignment.reference, name)
    for *arguments, g in here.assignment.calls(name, np.random.default_rng(0), None):
        tensors = _tensors(arguments)
        y = PROGRAMS[name](*tensors)
        named = zip(inspect.signature(function).parameters, tensors, strict=False)
        inputs = {
            path: tensor
            for argument, value in named
            for path, tensor in leaves(
                "grads" if isinstance(value, dict) else f"d{argument}", value
            )
            if isinstance(tensor, mr.Tensor)
        }
        expected = dict(zip(inputs, mr.grad(y, [*inputs.values()], mr.tensor(g)), strict=True))
        found = leaves_of(here.assignment.functions[name], function(*arguments, g))
        assert len(found) > 1
        for path, leaf in found.items():
            _close(leaf, y if path == "y" else expected[path])


def _tensors(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tensors(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_tensors(each) for each in value]
    return mr.tensor(value, requires_grad=True) if isinstance(value, np.ndarray) else value


def _calls(here: Classroom, name: str) -> Any:
    return here.assignment.calls(name, np.random.default_rng(0), None)


def test_the_mended_step_program_has_the_gradients_of_minires(here: Classroom) -> None:
    ops = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b, "tanh": tanh}
    for x, steps, g in _calls(here, "fan_out"):
        values = [mr.tensor(x, requires_grad=True)]
        for name, *read in steps:
            values.append(ops[name](*[values[number] for number in read]))
        y, grads = here.assignment.reference.fan_out(x, steps, g)
        _close(y, values[-1])
        for found, expected in zip(grads, mr.grad(values[-1], values, mr.tensor(g)), strict=True):
            _close(found, expected)


def test_the_mended_sums_have_the_gradients_of_minires(here: Classroom) -> None:
    for a, b, g in _calls(here, "both_sides"):
        x = mr.tensor(np.ones_like(g), requires_grad=True)
        branch1 = mr.tensor(a) * x
        h = x + branch1
        branch2 = mr.tensor(b) * h
        y = h + branch2
        values = {"x": x, "branch1": branch1, "h": h, "branch2": branch2, "y": y}
        expected = mr.grad(y, [*values.values()], mr.tensor(g))
        found = here.assignment.reference.both_sides(a, b, g)
        for name, gradient in zip(values, expected, strict=True):
            _close(found[name], gradient)


@pytest.mark.parametrize("name", ["order", "queue", "deep"])
def test_the_mended_graphs_have_the_gradients_of_minires(here: Classroom, name: str) -> None:
    for parents, slopes, output, g in _calls(here, name):
        names = list(parents) if isinstance(parents, dict) else list(range(len(parents)))
        nodes: dict[Any, Any] = {}
        for node in names:  # both kinds of graph name parents before children
            parts = [
                nodes[parent] * mr.tensor(np.asarray(slope))
                for parent, slope in zip(parents[node], slopes[node], strict=True)
            ]
            start = mr.tensor(np.ones_like(np.asarray(g)), requires_grad=True)
            nodes[node] = functools.reduce(mr.ops.add, parts) if parts else start
        expected = mr.grad(nodes[output], [*nodes.values()], mr.tensor(np.asarray(g)))
        found = getattr(here.assignment.reference, name)(parents, slopes, output, g)
        grads = found[0] if name == "deep" else found
        for node, gradient in zip(names, expected, strict=True):
            _close(grads[node], gradient)
        if name == "deep":
            assert found[1] == sum(len(of) for of in parents)


def test_the_mended_windows_have_the_gradient_of_minires(here: Classroom) -> None:
    for g, w in _calls(here, "windows"):
        x = mr.tensor(np.zeros_like(g), requires_grad=True)
        y = x + conv2d(x, mr.tensor(w), padding=1)
        [expected] = mr.grad(y, [x], mr.tensor(g))
        _close(here.assignment.reference.windows(g, w), expected)


def test_the_mended_steps_are_those_of_minires(here: Classroom) -> None:
    for batches, targets, w, lr in _calls(here, "steps"):
        weight, losses = mr.tensor(w, requires_grad=True), []
        for x, target in zip(batches, targets, strict=True):
            away = mr.tensor(x) + mr.tensor(x) @ weight - mr.tensor(target)
            loss = (away * away).sum() / (2 * len(x))
            losses.append(loss.item())
            [gradient] = mr.grad(loss, [weight])
            weight = mr.tensor(weight.numpy() - lr * gradient.numpy(), requires_grad=True)
        found, told = here.assignment.reference.steps(batches, targets, w, lr)
        _close(found, weight)
        np.testing.assert_allclose(told, losses)


def test_the_mended_evaluation_is_that_of_minires(here: Classroom) -> None:
    for batches, x, gamma, beta, momentum in _calls(here, "evaluation"):
        norm = mr.nn.BatchNorm2d(2, momentum=momentum).to("float64")
        norm.weight.data[:], norm.bias.data[:] = gamma.ravel(), beta.ravel()
        expected = [mr.tensor(each) + relu(norm(mr.tensor(each))) for each in batches]
        norm.eval()
        outputs, y = here.assignment.reference.evaluation(batches, x, gamma, beta, momentum)
        for found, output in zip(outputs, expected, strict=True):
            _close(found, output)
        _close(y, mr.tensor(x) + relu(norm(mr.tensor(x))))


def _close(found: Any, expected: mr.Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-9, atol=1e-11)


def test_the_handouts_example_holds_once_the_program_is_mended(here: Classroom) -> None:
    text = (here.assignment.folder / "handout.md").read_text(encoding="utf-8").replace("```", "")
    for texts, failed in (here.assignment.solution, 0), (here.assignment.starter(), 1):
        names = {"np": np, **vars(executed(texts["01_two_ways.py"], "program"))}
        examples = doctest.DocTestParser().get_doctest(text, names, "handout.md", None, 0)
        said: list[str] = []
        assert doctest.DocTestRunner().run(examples, out=said.append).failed == failed


def test_the_handout_names_every_program_and_counts_the_points(here: Classroom) -> None:
    text = (here.assignment.folder / "handout.md").read_text(encoding="utf-8")
    for name in here.assignment.functions:
        function = getattr(here.assignment.reference, name)
        arguments = ", ".join(inspect.signature(function).parameters)
        assert f"| `{here.assignment.file_of(name)}` | `{name}({arguments})` |" in text
    assert f"**{here.assignment.points}**" in text
    assert f"About {here.assignment.settings.minutes} minutes" in text
