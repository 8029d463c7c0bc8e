"""A way back, step by step: at which one a student's gradients leave the right ones.

What the steps are is told by the assignment, in ``traces.py``: ``trace_NAME(reference, *arguments)``
yields of each its rule in words, the name of the result that it adds to, the gradient that arrives
and, where several add up, what this one adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from .leaves import differs, tolerance

__all__ = ["Step", "left_at", "noted"]

Step = dict[str, Any]

# What may have become of a contribution: forgotten, counted twice, of the wrong sign.
_BECOME = {0: "without {}", 2: "with {} twice", -1: "with {} of the other sign"}
_MOST_PARTS = 4


def noted(steps: Iterable[tuple[Any, ...]]) -> list[Step]:
    """Return steps as they are given to students: numbers, from which no rule can be read.

    Parameters
    ----------
    steps : iterable of (str, str, array) or (str, str, array, array)
        Rule, what it adds to, what arrives, what it adds.
    """
    return [
        {"rule": rule, "to": to, "arrives": _norm([arrives]), "adds": list(adds)}
        for rule, to, arrives, *adds in steps
    ]


def left_at(
    steps: Sequence[Step], found: Mapping[str, Any], expected: Mapping[str, Any]
) -> list[str]:
    """Tell the first result, in the order of the steps, that is not as it should be.

    Parameters
    ----------
    steps : sequence of Step
        As from `noted`.
    found, expected : dict of leaves

    Returns
    -------
    list of str
        Lines; empty if all results are right, or cannot be compared.

    Examples
    --------
    A gradient that is the sum of two, of which the second replaces the first:

    >>> import numpy as np
    >>> one, two = np.array([3.0, 4.0]), np.array([0.0, 1.0])
    >>> steps = noted([("the shortcut", "dx", one, one), ("the branch", "dx", one, two)])
    >>> print("\\n".join(left_at(steps, {"dx": two}, {"dx": one + two})))
    Step by step, by the lengths of the gradients; to dx:
      (1) the shortcut: 5 arrives, 5 is added, 5 so far
      (2) the branch: 5 arrives, 1 is added, 5.83 so far
      yours is 1: without (1)
    """
    right: list[str] = []
    for to in dict.fromkeys(step["to"] for step in steps):
        wanted, got = _parts(expected, to), _parts(found, to)
        if not wanted or any(name not in got for name in wanted):
            return []
        if any(differs(name, got[name], wanted[name]) for name in wanted):
            lines = [_heading(right, to)]
            return [*lines, *_told([s for s in steps if s["to"] == to], got, wanted)]
        right.append(to)
    return []


def _heading(right: Sequence[str], to: str) -> str:
    so_far = f"right for {', '.join(right)}; then, to {to}:" if right else f"to {to}:"
    return f"Step by step, by the lengths of the gradients; {so_far}"


def _told(
    steps: Sequence[Step], got: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Iterator[str]:
    total: Any = None
    for number, step in enumerate(steps):
        mark = f"({number + 1}) " if len(steps) > 1 else ""
        line = f"  {mark}{step['rule']}: {step['arrives']:.3g} arrives"
        if step["adds"]:
            [adds] = step["adds"]
            total = adds if total is None else total + adds
            line += f", {_norm([adds]):.3g} is added, {_norm([total]):.3g} so far"
        else:
            line += f", {_norm(wanted.values()):.3g} comes of it"
        yield line
    become = _become(steps, got, wanted)
    yield f"  yours is {_norm(got.values()):.3g}" + (f": {become}" if become else "")


def _become(steps: Sequence[Step], got: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which contributions are missing, or counted otherwise, if that is all that is wrong."""
    adds = [step["adds"][0] for step in steps if step["adds"]]
    if len(got) != 1 or len(adds) != len(steps) or not 1 < len(adds) <= _MOST_PARTS:
        return ""
    [a], [n] = got.values(), wanted.values()
    room = tolerance(np.asarray(a), np.asarray(n))
    fits = [
        times
        for times in product((1, *_BECOME), repeat=len(adds))
        if np.abs(sum(t * add for t, add in zip(times, adds, strict=True)) - a).max() <= room
    ]
    if len(fits) != 1:
        return ""
    said = [
        _BECOME[t].format(f"({number + 1})") for number, t in enumerate(fits[0]) if t in _BECOME
    ]
    return ", ".join(said)


def _parts(leaves: Mapping[str, Any], to: str) -> dict[str, Any]:
    """Return a leaf, or all leaves of what has several."""
    inside = (f"{to}.", f"{to}[")
    return {name: leaf for name, leaf in leaves.items() if name == to or name.startswith(inside)}


def _norm(arrays: Iterable[Any]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(array))) for array in arrays))
