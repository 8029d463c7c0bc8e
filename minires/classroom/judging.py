"""What a student's file did, judged: passed or not, why, and which mistake it was."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from .assignment import Assignment, AssignmentError, Check, Sheet, executed
from .fingerprints import Fingerprint, alike, fingerprint
from .leaves import NotAsDescribedError, difference, first_deviation, leaves, leaves_of
from .processes import Answer, Runner, run_alone

__all__ = ["CheckResult", "Prepared", "judged", "prepared"]


Calls = Sequence[tuple[Any, ...]]
# What a message says of one argument, in characters.
_SHOWN = 60
# Names of what is seen of a call beside its result. What the solved file does too, others may do
# or not: a cache may hold x itself, or a copy of it.
_BESIDE = ("changed ", "shared", "error", "ended")


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
    """

    calls: Calls
    expected: Sequence[dict[str, Any]]
    mistakes: Mapping[str, Sequence[Fingerprint]]


@dataclass(frozen=True)
class CheckResult:
    """What is said of a check.

    Attributes
    ----------
    name : str
    status : str
        ``passed``, ``failed`` or ``skipped``.
    says : str
        What is wrong, with names and numbers; empty if nothing is.
    mistake : str or None
        The id of a known mistake that does the very same.
    deviates : str or None
        The first intermediate that is not as it should be.
    printed : str
        What the student's code printed.
    """

    name: str
    status: Literal["passed", "failed", "skipped"]
    says: str = ""
    mistake: str | None = None
    deviates: str | None = None
    printed: str = field(default="", repr=False)


def prepared(
    assignment: Assignment, seed: int, runner: Runner = run_alone, *, mistakes: bool = True
) -> dict[str, Prepared]:
    """Run the solved file, and every known mistake, for each check of an assignment."""
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        solved = Path(place) / "solved" / assignment.settings.file
        _write(solved, assignment.source.solution())
        reference = executed(assignment.source.solution(), assignment.name)
        files = {}
        for each in assignment.mistakes.values() if mistakes else ():
            files[each.id] = Path(place) / each.id / assignment.settings.file
            _write(files[each.id], assignment.mistaken(each))
        found = {}
        for check in assignment.settings.checks:
            calls = assignment.calls(check.name, _rng(seed, check.name), reference)
            expected = _observed(assignment, check, calls, _run(runner, check, solved, calls))
            if any("ended" in each or each.get("error") != check.raises for each in expected):
                raise AssignmentError(
                    f"{assignment.name}: the solved file does not do what {check.name} asks:"
                    f" {expected}"
                )
            optional = assignment.functions[check.function].intermediates
            seen = {
                each.id: [
                    fingerprint(_telling(found_, right, optional))
                    for found_, right in zip(
                        _observed(
                            assignment, check, calls, _run(runner, check, files[each.id], calls)
                        ),
                        expected,
                        strict=True,
                    )
                ]
                for each in (assignment.mistakes.values() if mistakes else ())
                if check.function == each.function or check.name == each.caught_by
            }
            found[check.name] = Prepared(calls, expected, seen)
        return found


def judged(
    sheet: Sheet, file: Path, cases: dict[str, Prepared], runner: Runner = run_alone
) -> list[CheckResult]:
    """Make all checks of a student's file, in order; what needs a failed one is skipped."""
    results: dict[str, CheckResult] = {}
    seen: dict[str, list[dict[str, Any]]] = {}
    for check in sheet.settings.checks:
        missing = [need for need in check.needs if results[need].status != "passed"]
        if missing:
            says = f"skipped: mend {missing[0]} first"
            results[check.name] = CheckResult(check.name, "skipped", says)
            continue
        case = cases[check.name]
        answer = _run(runner, check, file, case.calls)
        seen[check.name] = _observed(sheet, check, case.calls, answer)
        results[check.name] = _judged(sheet, check, case, seen[check.name], answer.said)
    for name, result in results.items():
        if result.status == "failed":
            mistake = _mistake(sheet, sheet.checks[name], cases, seen)
            results[name] = CheckResult(**{**result.__dict__, "mistake": mistake})
    return list(results.values())


def _judged(
    sheet: Sheet,
    check: Check,
    case: Prepared,
    seen: Sequence[dict[str, Any]],
    printed: str,
) -> CheckResult:
    function = sheet.functions[check.function]
    for call, found, expected in zip(case.calls, seen, case.expected, strict=True):
        says, deviates = _wrong(check, found, expected, function.intermediates), None
        if says:
            deviates = first_deviation(found, expected, function.intermediates)
            says = f"{check.function}({_shown(call)}): {says}"
            return CheckResult(check.name, "failed", says, None, deviates, printed)
    return CheckResult(check.name, "passed", printed=printed)


