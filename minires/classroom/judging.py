"""What a student's file did, judged: passed or not, why, and which mistake it was."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from .assignment import Assignment, AssignmentError, Check, Sheet
from .calling import Calls, seen_of_calls
from .comparing.explaining import Explanation, explained
from .comparing.fingerprints import Fingerprint, alike, fingerprint
from .comparing.leaves import Difference, difference, first_deviation
from .comparing.steps import Step, noted
from .readings import Answered
from .running.processes import Runner, run_alone
from .running.substitutes import Substitutes, wrong_before

__all__ = ["CheckResult", "Prepared", "judged", "prepared"]

# What a message says of one argument, in characters.
_SHOWN = 60
# Errors of a file, which no call is to be blamed for.
_OF_THE_FILE = ("missing", "unread")


class Prepared(NamedTuple):
    """Of a check, with a seed: what is called, what should come out, what mistakes come to.

    Attributes
    ----------
    calls : sequence of tuple
        Arguments.
    expected : sequence of dict
        What is observed of each call of the solved file.
    mistakes : dict of str to sequence of Fingerprint
        By the id of a mistake in the same function, for each call.
    steps : sequence of sequence of Step
        For each call how its gradients come about; empty if that is not told.
    """

    calls: Calls
    expected: Sequence[dict[str, Any]]
    mistakes: Mapping[str, Sequence[Fingerprint]]
    steps: Sequence[Sequence[Step]] = ()


@dataclass(frozen=True)
class CheckResult:
    """What is said of a check.

    Attributes
    ----------
    name : str
    status : str
        ``passed``, ``failed``, ``skipped`` or, of a text that a human has to read, ``unread``.
    says : str
        What is wrong, with names and numbers; empty if nothing is. Of a text, the text.
    mistake : str or None
        The id of a known mistake that does the very same.
    deviates : str or None
        The first intermediate that is not as it should be.
    printed : str
        What the student's code printed.
    explanation : Explanation
        Of the first result that is wrong.
    """

    name: str
    status: Literal["passed", "failed", "skipped", "unread"]
    says: str = ""
    mistake: str | None = None
    deviates: str | None = None
    printed: str = field(default="", repr=False)
    explanation: Explanation = field(default_factory=Explanation, repr=False)


def prepared(
    assignment: Assignment, seed: int, runner: Runner = run_alone, *, mistakes: bool = True
) -> dict[str, Prepared]:
    """Run the solved file, and every known mistake, for each check of an assignment."""
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        solved = _written(Path(place) / "solved", assignment.solution)
        wrong = {
            each: _written(Path(place) / each.id, assignment.mistaken(each))
            for each in (assignment.mistakes.values() if mistakes else ())
        }
        found = {}
        for check in assignment.settings.checks:
            if check.kind != "calls":
                continue
            calls = assignment.calls(check.name, _rng(seed, check.name), assignment.reference)
            expected = seen_of_calls(assignment, check, calls, solved, runner)[0]
            if any("ended" in each or each.get("error") != check.raises for each in expected):
                raise AssignmentError(
                    f"{assignment.name}: the solved file does not do what {check.name} asks:"
                    f" {expected}"
                )
            if check.raises:  # without its words, which quote the solution
                expected = [{"error": check.raises} for _ in expected]
            found[check.name] = Prepared(
                calls,
                expected,
                {
                    each.id: _fingerprints(
                        assignment,
                        check,
                        seen_of_calls(assignment, check, calls, folder, runner)[0],
                        expected,
                    )
                    for each, folder in wrong.items()
                    if check.function == each.function or check.name == each.caught_by
                },
                _steps(assignment, check, calls),
            )
        return found


def _steps(assignment: Assignment, check: Check, calls: Calls) -> Sequence[Sequence[Step]]:
    steps = [noted(assignment.trace(check.function, call)) for call in calls]
    return steps if any(steps) else ()


def judged(
    sheet: Sheet,
    folder: Path,
    cases: dict[str, Prepared],
    runner: Runner = run_alone,
    given: Mapping[str, Substitutes] = MappingProxyType({}),
) -> list[CheckResult]:
    """Make all checks of a student's files, in order; what needs a failed one is skipped.

    Parameters
    ----------
    sheet : Sheet
    folder : Path
        Of the student's files.
    cases : dict of str to Prepared
        By the names of checks.
    runner : Runner
    given : mapping of str to Substitutes
        For each check what the functions before it should return. What is skipped because one of
        those is wrong is then made once more with that, and may pass.
    """
    answered = Answered(sheet, folder) if sheet.settings.answers else None
    results: dict[str, CheckResult] = {}
    seen: dict[str, list[dict[str, Any]]] = {}
    for check in sheet.settings.checks:
        missing = [results[need] for need in check.needs if results[need].status != "passed"]
        if missing:
            first = missing[0]  # which may wait for another itself
            says = first.says if first.status == "skipped" else f"skipped: mend {first.name} first"
            results[check.name] = CheckResult(check.name, "skipped", says)
            continue
        if answered and check.kind != "calls":
            results[check.name] = CheckResult(check.name, *answered.said_of(check))
            continue
        case = cases[check.name]
        seen[check.name], said = seen_of_calls(sheet, check, case.calls, folder, runner)
        results[check.name] = _judged(sheet, check, case, seen[check.name], said)
    for name, result in results.items():
        if result.status == "failed" and name in seen:
            mistake = _mistake(sheet, sheet.checks[name], cases, seen)
            results[name] = replace(result, mistake=mistake)
    for check in [each for each in sheet.settings.checks if each.name in given]:
        passed = {name: result.status == "passed" for name, result in results.items()}
        wrong = wrong_before(sheet, check, passed)
        if results[check.name].status == "skipped" and check.function not in wrong:
            case = cases[check.name]
            stand = {name: each for name, each in given[check.name].items() if name in wrong}
            made, said = seen_of_calls(sheet, check, case.calls, folder, runner, stand)
            result = _judged(sheet, check, case, made, said)
            if result.status == "passed":
                results[check.name] = replace(result, says=_helped_by(list(stand)))
    return list(results.values())


def _helped_by(names: Sequence[str]) -> str:
    if not names:
        return ""
    be = "it should be" if len(names) == 1 else "they should be"
    return f"with {' and '.join(names)} as {be}, in place of yours"


def _judged(
    sheet: Sheet,
    check: Check,
    case: Prepared,
    seen: Sequence[dict[str, Any]],
    printed: str,
) -> CheckResult:
    function = sheet.functions[check.function]
    all_steps = case.steps or [()] * len(case.calls)
    each = zip(case.calls, seen, case.expected, all_steps, strict=True)
    for call, found, expected, steps in each:
        wrong = _wrong(check, found, expected, function.intermediates)
        if wrong:
            return CheckResult(
                check.name,
                "failed",
                f"{_of_call(check, call, found)}{wrong.says}",
                deviates=first_deviation(found, expected, function.intermediates),
                printed=printed,
                explanation=explained(wrong.leaf, found, expected, call, steps),
            )
    return CheckResult(check.name, "passed", printed=printed)


def _of_call(check: Check, call: tuple[Any, ...], found: Mapping[str, Any]) -> str:
    if found.get("error") in _OF_THE_FILE:
        return ""
    return f"{check.function}({_shown(call)}): "


def _wrong(
    check: Check, found: dict[str, Any], expected: dict[str, Any], optional: tuple[str, ...]
) -> Difference | None:
    """Return what is wrong with a call, if something is."""
    if "ended" in found:
        ends = {
            "time": f"it did not end within {check.seconds:g} seconds",
            "killed": "its process was ended, or ended itself, before it returned",
            "unreadable": "its answer cannot be read",
        }
        return Difference(ends[found["ended"]])
    if "error" in found:
        return None if found["error"] == check.raises else Difference(str(found["says"]))
    if check.raises:
        return Difference(f"it should raise {check.raises} here, and it returns something")
    for name in found:
        if name.startswith("changed ") and name not in expected:
            changed = name.removeprefix("changed ")
            return Difference(f"it changes {changed}, which belongs to the caller")
    if "shared" in found and "shared" not in expected:
        return Difference(
            "what it returns lies in the memory of an argument, so that a change of one is felt"
        )
    values = {name: leaf for name, leaf in expected.items() if not _is_beside(name)}
    return difference(found, values, optional)


def _is_beside(name: str) -> bool:
    """Whether it is of what is seen of a call beside its result.

    What the solved file does too, others may do or not: a cache may hold x itself, or a copy of it.
    """
    return name in ("shared", "error", "ended") or name.startswith("changed ")


def _mistake(
    sheet: Sheet,
    check: Check,
    cases: dict[str, Prepared],
    seen: dict[str, list[dict[str, Any]]],
) -> str | None:
    """Return the one known mistake that does the very same in all checks of a function."""
    names = [n for n in seen if sheet.checks[n].function == check.function]
    found = {
        name: _fingerprints(sheet, sheet.checks[name], seen[name], cases[name].expected)
        for name in names
    }
    fits = [
        mistake
        for mistake in cases[check.name].mistakes
        if all(
            mistake in cases[name].mistakes
            and all(map(alike, found[name], cases[name].mistakes[mistake]))
            for name in names
        )
    ]
    return fits[0] if len(fits) == 1 else None


def _fingerprints(
    sheet: Sheet,
    check: Check,
    seen: Sequence[dict[str, Any]],
    expected: Sequence[dict[str, Any]],
) -> list[Fingerprint]:
    """Return the fingerprints of calls, of what has to be there and what was done beside."""
    optional = sheet.functions[check.function].intermediates
    return [fingerprint(_telling(*each, optional)) for each in zip(seen, expected, strict=True)]


def _telling(
    found: dict[str, Any], expected: dict[str, Any], optional: tuple[str, ...]
) -> dict[str, Any]:
    if "error" in expected:
        return {name: leaf for name, leaf in found.items() if name != "says"}

    def tells(name: str) -> bool:
        if _is_beside(name):
            return name not in expected
        return name in expected and name not in optional

    return {name: leaf for name, leaf in found.items() if tells(name)}


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _written(folder: Path, texts: Mapping[str, str]) -> Path:
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _shown(call: tuple[Any, ...]) -> str:
    return ", ".join(_one(each) for each in call)


def _one(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array{value.shape}"
    if isinstance(value, dict):
        shown = "{" + ", ".join(f"{key}: {_one(each)}" for key, each in value.items()) + "}"
        return shown if len(shown) <= _SHOWN else "{" + ", ".join(map(str, value)) + "}"
    if isinstance(value, list | tuple):
        shown = ", ".join(_one(each) for each in value)
        shown = f"[{shown}]" if isinstance(value, list) else f"({shown})"
        return shown if len(shown) <= _SHOWN else f"{type(value).__name__} of {len(value)}"
    return repr(value)
