"""Every op of minires, checked in its fixed cases: both orders, all memory orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.autograd import EngineHook, Node, Op, registry

from .check import gradcheck
from .op_cases import Case, op_cases
from .report import GradcheckReport

Array = np.ndarray[Any, Any]

LAYOUTS = ("C", "Fortran", "channels last", "with gaps", "reversed")

# Why an op has no gradient; and, of one that has, what its cases cannot show.
EXPLAINED = {
    **dict.fromkeys(
        ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), "a comparison"
    ),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or", "all", "any"), "true or false"),
    **dict.fromkeys(("isnan", "isfinite"), "true or false"),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"), "of integers"),
    **dict.fromkeys(("floor_div", "sign"), "constant between its jumps"),
    **dict.fromkeys(("argmax", "argmin"), "a position"),
    "cast": "from float64 to float64 only: differences in float32 have too few digits",
}


@dataclass(frozen=True)
class OpRow:
    """What was found of one op; true if all is well.

    Attributes
    ----------
    op : str
        Its name in the registry.
    status : str
        "right"; "wrong", "undecided" or "unfit", as `gradcheck` has it, of the first case that
        is not right; "unchecked" where an op has no cases, or where its VJP never ran in them;
        "no gradient" of an op that is declared so.
    cases, layouts : int
        How many there were; each case is repeated in each memory order that its inputs can have.
    entries : int
        How many entries of gradients were compared, each in several memory orders.
    order : int
        The highest that was checked.
    margin : float
        The largest error relative to the one allowed: below 1 where all is right.
    why : str
        Why it is not checked or has no gradient, or the failing case and its report.
    """

    op: str
    status: str
    cases: int = 0
    layouts: int = 0
    entries: int = 0
    order: int = 0
    margin: float = 0.0
    why: str = ""

    def __bool__(self) -> bool:
        return self.status in ("right", "no gradient")


def own_ops() -> list[str]:
    """Return the names of minires' own ops, as they stand in the registry."""
    return [n for n, op in registry.items() if str(op.forward.__module__).startswith("minires.")]


def check_ops(names: Iterable[str] | None = None, order: int = 2) -> Iterator[OpRow]:
    """Check every differentiable op of minires, and yield what was found op by op.

    An op's cases are fixed: unequal sizes, strides, paddings, groups, broadcasting, training and
    evaluation, away from kinks. Each is checked with its inputs and its incoming gradient in C
    order, Fortran order, channels last, with gaps between the values, and reversed; second
    derivatives in C order entry by entry, in the others along random directions.

    Parameters
    ----------
    names : iterable of str, optional
        Of ops, as in the registry; by default all of them.
    order : {1, 2}
        With 2, second derivatives as well.

    Yields
    ------
    OpRow
        In the order of the names.

    Raises
    ------
    ValueError
        If a name is no op's, or `order` is not possible.

    Examples
    --------
    >>> from minires.checking import check_ops
    >>> [(row.op, row.status) for row in check_ops(["tanh", "less"])]
    [('tanh', 'right'), ('less', 'no gradient')]
    """
    known = own_ops()
    wanted = known if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"check_ops: there is no op {name!r}; there are: {', '.join(known)}")
    if order not in (1, 2):
        raise ValueError(f"check_ops: order must be 1 or 2, found {order!r}")
    # Not a generator itself, so that mistakes are told before the first row is asked for.
    return _rows(wanted, order)


def _rows(names: list[str], order: int) -> Iterator[OpRow]:
    cases = op_cases()
    for name in names:
        why = EXPLAINED.get(name, "")
        if not registry[name].differentiable:
            yield OpRow(name, "no gradient", why=why or "declared without one")
        elif name not in cases:
            yield OpRow(name, "unchecked", why="no cases; add some to minires/checking/op_cases")
        else:
            yield _checked(name, cases[name], order, why)


def _checked(name: str, cases: list[Case], order: int, why: str) -> OpRow:
    entries, margin, layouts = 0, 0.0, set()
    status = "right"
    for case in cases:
        seen = _Seen()
        for layout in layouts_of(case):
            with seen:
                reports = _reports(case, layout, order)
            layouts.add(layout)
            entries += sum(row.compared for r in reports for row in r.inputs if not row.directions)
            margin = max(margin, *(report.margin for report in reports))
            if not reports[-1]:
                status = reports[-1].status
                why = f"{case.about}, memory order {layout}\n{reports[-1].explain()}"
                break
        if status == "right" and name not in seen.ops:
            status, why = "unchecked", f"{case.about}: its VJP did not run"
        if status != "right":
            break
    return OpRow(name, status, len(cases), len(layouts), entries, order, margin, why)


def _reports(case: Case, layout: str, order: int) -> list[GradcheckReport]:
    """Check one case in one memory order; every report but the last is right."""
    run, inputs = _in_layout(case.run, layout), list(case.inputs)
    if layout == "C":
        return [gradcheck(run, inputs, order=order)]
    first = gradcheck(run, inputs)
    if order == 1 or not first:
        return [first]
    # The formulas are the same in every memory order, and the second order costs most of the time.
    return [first, gradcheck(run, inputs, order=2, mode="random", seed=LAYOUTS.index(layout))]


class _Seen(EngineHook):
    """Notes whose VJPs ran."""

    def __init__(self) -> None:
        self.ops: set[str] = set()

    def vjp_ran(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        self.ops.add(node.name)


def layouts_of(case: Case) -> list[str]:
    """Return the memory orders in which some input of the case differs from C order."""
    dims = {array.ndim for array in case.inputs}
    needed = {"C": True, "Fortran": max(dims) > 1, "channels last": 4 in dims}
    return [layout for layout in LAYOUTS if needed.get(layout, max(dims) > 0)]


def laid_out(array: Array, layout: str) -> Array:
    """Return the same values in new memory of another order, where the array can have it."""
    if layout == "Fortran":
        return array.copy(order="F")
    if layout == "channels last" and array.ndim == 4:
        return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1)
    if layout == "with gaps":
        roomy = np.full([2 * n + 1 for n in array.shape], np.nan, array.dtype)
        inside: Any = (..., *[slice(1, None, 2)] * array.ndim)
        view: Array = roomy[inside]
        view[...] = array
        return view
    if layout == "reversed":
        return np.flip(np.flip(array).copy())
    return array.copy()


def _relaid_forward(x: Array, *, layout: str) -> Array:
    return laid_out(x, layout)


# Made without the decorator, which would put it into the registry: it is no op of the library.
_relaid: Op[Any] = Op(_relaid_forward, "relaid", False, True, False, False)


@_relaid.vjp
def _(g: Any, layout: str) -> Any:
    return _relaid(g, layout=layout)


def _in_layout(run: Callable[..., Any], layout: str) -> Callable[..., Any]:
    """Let a function have its inputs, and its VJP the incoming gradient, in a memory order."""
    if layout == "C":
        return run

    def laid(*inputs: Any) -> Any:
        return _relaid(run(*(_relaid(x, layout=layout) for x in inputs)), layout=layout)

    return laid
