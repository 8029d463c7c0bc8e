"""Whether an assignment is ready to be given out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .assignment import Assignment
from .comparing.fingerprints import alike
from .comparing.steps import misleading
from .judging import CheckResult, Prepared, judged, prepared
from .running.processes import Runner, run_alone
from .running.remembering import Remembering

__all__ = ["Count", "Verified", "verified"]

Texts = Mapping[str, str]
Judge = Callable[[Texts], dict[str, CheckResult]]


@dataclass
class Count:
    """How many there are, and of how many the right thing is said."""

    total: int = 0
    right: int = 0
    unknown: int = 0


@dataclass
class Verified:
    """What is known of an assignment.

    Attributes
    ----------
    name : str
    points : int
    checks : int
    problems : list of str
        What has to be mended before it is given out; empty if nothing has.
    known_wrong : Count
        Known mistakes, and those which the check that is named for them sees.
    known_right : Count
        Solutions in ``right/``, and those that pass everything.
    diagnosis : Count
        Mistakes written again in ``second/``, and those that are called by their name.
    """

    name: str
    points: int
    checks: int
    problems: list[str] = field(default_factory=list)
    known_wrong: Count = field(default_factory=Count)
    known_right: Count = field(default_factory=Count)
    diagnosis: Count = field(default_factory=Count)


def verified(assignment: Assignment, seed: int = 0, runner: Runner = run_alone) -> Verified:
    """Solve an assignment in all ways that are known, right and wrong, and look what is said.

    Parameters
    ----------
    assignment : Assignment
    seed : int
        Another one than students have.
    runner : Runner
    """
    settings = assignment.settings
    told = Verified(assignment.name, assignment.points, len(settings.checks))
    runner = Remembering(runner)
    cases = prepared(assignment, seed, runner)
    if not (assignment.folder / "handout.md").is_file():
        told.problems.append("there is no handout.md, which students get")
    told.problems += _steps(cases)
    with _judge(assignment, cases, runner) as judge:
        told.problems += _whole(judge(assignment.solution), "the solved file")
        told.problems += _starter(assignment, judge(assignment.starter()))
        _known_wrong(assignment, judge, cases, told)
        _known_right(assignment, judge, told)
        _second(assignment, judge, told)
        _two(assignment, judge, told)
    return told


@contextmanager
def _judge(assignment: Assignment, cases: dict[str, Prepared], runner: Runner) -> Iterator[Judge]:
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folder = Path(place)
        there: dict[str, str] = {}

        def judge(texts: Texts) -> dict[str, CheckResult]:
            for name in [each for each in texts if texts[each] != there.get(each)]:
                (folder / name).write_text(texts[name], encoding="utf-8")
            there.update(texts)
            return {each.name: each for each in judged(assignment, folder, cases, runner)}

        yield judge


def _steps(cases: dict[str, Prepared]) -> Iterator[str]:
    for name, case in cases.items():
        for steps, expected in zip(case.steps, case.expected, strict=False):
            for problem in misleading(steps, expected):
                yield f"traces.py: in a call of {name}, {problem}"


def _whole(results: dict[str, CheckResult], what: str) -> Iterator[str]:
    for each in results.values():
        if each.status not in ("passed", "unread"):
            yield f"{what} fails {each.name}: {each.says}"


def _starter(assignment: Assignment, results: dict[str, CheckResult]) -> Iterator[str]:
    for each in results.values():
        function = assignment.functions.get(assignment.checks[each.name].function)
        broken = function.broken if function else ""
        if each.status == "passed":
            yield f"the starter passes {each.name}"
        elif each.status != "failed":
            continue
        elif broken and each.mistake != broken:
            yield f"the starter's {each.name} is called {each.mistake}, not {broken}: {each.says}"
        elif not broken and "is yours to " not in each.says:
            yield f"the starter fails {each.name} otherwise than as unwritten: {each.says}"


def _known_wrong(
    assignment: Assignment, judge: Judge, cases: dict[str, Prepared], told: Verified
) -> None:
    for mistake in assignment.mistakes.values():
        results = judge(assignment.mistaken(mistake))
        seen = results[mistake.caught_by].status == "failed"
        told.known_wrong.total += 1
        told.known_wrong.right += seen
        called = _called(results)
        if not seen:
            told.problems.append(f"{mistake.id}: {mistake.caught_by} does not see it")
        elif called - {mistake.id}:
            told.problems.append(f"{mistake.id}: it is called {', '.join(sorted(called))}")
        elif not called:
            told.problems.append(f"{mistake.id}: it is not named; {_rivals(mistake.id, cases)}")


def _known_right(assignment: Assignment, judge: Judge, told: Verified) -> None:
    for name, texts in assignment.variants("right").items():
        problems = list(_whole(judge(texts), f"right/{name}"))
        told.known_right.total += 1
        told.known_right.right += not problems
        told.problems += problems


def _second(assignment: Assignment, judge: Judge, told: Verified) -> None:
    """Look how mistakes in another style are called; the name of a variant begins with the id."""
    for name, texts in assignment.variants("second").items():
        results = judge(texts)
        called, made = _called(results), {name.split("_")[0]}
        told.diagnosis.total += 1
        told.diagnosis.unknown += not called
        told.diagnosis.right += called == made
        if all(each.status == "passed" for each in results.values()):
            told.problems.append(f"second/{name}: no check sees it")
        if called - made:
            told.problems.append(f"second/{name}: it is called {', '.join(sorted(called))}")


def _two(assignment: Assignment, judge: Judge, told: Verified) -> None:
    """Look that of two mistakes none is called by the name of a third."""
    for name, texts in assignment.variants("two").items():
        results = judge(texts)
        if all(each.status == "passed" for each in results.values()):
            told.problems.append(f"two/{name}: no check sees it")
        if wrongly := _called(results) - set(name.split("_")):
            told.problems.append(f"two/{name}: it is called {', '.join(sorted(wrongly))}")


def _called(results: dict[str, CheckResult]) -> set[str]:
    return {each.mistake for each in results.values() if each.mistake is not None}


def _rivals(mistake: str, cases: dict[str, Prepared]) -> str:
    """Say which other mistakes come to the same in all checks."""
    having = [case for case in cases.values() if mistake in case.mistakes]
    others = {
        other
        for case in having
        for other in case.mistakes
        if other != mistake
        and all(
            other in case.mistakes and all(map(alike, case.mistakes[other], case.mistakes[mistake]))
            for case in having
        )
    }
    return f"the same as {', '.join(sorted(others))}" if others else "nothing is like it"
