"""For every differentiable op of minires, fixed cases to check its gradient in."""

from __future__ import annotations

from itertools import chain

from . import collectives, elementwise, images, norms, places, products, windows
from .case import Case


def op_cases() -> dict[str, list[Case]]:
    """Return the cases of every op, by its name in the registry; the same ones at every call."""
    found: dict[str, list[Case]] = {}
    families = (elementwise, places, products, windows, norms, images, collectives)
    for case in chain.from_iterable(family.cases() for family in families):
        found.setdefault(case.op, []).append(case)
    return found


__all__ = ["Case", "op_cases"]
