"""What has changed of an assignment since it was graded, check by check."""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from .assignment import Assignment
from .judging import Prepared
from .running.child import dump

__all__ = ["SHARED", "affected", "check_digests", "with_checks"]

# What may decide about every check.
SHARED = ("views.py", "readings.py", "traces.py")


def check_digests(assignment: Assignment, cases: Mapping[str, Prepared]) -> dict[str, str]:
    """Return for each check a checksum of what decides about its result, and of what is said.

    Parameters
    ----------
    assignment : Assignment
    cases : mapping of str to Prepared
    """
    shared = hashlib.sha256()
    for path in (assignment.folder / name for name in SHARED):
        shared.update(path.read_bytes() if path.exists() else b"")
    found = {}
    answers = assignment.settings.answers and assignment.settings.answers.model_dump(mode="json")
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        for check in assignment.settings.checks:
            function = assignment.functions.get(check.function)
            says = {
                each.id: each.says
                for each in assignment.mistakes.values()
                if each.function == check.function
            }
            told = [
                check.model_dump(mode="json", exclude={"hints"}),
                function.model_dump(mode="json") if function else None,
                says,
                answers if check.kind != "calls" else None,
            ]
            total = shared.copy()
            total.update(json.dumps(told).encode())
            if (case := cases.get(check.name)) is not None:
                path = Path(place) / "case.npz"
                dump(path, {**case._asdict(), "mistakes": dict(case.mistakes)})
                total.update(path.read_bytes())
            found[check.name] = total.hexdigest()
    return found


def affected(assignment: Assignment, changed: Collection[str]) -> set[str]:
    """Return the checks to be made again where some have changed, with those that they need.

    All checks of a function tell together which mistake it is, and so do those of no function: what
    is written in one file is looked at together.
    """
    checks = assignment.settings.checks
    found, before = set(changed), set[str]()
    while found != before:
        before = set(found)
        functions = {check.function for check in checks if check.name in found}
        found.update(check.name for check in checks if check.function in functions)
        found.update(check.name for check in checks if found.intersection(check.needs))
        found.update(need for check in checks if check.name in found for need in check.needs)
    return found


def with_checks(assignment: Assignment, names: Collection[str]) -> Assignment:
    """Return an assignment that has some of its checks alone."""
    part = copy.copy(assignment)
    checks = tuple(check for check in assignment.settings.checks if check.name in names)
    part.settings = assignment.settings.model_copy(update={"checks": checks})
    part.checks = {check.name: check for check in checks}
    return part
