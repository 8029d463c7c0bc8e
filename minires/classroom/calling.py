"""What is seen of calls of a student's function: what it returned, and what it did beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .assignment import Check, Sheet
from .comparing.leaves import NotAsDescribedError, leaves_of
from .running.child import TooManyCallsError, leaves
from .running.processes import Answer, Runner
from .running.substitutes import Substitutes

__all__ = ["Calls", "seen_of_calls"]

Calls = Sequence[tuple[Any, ...]]
# So many lines of a student's lead to an error, as told: from what was called down to where it is.
_MOST_FRAMES = 4
# Bytes: less than any array of a check that looks at memory, more than Python keeps for itself.
_KEPT = 4096


def seen_of_calls(
    sheet: Sheet,
    check: Check,
    calls: Calls,
    folder: Path,
    runner: Runner,
    given: Substitutes | None = None,
) -> tuple[list[dict[str, Any]], str]:
    """Return what is seen of each call of a function in a folder's file, and what was printed."""
    file = folder / sheet.file_of(check.function)
    if not file.is_file():
        missing = {"error": "missing", "says": f"there is no {file.name}"}
        return [missing] * len(calls), ""
    also: dict[str, Any] = {"given": given} if given else {}
    if check.measure:
        also["measure"] = check.measure
    answer = runner(file, check.function, calls, check.seconds, **also)
    return _observed(sheet, check, calls, answer), answer.said


def _observed(sheet: Sheet, check: Check, calls: Calls, answer: Answer) -> list[dict[str, Any]]:
    """Return what is seen of each call: the leaves of its result, and what it did beside."""
    if answer.ended:
        return [{"ended": answer.ended}] * len(calls)
    function = sheet.functions[check.function]
    seen: list[dict[str, Any]] = []
    for call, outcome in zip(calls, _padded(answer.outcomes, len(calls)), strict=True):
        if "missing" in outcome:
            says = f"there is no function {check.function} in {sheet.file_of(check.function)}"
            seen.append({"error": "missing", "says": says})
        elif told := _too_much(check, outcome):
            seen.append(told)
        elif "error" in outcome:
            says = _raised(outcome)
            if "unread" in outcome:
                file = sheet.file_of(check.function)
                says = f"{file} cannot be read: {says.replace(f'({file}, ', '(')}"
                seen.append({"error": "unread", "says": says})
                continue
            # One of a student's own kind that is of the kind asked for, too, is as good.
            asked = check.raises in outcome["kinds"]
            error = check.raises if asked else str(outcome["error"])
            seen.append({"error": error, "says": says})
        elif "result" not in outcome:
            says = f"it returns {outcome.get('unreadable', 'nothing that can be read')}"
            seen.append({"error": "unreadable", "says": says})
        else:
            seen.append(_leaves(sheet, function, call, outcome))
    return seen


def _raised(outcome: Mapping[str, Any]) -> str:
    """Return what is said of an error, and the student's lines that lead to it.

    The last of them may be a right one.
    """
    error, message, frames = outcome["error"], outcome["message"], outcome["frames"]
    if error == "NotImplementedError" and " is yours to " in message:  # as a starter has it
        where = "".join(f" ({frame.partition(': ')[0]})" for frame in frames[-1:])
        return f"not written yet: {message}{where}"
    where = f" ({' → '.join(frames[-_MOST_FRAMES:])})" if frames else ""
    if error == "SystemExit":
        return f"it ends Python instead of returning{where}"
    return f"{error}: {message}{where}"


def _too_much(check: Check, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return what is seen of a call that took more than it may; what it returned is no matter."""
    enough = f"where {check.most_calls} are enough"
    if check.most_calls is not None:
        if outcome.get("error") == TooManyCallsError.__name__:
            says = f"it calls functions {outcome['message']} times, {enough}, and was broken off"
            return {"error": "calls without end", "says": says}
        if (count := outcome.get("calls", 0)) > check.most_calls:
            says = f"it calls functions {count} times, {enough}"
            return {"error": "many calls", "says": says}
    if check.lets_go and (kept := outcome.get("kept", 0)) > _KEPT:
        says = f"{kept // 1000} kB more are held after each call, though what it returned is let go"
        return {"error": "memory kept", "says": says}
    return {}


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
