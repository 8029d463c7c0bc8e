"""The assignment on training: functions beside minires' own, readings beside its commands."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.judging import CheckResult, judged
from minires.classroom.readings import solved_answers
from minires.classroom.results import graded
from minires.cli.entry import main
from tests.classroom.assignments import Classroom, run_here

Judge = Callable[[dict[str, str]], dict[str, CheckResult]]
READ = {
    *("plain_first", "residual_first", "plain_growth", "residual_growth"),
    *("shortcut_share", "plain_loss", "residual_loss"),
}


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a5_training")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return here.assignment.reference


@pytest.fixture(scope="module")
def record(here: Classroom) -> Any:
    """What the solved answers' seed and configuration record."""
    answers = tomllib.loads(here.assignment.solution["answers.toml"])
    return here.assignment.recorded(answers["seed"], answers["configuration"])


@pytest.fixture
def judge(here: Classroom, tmp_path: Path) -> Judge:
    """Judge files, by their names."""

    def judge(texts: dict[str, str]) -> dict[str, CheckResult]:
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        results = judged(here.assignment, tmp_path, here._cases(run_here), run_here)
        return {each.name: each for each in results}

    return judge


def _named(results: dict[str, CheckResult]) -> set[str]:
    return {each.mistake for each in results.values() if each.mistake}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_loss_and_its_gradient_are_those_of_minires(
    solved: Any, rng: np.random.Generator
) -> None:
    logits, labels = 3 * rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    tensor = mr.tensor(logits, requires_grad=True)
    loss = mr.ops.cross_entropy(tensor, mr.tensor(labels))
    loss.backward()
    assert solved.cross_entropy(logits, labels) == pytest.approx(loss.item(), rel=1e-12)
    _close(solved.cross_entropy_backward(logits, labels), tensor.grad)


def test_steps_are_those_of_minires_sgd(solved: Any, rng: np.random.Generator) -> None:
    weight = rng.standard_normal((3, 4))
    parameter, velocity = mr.nn.Parameter(mr.tensor(weight)), np.zeros((3, 4))
    optimizer = mr.optim.SGD([parameter], lr=0.1, momentum=0.9, weight_decay=0.05)
    for _ in range(3):
        grad = rng.standard_normal((3, 4))
        parameter.grad = mr.tensor(grad)
        optimizer.step()
        weight, velocity = solved.sgd_step(weight, grad, velocity, 0.1, 0.9, 0.05)
        _close(weight, parameter)


@pytest.mark.parametrize("shortcut", [False, True])
def test_a_training_step_has_the_gradients_of_minires(
    here: Classroom, solved: Any, rng: np.random.Generator, shortcut: bool
) -> None:
    calls = here.assignment.calls("train_step_values", rng, solved)
    [(x, labels, params, velocities, *options, _)] = [c for c in calls if c[-1] == shortcut]
    tensors = [mr.nn.Parameter(mr.tensor(each)) for each in params]
    h = mr.tensor(x)
    for weight in tensors[:-1]:
        branch = mr.ops.relu(h @ weight)
        h = mr.ops.residual_add(h, branch) if shortcut else branch
    expected = mr.ops.cross_entropy(h @ tensors[-1], mr.tensor(labels))
    expected.backward()
    loss, new, _ = solved.train_step(x, labels, params, velocities, *options, shortcut)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for tensor, weight, velocity, after in zip(tensors, params, velocities, new, strict=True):
        step, _ = solved.sgd_step(weight, tensor.grad.numpy(), velocity, *options)
        np.testing.assert_allclose(after, step, rtol=1e-9, atol=1e-12)


def test_shares_are_those_of_minires_traces(solved: Any, rng: np.random.Generator) -> None:
    x = mr.tensor(rng.standard_normal((4, 5)), requires_grad=True)
    weight, g = mr.tensor(rng.standard_normal((5, 5))), mr.tensor(rng.standard_normal((4, 5)))
    with mr.trace.record() as trace:
        mr.ops.residual_add(x, mr.ops.relu(x @ weight)).backward(g)
    [fork] = trace.forks()
    through = x.grad.numpy() - g.numpy()
    found = solved.shares(g.numpy(), through)
    assert found == pytest.approx((fork.share("shortcut"), fork.share("branch")), rel=1e-9)
    assert sum(found) == pytest.approx(1)


def _close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-11)


def test_the_handout_names_every_function_answer_and_choice_and_counts_the_points(
    here: Classroom,
) -> None:
    text = (here.assignment.folder / "handout.md").read_text(encoding="utf-8")
    assert [name for name in here.assignment.functions if f"`{name}(" not in text] == []
    answers = [name for name, check in here.assignment.checks.items() if check.kind != "calls"]
    assert [name for name in answers if f"`{name}`" not in text] == []
    starter = here.assignment.starter()["answers.toml"]
    for key, allowed in here.assignment.choices.items():
        *more, last = map(str, allowed)
        said = f"{', '.join(more)} or {last}"
        assert f"`{key}`" in text
        assert f"| {said} |" in text
        assert f"{said}.\n{key} = " in starter
    assert f"**{here.assignment.points}**" in text
    assert f"About {here.assignment.settings.minutes} minutes" in text


def test_what_is_given_out_has_a_place_for_every_answer(here: Classroom) -> None:
    starter = tomllib.loads(here.assignment.starter()["answers.toml"])
    checks = here.assignment.checks.values()
    assert set(starter["readings"]) == {each.name for each in checks if each.kind == "reading"}
    assert set(starter["written"]) == {each.name for each in checks if each.kind == "written"}
    assert set(starter["configuration"]) == set(here.assignment.choices)
    assert starter["seed"] == ""


