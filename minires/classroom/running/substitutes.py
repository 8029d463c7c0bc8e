"""What functions return in the solution, for checks of what is built on them.

Who got an early part wrong is not to lose the points of all that calls it. So at grading a check
that waits for another one is made once more, and what the functions before it should have returned
stands in for what they do. Results alone are handed over, never code; and each is locked by the
arguments it belongs to, for the code that could read it may be that of somebody who would rather
not compute them: what relu returns last, in a block that ends with it, is what the block returns.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..assignment import Assignment, Check, Sheet
from .child import Lock, dump, key_of, label_of, leaves, positional, seen_of, turned

__all__ = ["Substitutes", "locked", "substitutes", "wrong_before"]

Substitutes = Mapping[str, Sequence[Lock]]


def substitutes(
    assignment: Assignment, check: Check, calls: Sequence[tuple[Any, ...]]
) -> Substitutes:
    """Return what functions return that the solution calls on the way through a check.

    Parameters
    ----------
    assignment : Assignment
    check : Check
    calls : sequence of tuple
        Arguments, as the check has them.

    Returns
    -------
    dict of str to list of dict
        By the name of a function that one of the checks before it is of; never the one that is
        checked.
    """
    function = getattr(assignment.reference, check.function)
    noted: dict[str, list[tuple[list[Any], Any]]] = {
        name: [] for name in sorted(_before(assignment, check)) if name in function.__globals__
    }
    with _noting(function.__globals__, noted):
        for call in calls:
            with contextlib.suppress(Exception):  # which the check may ask for
                function(*copy.deepcopy(call))
    return {name: locked(name, found) for name, found in noted.items() if found}


def wrong_before(sheet: Sheet, check: Check, passed: Mapping[str, bool]) -> set[str]:
    """Return the functions before a check that are not as they should be.

    Parameters
    ----------
    sheet : Sheet
    check : Check
    passed : mapping of str to bool
        Of the checks before it.
    """
    wrong: set[str] = set()
    for name in check.needs:
        need = sheet.checks[name]
        wrong |= wrong_before(sheet, need, passed)
        if not passed[name]:
            wrong.add(need.function)
    return wrong


def _before(sheet: Sheet, check: Check) -> set[str]:
    return wrong_before(sheet, check, dict.fromkeys(sheet.checks, False)) - {check.function}


def locked(name: str, calls: Sequence[tuple[list[Any], Any]]) -> list[Lock]:
    """Lock what a function returned, so that only who has its arguments can read it.

    Parameters
    ----------
    name : str
    calls : sequence of tuple
        Arguments, and what came of them.

    Returns
    -------
    list of dict
        One for each call. Arguments may be rounded, as by float32, and no further off.

    Examples
    --------
    >>> from minires.classroom.running.child import stand_in
    >>> double = stand_in("double", lambda x: "unknown", locked("double", [([3.0], 6.0)]))
    >>> double(1.5 + 1.5), double(3.1)
    (6.0, 'unknown')
    """
    locks: list[Lock] = []
    for arguments, result in calls:
        found, file = dict(leaves("", arguments)), io.BytesIO()
        dump(file, {"result": result, "seen": dict(_seen(found))})
        key = key_of(name, found, sorted(found))
        data = turned(key, np.frombuffer(file.getvalue(), np.uint8))
        locks.append({"leaves": sorted(found), "label": label_of(key), "data": data})
    return locks


def _seen(found: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in found.items():
        if value is not None and not isinstance(value, str):
            yield name, seen_of(name, value)


@contextlib.contextmanager
def _noting(
    module: dict[str, Any], noted: dict[str, list[tuple[list[Any], Any]]]
) -> Iterator[None]:
    """Let functions of a module note with what they are called, and what they return."""
    own = {name: module[name] for name in noted}
    module.update({name: _noted(function, noted[name]) for name, function in own.items()})
    try:
        yield
    finally:
        module.update(own)


def _noted(function: Callable[..., Any], calls: list[tuple[list[Any], Any]]) -> Callable[..., Any]:
    @functools.wraps(function)
    def noted(*arguments: Any, **named: Any) -> Any:
        before = copy.deepcopy(positional(function, arguments, named))
        result = function(*arguments, **named)
        calls.append((before, copy.deepcopy(result)))
        return result

    return noted
