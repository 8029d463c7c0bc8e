"""What is built on a part that is wrong: graded by itself, and no door to the answers."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.classroom.judging import CheckResult, judged, prepared
from minires.classroom.running.child import key_of, leaves, load, stand_in
from minires.classroom.running.processes import Runner, run_alone
from minires.classroom.running.substitutes import Substitutes, locked, substitutes, wrong_before
from tests.classroom.assignments import Classroom, run_here

RELU = "return np.maximum(x, 0.0)"
WRONG = "return np.maximum(x, 0.1)"


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a4_residual")


@pytest.fixture(scope="module")
def cases(here: Classroom) -> Any:
    return prepared(here.assignment, 5, run_here, mistakes=False)


@pytest.fixture(scope="module")
def given(here: Classroom, cases: Any) -> Mapping[str, Substitutes]:
    checks = here.assignment.settings.checks
    return {
        each.name: substitutes(here.assignment, each, cases[each.name].calls) for each in checks
    }


@pytest.fixture
def graded(
    here: Classroom, cases: Any, given: Mapping[str, Substitutes], tmp_path: Path
) -> Callable[..., dict[str, CheckResult]]:
    """Grade the solved file with some of its text replaced."""

    def graded(*edits: tuple[str, str], runner: Runner = run_here) -> dict[str, CheckResult]:
        text = here.text
        for old, new in edits:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (tmp_path / "residual.py").write_text(text, encoding="utf-8")
        found = judged(here.assignment, tmp_path, cases, runner, given)
        return {each.name: each for each in found}

    return graded


@pytest.mark.parametrize("wrong", [WRONG, "raise NotImplementedError", "return relu(x)", "x += 1"])
def test_an_error_in_relu_costs_the_points_of_relu_alone(
    here: Classroom, graded: Callable[..., dict[str, CheckResult]], wrong: str
) -> None:
    results = graded((RELU, wrong))
    assert [name for name, each in results.items() if each.status != "passed"] == ["relu_values"]
    help = {name: each.says for name, each in results.items() if each.says}
    told = "with relu as it should be, in place of yours"
    blocks = ("basic_identity", "basic_projection", "bottleneck_values", "stage_values")
    assert {name: help.get(name) for name in blocks} == dict.fromkeys(blocks, told)
    # The backwards call no relu, and are right by themselves.
    assert results["basic_backward_identity"].says == ""


def test_it_is_so_in_processes_of_their_own(
    graded: Callable[..., dict[str, CheckResult]],
) -> None:
    results = graded((RELU, WRONG), runner=run_alone)
    assert [name for name, each in results.items() if each.status != "passed"] == ["relu_values"]


@pytest.mark.parametrize("kind", ["float32", "general", "loops", "turned"])
def test_other_styles_are_helped_too(
    here: Classroom, cases: Any, given: Any, tmp_path: Path, kind: str
) -> None:
    text = (here.assignment.folder / "right" / f"{kind}.py").read_text(encoding="utf-8")
    wrong = f"{text}\n\ndef relu(x):\n    {WRONG}\n"
    (tmp_path / "residual.py").write_text(wrong, encoding="utf-8")
    results = judged(here.assignment, tmp_path, cases, run_here, given)
    assert [each.name for each in results if each.status != "passed"] == ["relu_values"]


def test_what_is_wrong_itself_is_not_helped(
    graded: Callable[..., dict[str, CheckResult]],
) -> None:
    last = "return relu(total), caches | values\n"
    results = graded((RELU, WRONG), (last, last.replace("relu(total)", "total")))
    failed = {name: each.says for name, each in results.items() if each.status != "passed"}
    assert failed.keys() == {"relu_values", "basic_identity", "basic_projection"}
    assert failed["basic_projection"] == "skipped: mend relu_values first"
    told = "with basic_block and relu as they should be, in place of yours"
    assert results["stage_values"].says == told


def test_without_the_solution_what_waits_is_skipped(
    here: Classroom, cases: Any, tmp_path: Path
) -> None:
    (tmp_path / "residual.py").write_text(here.text.replace(RELU, WRONG), encoding="utf-8")
    results = {each.name: each for each in judged(here.assignment, tmp_path, cases, run_here)}
    for name in ("basic_identity", "basic_projection", "stage_values"):
        assert results[name].status == "skipped"
        assert results[name].says == "skipped: mend relu_values first"


def test_a_check_is_given_nothing_of_its_own_function(here: Classroom, given: Any) -> None:
    for name, check in here.assignment.checks.items():
        assert check.function not in given[name]
        before = wrong_before(here.assignment, check, dict.fromkeys(here.assignment.checks, False))
        assert given[name].keys() <= before
    assert given["stage_values"].keys() == {
        *("basic_block", "basic_block_backward", "relu", "relu_backward"),
        *("residual_add", "residual_add_backward"),
    }


DIGS = """
import gc, io, sys
import numpy as np

def basic_block(x, params, stride):
    found, todo, seen = [], [sys.modules["__main__"].load(sys.argv[1]), relu], set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, np.ndarray):
            found.append(each)
            try:
                inside = sys.modules["__main__"].load(io.BytesIO(each.tobytes()))
            except Exception:
                continue
            found.append(inside["result"] if isinstance(inside, dict) else inside)
        elif isinstance(each, (list, tuple, dict)) or "cell" in type(each).__name__:
            todo += gc.get_referents(each)
        elif hasattr(each, "__closure__"):
            todo += each.__closure__ or ()
    print("LOCKS", len([each for each in found if each.dtype == np.uint8]))
    for each in reversed(found):
        if each.dtype == float and each.shape == x.shape and (each >= 0).all():
            return each.copy(), {}
    return np.zeros_like(x), {}
