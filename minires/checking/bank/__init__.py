"""A bank of gradients: mistakes that people make, and right solutions that look unusual.

With it a gradient checker is itself checked: it has to reject everything in `WRONG` and to accept
everything in `RIGHT`. All is plain NumPy, so that any checker can be tried on it.

The ids of the mistakes are letters with a number: A is for automatic differentiation, R for
residual blocks, C for convolution, B for batch normalisation, L for ReLU. Mistakes of those lists
that leave a gradient as it is stand in `EXCLUDED`, each with the reason.

Some wrong solutions are seen before any values are compared: a gradient of another shape or
dtype, or one whose computation writes into what it was given.

Examples
--------
>>> import minires as mr
>>> from minires.checking.bank import WRONG
>>> (solution,) = [solution for solution in WRONG if solution.id == "C8"]
>>> solution.title
'convolution: overlaps assigned, not added'
>>> case = solution.case(seed=0)
>>> mr.gradcheck((case.forward, case.vjp), case.inputs).status
'wrong'
"""

from __future__ import annotations

from . import (
    activations,
    classification,
    convolution,
    elementary,
    indexing,
    linear,
    normalization,
    pooling,
    reductions,
    residual,
    tape,
)
from .solution import Case, Geometry, Solution

__all__ = ["EXCLUDED", "RIGHT", "WRONG", "Case", "Geometry", "Solution"]

_ROOMS = (
    *(elementary, linear, reductions, tape, residual, convolution),
    *(normalization, activations, pooling, classification, indexing),
)

WRONG: tuple[Solution, ...] = tuple(solution for room in _ROOMS for solution in room.WRONG)
RIGHT: tuple[Solution, ...] = tuple(solution for room in _ROOMS for solution in room.RIGHT)

_STATE = "state between calls; each call's gradient is right"
EXCLUDED: dict[str, str] = {
    "A3": "recursion along every path costs exponential time, but its gradient is right",
    "A12": f"gradients not reset between steps: {_STATE}",
    "R6": "a stride on one branch only: the forward pass cannot add the two",
    "B10": "batch statistics in evaluation: another function, whose gradient may be right",
    "B11": f"evaluation updates the running statistics: {_STATE}",
    "B12": f"running statistics never updated: {_STATE}",
    "B13": f"momentum swapped: {_STATE}",
    "B14": f"biased or unbiased running variance: {_STATE}",
    "B17": "running statistics keep the graph alive: memory, not values",
    "L2": "at exactly 0 ReLU has a kink, and any slope between 0 and 1 is a valid one",
}
