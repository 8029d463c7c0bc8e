"""The backward pass: one visit per node, in reverse order of creation.

The gradient of a value is the sum of the *contributions* of all that consumed it. They are kept
apart, each with the consumer and the input slot it came through, until the node's turn comes; by
then all consumers (which were made later) have been visited. Nothing recurses, and the work is
linear in the graph.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, NamedTuple

from minires import devices

from .context import EngineHook, changed, current
from .errors import AutogradError
from .node import Node
from .operation import arithmetic
from .tensor import Tensor


class Contribution(NamedTuple):
    """What one use of a value adds to its gradient.

    Attributes
    ----------
    value : array, or Tensor under create_graph
        The share of the gradient. It may alias others; it is never written to.
    consumer : Node or None
        The op application that used the value; None for the gradient that backward began with.
    slot : int
        Which input of the consumer the value was.
    """

    value: Any
    consumer: Node | None
    slot: int

    @property
    def edge(self) -> str:
        """The name of the consumer's input, such as 'shortcut' or 'branch'."""
        if self.consumer is None or self.consumer.op is None:
            return "output"
        return self.consumer.op.input_name(self.slot)


_leaf_lock = threading.Lock()


def _after_fork() -> None:
    """Take a new lock in a forked child: whoever had the old one does not live there."""
    global _leaf_lock
    _leaf_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _reachable(roots: Iterable[Node]) -> list[Node]:
    """All nodes that the roots depend on, the latest first."""
    found = list(dict.fromkeys(roots))
    seen = set(found)
    for node in found:  # which grows meanwhile
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                found.append(parent)
    found.sort(key=attrgetter("order"), reverse=True)
    return found


def _leading_to(targets: set[Node], order: list[Node]) -> set[Node]:
    """The nodes of `order` through which a gradient can reach one of the targets."""
    useful: set[Node] = set()
    for node in reversed(order):
        if node in targets or any(parent in useful for parent in node.parents):
            useful.add(node)
    return useful


def _sum(parts: list[tuple[Any, Node | None, int]], recorded: bool) -> Any:
    """Sum contributions in tape order."""
    total = parts[0][0]
    for value, _, _ in parts[1:]:
        total = total + value if recorded else devices.of(total).add(total, value)
    return total


def _needs(parents: tuple[Node | None, ...], useful: set[Node] | None) -> tuple[bool, ...]:
    """Tell which inputs of an op want a gradient."""
    if useful is not None:
        return tuple([parent in useful for parent in parents])
    if None in parents:
        return tuple([parent is not None for parent in parents])
    return (True,) * len(parents)


def _run_hooks(node: Node, total: Any, recorded: bool) -> Any:
    assert node.hooks is not None
    for hook in list(node.hooks.values()):
        shown = arithmetic[0].clone(total)
        shown = shown if recorded else Tensor._wrap(shown)
        replaced = hook(shown)
        if replaced is not None:
            if not isinstance(replaced, Tensor) or replaced.shape != node.shape:
                found = replaced.shape if isinstance(replaced, Tensor) else type(replaced).__name__
                raise ValueError(
                    f"a hook on {node.where()} must return None or a Tensor of the gradient's"
                    f" shape {node.shape}, found {found}"
                )
            total = arithmetic[0].cast(replaced if recorded else replaced._data, node.dtype)
    return total


def _run(
    roots: Sequence[tuple[Node, Any]],
    targets: set[Node] | None,
    retain_graph: bool,
    recorded: bool,
) -> dict[Node, Any]:
    """Walk the tape from the roots; return the gradients of the targets.

    Without targets, gradients are added to the ``.grad`` of leaves and of values that retain it.
    """
    order = _reachable(node for node, _ in roots)
    useful = None if targets is None else _leading_to(targets, order)
    # For each node ahead, the fields of its contributions.
    pending: dict[Node, list[tuple[Any, Node | None, int]]] = {}
    for node, start in roots:
        pending.setdefault(node, []).append((start, None, 0))
    found: dict[Node, Any] = {}
    hooks = current.get().hooks
    with _shown(hooks):
        for node in order:
            parts = pending.pop(node, None)
            if parts is None or (useful is not None and node not in useful):
                continue
            total, owned = parts[0][0], False
            if len(parts) > 1:
                total, owned = _sum(parts, recorded), True
            elif node.op is None and not recorded and not hooks:
                # While somebody looks on nothing is given away: they may keep what they see.
                consumer, slot = parts[0][1:]
                owned = consumer is not None and consumer.gives_away(slot)
            for hook in hooks:
                hook.contributions_met(node, [Contribution(*part) for part in parts], total)
            if node.hooks:
                summed = total
                total, owned = _run_hooks(node, total, recorded), False
                if total is not summed:
                    for hook in hooks:
                        hook.gradient_replaced(node, total)
            if targets is None:
                if node.op is None or node.retains_grad:
                    _accumulate(node, total, owned, recorded)
            elif node in targets:
                found[node] = total if owned else arithmetic[0].clone(total)
            op, parents = node.op, node.parents
            if op is None:
                continue
            needs = _needs(parents, useful)
            if True not in needs:
                continue
            gradients = op.pull_back(node, total, needs, recorded)
            if hooks:
                shown = tuple([g if n else None for g, n in zip(gradients, needs, strict=True)])
                for hook in hooks:
                    hook.vjp_ran(node, total, shown)
            for slot, parent in enumerate(parents):
                if parent is None or not needs[slot]:
                    continue
                gradient: Any = gradients[slot]
                if gradient.dtype is not parent.dtype and gradient.dtype != parent.dtype:
                    gradient = arithmetic[0].cast(gradient, parent.dtype)
                waiting = pending.get(parent)
                if waiting is None:
                    pending[parent] = [(gradient, node, slot)]
                else:
                    waiting.append((gradient, node, slot))
            if not retain_graph:
                node.release()
    return found


