"""One recorded VJP against differences of its op's forward in float64, and in its own dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minires import devices
from minires.autograd import Node, Tensor
from minires.autograd.context import changed
from minires.checking.check import check
from minires.checking.engines import Minires
from minires.checking.numerical import Settings
from minires.checking.report import GradcheckReport
from minires.checking.subjects import TensorFunction
from minires.devices import Device, random

from .finding import Finding
from .precision_check import Apart, differs_from_float64, on_host, wide
from .records import Backward, Forward, Records, Value
from .replay import random_state

if TYPE_CHECKING:
    from .tape import Tape

Array = np.ndarray[Any, Any]


def check_vjp(
    records: Records, tape: Tape, visit: Backward, node: Node, settings: Settings
) -> Finding:
    """Compare a VJP with differences, in all inputs that it sent something to.

    Differences are taken in float64; what the VJP does in the dtype in which it ran is then
    compared with what it does in float64.
    """
    assert visit.op is not None
    step = records.forward[visit.op]
    name = records.values[step.output].name
    try:
        report = _report(records, tape, visit, node, step, settings)
    except LookupError as error:
        return Finding("vjp", name, step.index, "undecided", message=str(error))
    if report is None:
        why = "it sent nothing to an input of floats"
        return Finding("vjp", name, step.index, "undecided", message=why)
    if report:
        apart = differs_from_float64(tape, visit, node, settings.seed)
        return _of_precision(records, step, apart)
    if report.status != "wrong":
        why = report.problem.splitlines()[0] if report.problem else report.status
        return Finding("vjp", name, step.index, "undecided", message=why)
    row = report.worst
    if row is None or row.worst is None:
        told = report.problem.splitlines()[0]
        return Finding("vjp", name, step.index, "wrong", message=f"its VJP is wrong: {told}")
    found, expected = row.worst.analytic, row.worst.numeric
    pattern = f" ({row.patterns[0]})" if row.patterns else ""
    return Finding(
        "vjp",
        name,
        step.index,
        "wrong",
        row.name,
        found,
        expected,
        f"its VJP sends {found:.9g} to entry {row.worst.index} of its input {row.name!r}, where"
        f" differences give {expected:.9g}{pattern}",
    )


def _of_precision(records: Records, step: Forward, apart: Apart | None) -> Finding:
    """Say of a VJP that is right in float64 what it is in the dtype in which it ran."""
    made = records.values[step.output]
    if apart is None:
        return Finding("vjp", made.name, step.index, "right")
    edge = step.operands[apart.slot].edge
    return Finding(
        "vjp",
        made.name,
        step.index,
        "wrong",
        edge,
        apart.found,
        apart.expected,
        f"its VJP sends {apart.found:.9g} to entry {apart.at} of its input {edge!r} in"
        f" {made.dtype}, and {apart.expected:.9g} in float64, where differences agree with it",
    )


def _report(
    records: Records,
    tape: Tape,
    visit: Backward,
    node: Node,
    step: Forward,
    settings: Settings,
) -> GradcheckReport | None:
    """Check a VJP in the inputs that it sent something to; None if there are none."""
    device = devices.of(next(iter(tape.starts.values()))[0])
    given = [
        _given(records, value, operand.value, device)
        for value, operand in zip(tape.inputs[visit.value], step.operands, strict=True)
    ]
    slots = [sent.slot for sent in visit.sent]
    if not slots or any(given[slot].dtype != np.float64 for slot in slots):
        return None
    arrays = [on_host(given[slot]) for slot in slots]
    engine = Minires(device)
    names = [step.operands[slot].edge for slot in slots]
    call = _called(node, given, slots)
    with changed(hooks=(), expanded=frozenset(), module_path=step.module):
        return check(TensorFunction(call, engine=engine), arrays, names, settings)


def _called(node: Node, given: list[Any], slots: list[int]) -> Callable[..., Any]:
    """Return the op as a function of the inputs in these slots, in float64."""
    op = node.op
    assert op is not None
    constants = {name: wide(value) for name, value in node.called_with.items()}
    state = random.generator().bit_generator.state

    def call(*leaves: Tensor) -> Any:
        inputs = list(given)
        for slot, leaf in zip(slots, leaves, strict=True):
            inputs[slot] = leaf
        # An op that draws random numbers draws the same ones every time.
        with random_state(state):
            return op(*inputs, **constants)

    return call


def _given(records: Records, value: Any, index: int | None, device: Device) -> Any:
    """Return an input in float64: as it was, or what stands for it.

    What no VJP needs may be gone by now. A VJP that did not ask for an input gives the same
    whatever its numbers were: random ones of the recorded mean, deviation and range will do.
    """
    if index is None:
        return wide(value)
    array = value()
    if array is not None:
        return wide(array)
    return device.array(_stand_in(records.values[index]))


def _stand_in(value: Value) -> Array:
    stats = value.stats
    if not value.dtype.startswith("float"):
        raise LookupError(f"{value.name}, which holds {value.dtype}, is gone")
    rng = np.random.default_rng(value.index)
    drawn = np.asarray(rng.standard_normal(value.shape))
    if stats is None or not stats.finite:
        return drawn
    # A spread of its own, should all have been alike.
    spread = stats.std or 0.1 * abs(stats.mean) or 1.0
    moved = stats.mean + spread * drawn
    return np.asarray(np.clip(moved, stats.min, stats.max) if stats.max > stats.min else moved)
