"""Whether an assignment is ready to be given out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from .assignment import Assignment
from .judging import CheckResult, Prepared, judged, prepared
from .processes import Runner, run_alone

__all__ = ["Verified", "verified"]


class Verified(NamedTuple):
    """What is known of an assignment.

    Attributes
    ----------
    problems : list of str
        What has to be mended before it is given out; empty if nothing has.
    caught : int
        Known mistakes that the check which is named for them sees.
    named : int
        Known mistakes that are told by their name.
    mistakes : int
        How many there are.
    """

    problems: list[str]
    caught: int
    named: int
    mistakes: int


def verified(assignment: Assignment, seed: int = 0, runner: Runner = run_alone) -> Verified:
    """Solve an assignment in all ways that are known, right and wrong, and look what is said.

    Parameters
    ----------
    assignment : Assignment
    seed : int
        Another one than students have.
    """
    cases = prepared(assignment, seed, runner)
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        file = Path(place) / assignment.settings.file

        def results_of(text: str) -> dict[str, CheckResult]:
            file.write_text(text, encoding="utf-8")
            return {each.name: each for each in judged(assignment, file, cases, runner)}

        problems = [
            f"the solved file fails {each.name}: {each.says}"
            for each in results_of(assignment.source.solution()).values()
            if each.status != "passed"
        ]
        for each in results_of(assignment.source.starter()).values():
            if each.status == "passed":
                problems.append(f"the starter passes {each.name}")
            elif each.status == "failed" and "NotImplementedError" not in each.says:
                problems.append(f"the starter fails {each.name} with {each.says!r}")
        caught = named = 0
        for mistake in assignment.mistakes.values():
            results = results_of(assignment.mistaken(mistake))
            seen = results[mistake.caught_by].status == "failed"
            told = {each.mistake for each in results.values() if each.status == "failed"}
            caught += seen
            named += mistake.id in told
            if not seen:
                problems.append(f"{mistake.id}: {mistake.caught_by} does not see it")
            elif told - {mistake.id, None}:
                problems.append(f"{mistake.id}: it is called {told}")
            elif mistake.id not in told:
                problems.append(f"{mistake.id}: it is not named; {_rivals(mistake.id, cases)}")
    return Verified(problems, caught, named, len(assignment.mistakes))


def _rivals(mistake: str, cases: dict[str, Prepared]) -> str:
    """Say which other mistakes come to the same in all checks."""
    from .fingerprints import alike

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
