"""A way back, step by step: at which one a student's gradients leave the right ones.

What the steps are is told by the assignment, in ``traces.py``: ``trace_`` and a function's name,
called with the reference and the arguments, yields of each step its rule in words, the name of the
result that it leads to, the gradient that arrives and, where several add up, what it adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from .leaves import differs, tolerance

__all__ = ["Step", "left_at", "misleading", "noted"]

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


def misleading(steps: Sequence[Step], expected: Mapping[str, Any]) -> list[str]:
    """Tell an assignment's author which results are not what the steps to them come to."""
    wrong = []
    for to in dict.fromkeys(step["to"] for step in steps):
        leading = [step["adds"] for step in steps if step["to"] == to]
        if not _parts(expected, to):
            wrong.append(f"a step leads to {to}, which is not in the result")
        elif any(leading) or len(leading) > 1:
            if to not in expected or not all(leading):
                wrong.append(f"not all of several steps to {to} say what array they add")
            elif differs(to, sum(adds for [adds] in leading), expected[to]):
                wrong.append(f"the steps to {to} do not add up to it")
    return wrong


def left_at(
    steps: Sequence[Step], leaf: str, found: Mapping[str, Any], expected: Mapping[str, Any]
) -> list[str]:
    """Tell the first result, in the order of the steps, that is not as it should be.

    Parameters
    ----------
    steps : sequence of Step
        As from `noted`.
    leaf : str
        One that is wrong: if no step leads to it, they do not tell why.
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
    >>> for line in left_at(steps, "dx", {"dx": two}, {"dx": one + two}):
    ...     print(line)
    On the way back, to dx, in lengths of gradients:
      (1) the shortcut: 5 arrives, 5 is added, 5 so far
      (2) the branch: 5 arrives, 1 is added, 5.83 so far
      yours is 1: without (1)
    """
    if not any(_parts({leaf: None}, step["to"]) for step in steps):
        return []
    right: list[str] = []
    # By their last steps: only with these are they complete.
    for to in reversed(dict.fromkeys(step["to"] for step in reversed(steps))):
        wanted = _parts(expected, to)
        got = {name: leaf for name, leaf in _parts(found, to).items() if name in wanted}
        if not wanted or any(name not in got for name in wanted):
            return []
        if any(differs(name, got[name], wanted[name]) for name in wanted):
            if not all(_can_be_told(got[name], wanted[name]) for name in wanted):
                return []
            so_far = f" {', '.join(right)} right;" if right else ""
            too = "" if _parts({leaf: None}, to) else f"{to} is wrong, too. "
            heading = f"{too}On the way back,{so_far} to {to}, in lengths of gradients:"
            return [heading, *_told([s for s in steps if s["to"] == to], got, wanted)]
        right.append(to)
    return []


def _told(
    steps: Sequence[Step], got: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Iterator[str]:
    total: Any = 0.0
    for number, step in enumerate(steps):
        line = f"{step['rule']}: {step['arrives']:.3g} arrives"
        if len(steps) == 1:
            yield f"  {line}, {_norm(wanted.values()):.3g} comes of it"
            continue
        [adds] = step["adds"]
        total = total + adds
        yield f"  ({number + 1}) {line}, {_norm([adds]):.3g} is added, {_norm([total]):.3g} so far"
    become = _become([step["adds"] for step in steps], got, wanted) if len(steps) > 1 else ""
    yield f"  yours is {_norm(got.values()):.3g}" + (f": {become}" if become else "")


def _become(
    adds: Sequence[Sequence[Any]], got: Mapping[str, Any], wanted: Mapping[str, Any]
) -> str:
    """Say which contributions are missing, or counted otherwise, if that is all that is wrong."""
    if len(adds) > _MOST_PARTS:
        return ""
    [a], [n] = got.values(), wanted.values()
    room = tolerance(np.asarray(a), np.asarray(n))
    fits = [
        times
        for times in product((1, *_BECOME), repeat=len(adds))
        if np.abs(sum(t * part for t, [part] in zip(times, adds, strict=True)) - a).max() <= room
    ]
    if len(fits) != 1:
        return ""
    changed = {
        how: [f"({number + 1})" for number, t in enumerate(fits[0]) if t == how] for how in _BECOME
    }
    said = (_BECOME[how].format(" and ".join(which)) for how, which in changed.items() if which)
    return ", ".join(said)


def _parts(leaves: Mapping[str, Any], to: str) -> dict[str, Any]:
    """Return a leaf, or all leaves of what has several."""
    inside = (f"{to}.", f"{to}[")
    return {name: leaf for name, leaf in leaves.items() if name == to or name.startswith(inside)}


def _can_be_told(found: Any, expected: Any) -> bool:
    """Whether it is of finite numbers, as many as there should be; students return anything."""
    a, n = np.asarray(found), np.asarray(expected)
    return a.shape == n.shape and a.dtype.kind in "fiub" and bool(np.isfinite(a).all())


def _norm(arrays: Iterable[Any]) -> float:
    return math.sqrt(sum(float(np.sum(np.square(array))) for array in arrays))