def test_the_handouts_commands_give_what_is_read(
    here: Classroom,
    record: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """They are run, and their numbers read as a student would: from the table, to three digits."""
    text = (here.assignment.folder / "handout.md").read_text(encoding="utf-8")
    commands = [line for line in text.splitlines() if line.startswith("minires ")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def said(command: str) -> str:
        assert main(shlex.split(command)[1:]) == 0
        return capfd.readouterr().out

    trace, plain, residual = commands
    table, read = said(trace), {}
    right_first, plain_first = _norms(table, "layer1.0")
    right_last, plain_last = _norms(table, "layer3.1")
    [line] = [each for each in table.splitlines() if each.startswith("layer2.1 ")]
    read["residual_first"], read["plain_first"] = right_first, plain_first
    read["residual_growth"], read["plain_growth"] = (
        right_first / right_last,
        plain_first / plain_last,
    )
    read["shortcut_share"] = int(re.findall(r"(\d+)%", line)[0]) / 100
    for name, command in (("plain_loss", plain), ("residual_loss", residual)):
        ended = re.search(r"test error [\d.]+%, loss ([\d.]+)", said(command))
        assert ended
        read[name] = float(ended[1])
    answers = tomllib.loads(here.assignment.solution["answers.toml"])["readings"]
    assert read.keys() == answers.keys() == READ
    for name, value in read.items():
        check = here.assignment.checks[name]
        room = check.atol + check.rtol * record[0][name]
        assert value == pytest.approx(record[0][name], rel=0, abs=room)
        assert value == pytest.approx(answers[name], rel=0, abs=2 * room)


def _norms(table: str, block: str) -> list[float]:
    [line] = [each for each in table.splitlines() if each.startswith(f"{block} ")]
    return [float(each) for each in re.findall(r"[⊕●]\s+([\d.]+)", line)]


def test_every_mistake_in_reading_is_known_and_its_numbers_differ(
    here: Classroom, record: Any
) -> None:
    right, mistaken = record
    assert set(mistaken) == {
        id for id, mistake in here.assignment.mistakes.items() if not mistake.function
    }
    assert set().union(*mistaken.values()) == READ
    for wrong in mistaken.values():
        assert all(value != right[name] for name, value in wrong.items())


def test_the_recording_is_the_same_again_and_stands_to_many_digits(
    here: Classroom, record: Any
) -> None:
    """On every machine: in float64 rounding does not grow to what anyone reads."""
    expected = {
        "plain_first": 0.39048876641,
        "residual_first": 0.21357589698,
        "plain_growth": 4.6023689815,
        "residual_growth": 2.3509690267,
        "shortcut_share": 0.46703492805,
        "plain_loss": 1.8483641210,
        "residual_loss": 1.2829243208,
    }
    for name, value in expected.items():
        assert record[0][name] == pytest.approx(value, rel=1e-6)


def test_other_numbers_of_the_same_size_are_unknown(here: Classroom, judge: Judge) -> None:
    texts = dict(here.assignment.solution)
    texts["answers.toml"] = texts["answers.toml"].replace("plain_loss = 1.848", "plain_loss = 1.7")
    results = judge(texts)
    assert _named(results) == set()
    assert results["plain_loss"].says == (
        "plain_loss is 1.7 here; what this seed records is another number between 1 and 10"
    )
    assert [name for name, each in results.items() if each.status == "failed"] == ["plain_loss"]


def test_a_student_without_readings_has_the_points_of_the_functions(
    here: Classroom, judge: Judge
) -> None:
    texts = here.assignment.solution | {"answers.toml": "seed = "}
    passed = {name for name, each in judge(texts).items() if each.status == "passed"}
    functions = {name for name, each in here.assignment.checks.items() if each.kind == "calls"}
    assert passed == functions
    assert sum(here.assignment.checks[name].points for name in passed) == 28


def test_a_forged_trace_gains_nothing(here: Classroom, record: Any, tmp_path: Path) -> None:
    """Neither a recording beside the answers, nor a readings.py that agrees with them."""
    eve = tmp_path / "eve"
    (eve / ".assignment").mkdir(parents=True)
    text = solved_answers((here.assignment.folder / "source" / "answers.toml").read_text("utf-8"))
    (eve / "answers.toml").write_text(re.sub(r"(?m)^(\w+_\w+) = .*$", r"\1 = 5.0", text), "utf-8")
    forged = dict.fromkeys(record[0], 5.0)
    for name in ("trace.json", "step.trace", "record.json", "result.json", "metrics.jsonl"):
        (eve / name).write_text(json.dumps(forged), encoding="utf-8")
    code = f"def record(seed, configuration):\n    return {forged}\n"
    for place in (eve, eve / ".assignment"):
        (place / "readings.py").write_text(code + "def mistaken(record):\n    return {}\n", "utf-8")
    results = judged(here.assignment, eve, here._cases(run_here), run_here)
    found = graded(here.assignment, results, {}, "eve")
    assert found.score == 0
    told = {each.name: each for each in found.checks}
    assert {told[name].status for name in READ} == {"failed"}
    assert {told[name].points for name in ("growth", "sharing", "limits")} == {0}
    assert told["growth"].status == "unread"
    assert told["cross_entropy_values"].message.endswith("there is no training.py")
