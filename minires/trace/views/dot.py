"""The recorded graph in Graphviz's language: text alone, nothing needs to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..structure import Block
from .words import number, only, shape

if TYPE_CHECKING:
    from ..records import Forward, Value
    from ..trace import Trace

_STYLES = {
    "shortcut": 'color="#0072B2", fontcolor="#0072B2", style="dashed", penwidth="2"',
    "branch": 'color="#D55E00", fontcolor="#D55E00", style="solid", penwidth="2"',
}


def dot_of(trace: Trace) -> str:
    """Write the forward steps as nodes, in clusters of blocks, and uses of values as edges.

    Parameters
    ----------
    trace : Trace

    Returns
    -------
    str
        DOT. A node carries the op, its module, the shape it made and the norm of its gradient; an
        edge the name of the input that it leads to. Shortcuts are dashed.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> print(dot_of(trace).splitlines()[-3])
      f0 -> f1 [label="branch", color="#D55E00", fontcolor="#D55E00", style="solid", penwidth="2"];
    """
    records = trace.records
    lines = [
        f"digraph {quoted(records.title or 'trace')} {{",
        '  graph [rankdir="TB", fontname="sans-serif", compound="true"];',
        '  node [shape="box", style="rounded", fontname="sans-serif", fontsize="11"];',
        '  edge [fontname="sans-serif", fontsize="9"];',
    ]
    used = {o.value for step in records.forward for o in step.operands if o.value is not None}
    lines += [
        f"  v{value.index} [label={_label([value.name], value)}, {_leaf(value)}];"
        for value in records.values
        if value.op is None and value.index in used
    ]
    for block_number, block in enumerate(trace.structure.blocks):
        lines += _cluster(trace, block_number, block)
    for step in records.forward:
        lines += [
            _edge(trace, step, slot) for slot, o in enumerate(step.operands) if o.value is not None
        ]
    return "\n".join([*lines, "}"]) + "\n"


def quoted(text: str) -> str:
    r"""Quote any text, so that Graphviz shows it letter by letter.

    Examples
    --------
    >>> print(quoted('a "b" \\N <c> &amp; d'))
    "a \"b\" \\N <c> &amp;amp; d"
    """
    # Graphviz reads backslashes as escapes, and entities as in HTML, also between quotes.
    safe = only(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{safe}"'


def _cluster(trace: Trace, place: int, block: Block) -> list[str]:
    """Write the steps of a block; in a frame, if it is more than a single step."""
    nodes = [_node(trace, trace.records.forward[step]) for step in block.steps]
    if not block.path or len(nodes) == 1:
        return [f"  {node}" for node in nodes]
    frame = f'label={quoted(block.path)}; color="gray"; style="rounded"; fontsize="12";'
    return [f"  subgraph cluster{place} {{", f"    {frame}", *[f"    {n}" for n in nodes], "  }"]


def _node(trace: Trace, step: Forward) -> str:
    bold = ', penwidth="2"' if step.index in trace.structure.joins else ""
    names = [step.op, step.module] if step.module else [step.op]
    label = _label(names, trace.records.values[step.output])
    return f"f{step.index} [label={label}{bold}];"


def _label(names: list[str], value: Value) -> str:
    """Put names, a shape and the norm of the gradient one below the other."""
    rows = [*names, shape(value.shape)]
    if value.gradient is not None:
        rows.append(f"|gradient| {number(value.gradient.norm)}")
    return '"' + "\\n".join(quoted(row)[1:-1] for row in rows) + '"'


def _leaf(value: Value) -> str:
    return 'shape="ellipse"' if value.kind == "input" else 'shape="plain", fontcolor="gray30"'


def _edge(trace: Trace, step: Forward, slot: int) -> str:
    operand = step.operands[slot]
    assert operand.value is not None
    made = trace.records.values[operand.value].op
    start = f"v{operand.value}" if made is None else f"f{made}"
    side = trace.structure.side_of(step.index, slot) or operand.edge
    style = f", {_STYLES[side]}" if side in _STYLES else ""
    return f"  {start} -> f{step.index} [label={quoted(operand.edge)}{style}];"
