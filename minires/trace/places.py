"""Finding the value that a person means."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from minires.autograd import Tensor
from minires.nn import Module

from .records import Value
from .structure import block_added_in

if TYPE_CHECKING:
    from .trace import Trace


def value_at(trace: Trace, at: Any = None) -> Value:
    """Return the value that `at` names; see `Trace.value`."""
    records = trace.records
    if not records.forward:
        raise ValueError("this trace is empty: no op ran inside the with-block")
    if at is None:
        return _first_block_input(trace)
    if isinstance(at, Tensor):
        index = None if trace._recorder is None else trace._recorder.find(at)
        if index is None:
            raise KeyError(
                f"a Tensor of shape {at.shape} took no part in the recorded step"
                if trace._recorder is not None
                else "a trace from a file knows no Tensors; name a parameter, a module or a value"
            )
        return records.values[index]
    if isinstance(at, Module):
        raise TypeError(
            f"a module is named by its path, such as 'layer1.0'; found the {type(at).__name__}"
            " itself"
        )
    if isinstance(at, int) and not isinstance(at, bool):
        if not 0 <= at < len(records.values):
            raise KeyError(f"there is no value {at}; the trace has {len(records.values)}")
        return records.values[at]
    named = [value for value in records.values if value.name == at]
    if named:
        return named[0]
    found = _input_of_module(trace, at)
    if found is not None:
        return found
    names = {value.name for value in records.values} | {step.module for step in records.forward}
    near = difflib.get_close_matches(str(at), sorted(names), 3)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise KeyError(f"nothing in this trace is called {at!r}{hint}")


def _first_block_input(trace: Trace) -> Value:
    joins = trace.structure.joins
    for step in trace.records.forward:
        block = trace.structure.block_of(step.index).path
        if block and any(block_added_in(trace.records.forward[j]) == block for j in joins):
            found = _input_of_module(trace, block)
            if found is not None:
                return found
    # A network without blocks that add: its input, or else where its gradient ends.
    leaves = [v for v in trace.records.values if v.kind == "input" and v.requires_grad]
    if leaves:
        return leaves[0]
    road = trace.structure.main_road
    if road:
        return trace.records.values[road[-1]]
    raise ValueError("no value of this trace has a gradient; name one, at=...")


def _input_of_module(trace: Trace, path: str) -> Value | None:
    """Return the first value with a gradient that a module's ops were given from outside.

    Where there is none, the first input.
    """
    records, first = trace.records, None
    inside: set[int] = set()
    for step in records.forward:
        if step.module != path and not step.module.startswith(f"{path}."):
            continue
        for operand in step.operands:
            if operand.value is None or operand.value in inside:
                continue
            value = records.values[operand.value]
            if value.requires_grad and value.kind not in ("parameter", "buffer"):
                return value
            if first is None and value.kind == "input":
                first = value
        inside.add(step.output)
    return first