def _wrong(
    check: Check, found: dict[str, Any], expected: dict[str, Any], optional: tuple[str, ...]
) -> str:
    """Return what is wrong with a call, in a sentence; empty if nothing is."""
    if "ended" in found:
        return {
            "time": f"it did not end within {check.seconds:g} seconds",
            "killed": "its process was ended, or ended itself, before it returned",
            "unreadable": "its answer cannot be read",
        }[found["ended"]]
    if "error" in found:
        return "" if found["error"] == check.raises else str(found["says"])
    if check.raises:
        return f"it should raise {check.raises} here, and it returns something"
    for name in found:
        if name.startswith("changed ") and name not in expected:
            return f"it changes {name.removeprefix('changed ')}, which belongs to the caller"
    if "shared" in found and "shared" not in expected:
        return "what it returns lies in the memory of an argument, so that a change of one is felt"
    values = {name: leaf for name, leaf in expected.items() if not name.startswith(_BESIDE)}
    told = difference(found, values, optional)
    return told.says if told else ""


def _mistake(
    sheet: Sheet,
    check: Check,
    cases: dict[str, Prepared],
    seen: dict[str, list[dict[str, Any]]],
) -> str | None:
    """Return the one known mistake that does the very same in all checks of a function."""
    names = [n for n in seen if sheet.checks[n].function == check.function]
    found = {name: _fingerprints(sheet, name, cases, seen[name]) for name in names}
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
    sheet: Sheet, check: str, cases: Mapping[str, Any], seen: Sequence[dict[str, Any]]
) -> list[Fingerprint]:
    """Return the fingerprints of calls, of what has to be there and what was done beside."""
    optional = sheet.functions[sheet.checks[check].function].intermediates
    return [
        fingerprint(_telling(found, expected, optional))
        for found, expected in zip(seen, cases[check].expected, strict=True)
    ]


def _telling(
    found: dict[str, Any], expected: dict[str, Any], optional: tuple[str, ...]
) -> dict[str, Any]:
    def tells(name: str) -> bool:
        if name.startswith(_BESIDE):
            return name not in expected
        return name in expected and name not in optional

    return {name: leaf for name, leaf in found.items() if tells(name)}


def _observed(sheet: Sheet, check: Check, calls: Calls, answer: Answer) -> list[dict[str, Any]]:
    """Return what is seen of each call: the leaves of its result, and what it did beside."""
    if answer.ended:
        return [{"ended": answer.ended}] * len(calls)
    function = sheet.functions[check.function]
    seen: list[dict[str, Any]] = []
    for call, outcome in zip(calls, _padded(answer.outcomes, len(calls)), strict=True):
        if "missing" in outcome:
            says = f"there is no function {check.function} in {sheet.settings.file}"
            seen.append({"error": "missing", "says": says})
        elif "error" in outcome:
            where = "".join(f" ({frame})" for frame in outcome["frames"][-1:])
            says = f"{outcome['error']}: {outcome['message']}{where}"
            seen.append({"error": str(outcome["error"]), "says": says})
        elif "result" not in outcome:
            says = f"it returns {outcome.get('unreadable', 'nothing that can be read')}"
            seen.append({"error": "unreadable", "says": says})
        else:
            seen.append(_leaves(sheet, function, call, outcome))
    return seen


def _leaves(
    sheet: Sheet, function: Any, call: tuple[Any, ...], outcome: dict[str, Any]
) -> dict[str, Any]:
    try:
        result = sheet.view(function.name, call, outcome["result"])
        leaves = leaves_of(function, result)
    except NotAsDescribedError as error:
        return {"error": "not as described", "says": str(error)}
    except Exception as error:  # of a view, which met what it was not made for
        return {
            "error": "not as described",
            "says": f"what it returns cannot be taken apart: {error}",
        }
    for place, (before, after) in enumerate(zip(call, outcome["arguments"], strict=True)):
        if _changed(before, after):
            leaves[f"changed argument {place + 1}"] = "yes"
    if outcome["shared"]:
        leaves["shared"] = "yes"
    return leaves


def _changed(before: Any, after: Any) -> bool:
    was, now = dict(leaves("", before)), dict(leaves("", after))
    return was.keys() != now.keys() or not all(_same(was[name], now[name]) for name in was)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return bool(np.all(a == b))


def _padded(outcomes: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """A file that cannot be imported has one outcome, which holds for every call."""
    last = outcomes[-1] if outcomes else {"unreadable": "nothing"}
    return [*outcomes, *[last] * (count - len(outcomes))][:count]


def _run(runner: Runner, check: Check, file: Path, calls: Calls) -> Answer:
    return runner(file, check.function, calls, check.seconds)


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")


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