@contextmanager
def _shown(hooks: tuple[EngineHook, ...]) -> Iterator[None]:
    """Tell hooks when a backward pass begins and when it has ended."""
    for hook in hooks:
        hook.pass_began()
    try:
        yield
    finally:
        for hook in hooks:
            hook.pass_ended()


def _accumulate(node: Node, total: Any, owned: bool, recorded: bool) -> None:
    # Threads may share a leaf; between reading its gradient and writing it nobody else may.
    with _leaf_lock:
        earlier = node.grad
        if earlier is not None:
            total = (earlier if recorded else earlier._data) + total
        elif not owned:
            total = arithmetic[0].clone(total)
        node.grad = total if recorded else Tensor._wrap(total)


def _start(output: Tensor, gradient: Any, recorded: bool) -> tuple[Node, Any]:
    """Check a root of the backward pass; return its node and the gradient to begin with."""
    node = output._node
    if node is None:
        raise AutogradError(
            "backward from a Tensor that does not require a gradient: no input of its"
            " computation had requires_grad=True, or it was computed under no_grad or detached"
        )
    if gradient is None:
        if output._data.size != 1:
            raise AutogradError(
                f"backward from a Tensor of shape {output.shape} needs a gradient of that shape;"
                " reduce it to a single value first, as in loss.mean(), or pass gradient=..."
            )
        gradient = Tensor._wrap(output.device.xp.ones_like(output._data))
    elif not isinstance(gradient, Tensor):
        gradient = Tensor._wrap(output.device.array(gradient, output.dtype))
    if gradient.shape != output.shape:
        raise AutogradError(
            f"backward: the gradient has shape {gradient.shape}, the output {output.shape}"
        )
    if gradient.dtype != output.dtype:
        gradient = Tensor._wrap(devices.of(gradient._data).astype(gradient._data, output.dtype))
    return node, gradient if recorded else gradient._data


def backward_from(output: Tensor, gradient: Any, retain_graph: bool, create_graph: bool) -> None:
    """Run a backward pass from `output`; see `Tensor.backward`."""
    with changed(recording=create_graph, expanded=frozenset()):
        _run([_start(output, gradient, create_graph)], None, retain_graph, create_graph)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of `outputs` in `inputs`, leaving every ``.grad`` as it is.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        Where the backward pass begins; gradients of several outputs add up.
    inputs : Tensor or sequence of Tensor
        Leaves or intermediate values.
    grad_outputs : Tensor, array or sequence, optional
        One cotangent per output; may be left out (or None) for single values.
    retain_graph : bool, optional
        Keep what the tape holds for another pass; by default the value of `create_graph`.
    create_graph : bool
        Record the backward pass, so that the gradients can be differentiated again.
    allow_unused : bool
        Return None for an input that the outputs do not depend on, instead of an error.

    Returns
    -------
    tuple of Tensor
        One gradient per input, of its shape and dtype.

    Raises
    ------
    AutogradError
        As `Tensor.backward`; also if an input was not used.

    Examples
    --------
    The second derivative of x^3 is 6x.

    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> (first,) = mr.grad((x * x * x).sum(), x, create_graph=True)
    >>> mr.grad(first.sum(), x)
    (tensor([ 6., 12.]),)
    """
    output_list, input_list = _as_list(outputs), _as_list(inputs)
    starts = [None] * len(output_list) if grad_outputs is None else _as_list(grad_outputs)
    if len(starts) != len(output_list):
        raise AutogradError(f"grad: {len(output_list)} outputs, but {len(starts)} grad_outputs")
    for position, value in enumerate(input_list):
        if value._node is None:
            raise AutogradError(f"grad: input {position} does not require a gradient")
    retain = create_graph if retain_graph is None else retain_graph
    with changed(recording=create_graph, expanded=frozenset()):
        roots = [
            _start(output, start, create_graph)
            for output, start in zip(output_list, starts, strict=True)
        ]
        found = _run(roots, {value._node for value in input_list}, retain, create_graph)
    results: list[Tensor | None] = []
    for position, value in enumerate(input_list):
        gradient = found.get(value._node)
        if gradient is not None and any(value is other for other in input_list[:position]):
            gradient = arithmetic[0].clone(gradient)
        if gradient is None and not allow_unused:
            raise AutogradError(
                f"grad: the outputs do not depend on input {position}; pass allow_unused=True to"
                " get None for it"
            )
        if gradient is not None and not create_graph:
            gradient = Tensor._wrap(gradient)
        results.append(gradient)
    return tuple(results)