"""


@pytest.mark.parametrize("hidden", [True, False])
def test_who_reads_all_that_is_given_finds_no_answer(
    here: Classroom, cases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    """Relu's last result is its block's own: were it not locked, it could be handed in."""
    if not hidden:
        monkeypatch.setattr("minires.classroom.running.substitutes.turned", lambda key, data: data)
    check = here.assignment.checks["basic_identity"]
    given = {check.name: substitutes(here.assignment, check, cases[check.name].calls)}
    text = here.text.replace(RELU, WRONG)
    first, last = text.split("def basic_block(", 1)[0], DIGS
    (tmp_path / "residual.py").write_text(first + last, encoding="utf-8")
    said = []

    def runner(*asked: Any, **also: Any) -> Any:
        answer = run_alone(*asked, **also)
        said.append(answer.said)
        return answer

    sheet = copy.copy(here.assignment)
    chosen = tuple(
        here.assignment.checks[each] for each in ("relu_values", "add_values", check.name)
    )
    sheet.settings = here.assignment.settings.model_copy(update={"checks": chosen})
    found = judged(sheet, tmp_path, cases, runner, {each.name: {} for each in chosen} | given)
    assert found[-1].status == ("skipped" if hidden else "passed")
    assert int(said[-1].split()[1]) >= 2


def test_what_is_locked_is_not_to_be_read_without_its_arguments() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 30))
    for lock in locked("f", [([x], y)]):
        assert y.tobytes()[:8] not in lock["data"].tobytes()
        with pytest.raises(Exception, match=r".+"):
            load(io.BytesIO(lock["data"].tobytes()))


@pytest.mark.parametrize(
    ("change", "opens"),
    [
        (lambda x: x, True),
        (lambda x: x * (1 + 1e-13), True),
        (np.float32, True),
        (lambda x: np.asfortranarray(x[::-1])[::-1], True),
        (lambda x: np.float64(np.float32(x)), True),
        (lambda x: x * 1.01, False),
        (lambda x: x.T, False),
        (lambda x: -x, False),
        (lambda x: np.where(x == x.max(), 0, x), False),
    ],
)
def test_arguments_open_a_lock_up_to_their_rounding(
    change: Callable[[np.ndarray], np.ndarray], opens: bool
) -> None:
    x = np.random.default_rng(1).standard_normal((6, 6))
    cache = {"mask": x > 0, "shape": (6, 6)}
    locks = locked("f", [([x, cache], x + 1)])
    own = stand_in("f", lambda x, cache: None, locks)
    for given in (own(change(x), cache), own(change(x), cache | {"more": [1]})):
        assert (given is not None) == opens
    assert own(x, {"mask": x > 0}) is None
    assert own(x, cache | {"mask": x < 0}) is None
    assert own(x, [cache]) is None


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["a1_tape", "a2_convolution", "a3_batch_norm", "a4_residual"])
def test_a_known_mistake_costs_the_points_of_its_function_alone(name: str, tmp_path: Path) -> None:
    assignment = Classroom(name).assignment
    cases = prepared(assignment, 6, run_here, mistakes=False)
    given = {n: substitutes(assignment, c, cases[n].calls) for n, c in assignment.checks.items()}
    for mistake in assignment.mistakes.values():
        for file, text in assignment.mistaken(mistake).items():
            (tmp_path / file).write_text(text, encoding="utf-8")
        results = judged(assignment, tmp_path, cases, run_here, given)
        lost = {each.name for each in results if each.status != "passed"}
        assert mistake.caught_by in lost
        assert {assignment.checks[each].function for each in lost} == {mistake.function}


def test_arguments_may_be_named(here: Classroom) -> None:
    x = np.arange(3.0)
    named = stand_in("f", lambda x, y=2: None, locked("f", [([x, 2], 5.0)]))
    assert [named(x), named(y=2, x=x), named(x, y=3)] == [5.0, 5.0, None]


def test_who_computes_in_float32_is_given_float32() -> None:
    x = np.arange(3.0)
    own = stand_in("f", None, locked("f", [([x], (x, {"y": [x], "n": 3}))]))
    found, cache = own(np.float32(x))
    assert found.dtype == cache["y"][0].dtype == np.float32
    assert cache["n"] == 3
    assert own(x)[0].dtype == own([0, 1, 2])[0].dtype == np.float64


def test_each_result_is_a_new_one() -> None:
    own = stand_in("f", None, locked("f", [([1.0], np.zeros(3))]))
    own(1.0)[:] = 7
    assert own(1.0).tolist() == [0, 0, 0]


def test_leaves_have_the_names_of_their_places() -> None:
    assert dict(leaves("", [1, {"a": (2, "b")}])) == {"[0]": 1, "[1].a[0]": 2, "[1].a[1]": "b"}


@pytest.mark.parametrize(("off", "status"), [("1e-9", "passed"), ("1e-4", "skipped")])
def test_who_is_near_and_not_there_is_not_helped(
    graded: Callable[..., dict[str, CheckResult]], off: str, status: str
) -> None:
    near = (
        "return relu(total), caches | values\n",
        f"return relu(total * (1 + {off})), caches | values\n",
    )
    assert graded((RELU, WRONG), near)["basic_identity"].status == status


def test_complex_arguments_open_nothing_and_warn_of_nothing() -> None:
    real = np.ones(3)
    assert key_of("f", {"x": real + 0j}, ["x"]) != key_of("f", {"x": real}, ["x"])
