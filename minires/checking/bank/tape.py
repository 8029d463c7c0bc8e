"""The backward pass itself: the order of the nodes, and contributions that meet.

The smallest tape there can be, and the ways to walk it: the rules of the ops are all right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .solution import Array, Geometry, Solution, at


class Node:
    """A value, its parents, and for each of them the rule that takes a gradient to it."""

    def __init__(self, value: Array, *edges: tuple[Node, Callable[[Array], Array]]) -> None:
        self.value = value
        self.edges = edges


def add(a: Node, b: Node) -> Node:
    """Return a + b; both parents are handed the same array."""
    return Node(a.value + b.value, (a, lambda g: g), (b, lambda g: g))


def multiply(a: Node, b: Node) -> Node:
    """Return a * b."""
    return Node(a.value * b.value, (a, lambda g: g * b.value), (b, lambda g: g * a.value))


def matmul(a: Node, b: Node) -> Node:
    """Return a @ b."""
    return Node(a.value @ b.value, (a, lambda g: g @ b.value.T), (b, lambda g: a.value.T @ g))


def tanh(a: Node) -> Node:
    """Return tanh(a)."""
    value = np.tanh(a.value)
    return Node(value, (a, lambda g: g * (1 - value**2)))


def block(x: Node, w: Node) -> Node:
    """Return a residual block, x + tanh(x w)."""
    return add(x, tanh(matmul(x, w)))


def two_blocks(x: Node, w: Node) -> Node:
    """Return two residual blocks that share their weight."""
    return block(block(x, w), w)


def reused(x: Node) -> Node:
    """Return y^2 (y + x) with one node for y = tanh(x)."""
    y = tanh(x)
    return multiply(multiply(y, y), add(y, x))


def added_and_used(a: Node, b: Node) -> Node:
    """Return tanh(b) (a + b)."""
    return multiply(tanh(b), add(a, b))


def added_twice(a: Node, b: Node) -> Node:
    """Return tanh(b) + (a + b)."""
    return add(tanh(b), add(a, b))


Gradients = dict[Node, Array]
Backward = Callable[[Node, Array], Gradients]


def _forward(*inputs: Array, program: Callable[..., Node]) -> Array:
    return program(*map(Node, inputs)).value


def _by(backward: Backward) -> Callable[..., tuple[Array, ...]]:
    """Return the vjp that runs a program on the tape and walks back."""

    def vjp(g: Array, *inputs: Array, program: Callable[..., Node]) -> tuple[Array, ...]:
        leaves = [Node(value) for value in inputs]
        gradients = backward(program(*leaves), g.copy())
        return tuple(gradients.get(leaf, np.zeros_like(leaf.value)) for leaf in leaves)

    return vjp


def _postorder(node: Node, seen: set[Node]) -> Iterator[Node]:
    """Visit parents before children, each once."""
    if node not in seen:
        seen.add(node)
        for parent, _ in node.edges:
            yield from _postorder(parent, seen)
        yield node


def _preorder(node: Node, seen: set[Node]) -> Iterator[Node]:
    if node not in seen:
        seen.add(node)
        yield node
        for parent, _ in node.edges:
            yield from _preorder(parent, seen)


def _kahn(root: Node) -> Iterator[Node]:
    """Visit a node once all that used it were visited."""
    waiting: dict[Node, int] = {}
    for node in _postorder(root, set()):
        for parent, _ in node.edges:
            waiting[parent] = waiting.get(parent, 0) + 1
    ready = [root]
    while ready:
        yield (node := ready.pop())
        for parent, _ in node.edges:
            waiting[parent] -= 1
            if not waiting[parent]:
                ready.append(parent)


def _accumulated(order: Iterator[Node] | list[Node], root: Node, g: Array) -> Gradients:
    gradients = {root: g}
    for node in order:
        for parent, rule in node.edges:
            contribution = rule(gradients[node])
            gradients[parent] = gradients.get(parent, 0) + contribution
    return gradients


def _topological(root: Node, g: Array) -> Gradients:
    return _accumulated(list(_postorder(root, set()))[::-1], root, g)


def _path_by_path(root: Node, g: Array) -> Gradients:
    """Carry each path's contribution to the leaves: right, in exponential time."""
    gradients: Gradients = {}

    def visit(node: Node, contribution: Array) -> None:
        gradients[node] = gradients.get(node, 0) + contribution
        for parent, rule in node.edges:
            visit(parent, rule(contribution))

    visit(root, g)
    return gradients


def _overwriting(root: Node, g: Array) -> Gradients:
    gradients = {root: g}
    for node in list(_postorder(root, set()))[::-1]:
        for parent, rule in node.edges:
            gradients[parent] = rule(gradients[node])
    return gradients


def _adding_in_place(root: Node, g: Array) -> Gradients:
    """Add into the array that was handed over first, whoever else holds it."""
    gradients = {root: g}
    for node in list(_postorder(root, set()))[::-1]:
        for parent, rule in node.edges:
            contribution = rule(gradients[node])
            if parent in gradients:
                gradients[parent] += contribution
            else:
                gradients[parent] = contribution
    return gradients


def _propagating_what_is_there(root: Node, g: Array) -> Gradients:
    """Pass on, at every visit, all that a node has gathered so far."""
    gradients = {root: g}

    def visit(node: Node) -> None:
        for parent, rule in node.edges:
            gradients[parent] = gradients.get(parent, 0) + rule(gradients[node])
            visit(parent)

    visit(root)
    return gradients


def _forgetting_parents(root: Node, g: Array) -> Gradients:
    gradients: Gradients = {}
    left: set[Node] = set()

    def visit(node: Node, contribution: Array) -> None:
        gradients[node] = gradients.get(node, 0) + contribution
        if node not in left:
            left.add(node)
            for parent, rule in node.edges:
                visit(parent, rule(contribution))

    visit(root, g)
    return gradients


def _averaging(root: Node, g: Array) -> Gradients:
    gradients, uses = _topological(root, g), dict[Node, int]()
    for node in _postorder(root, set()):
        for parent, _ in node.edges:
            uses[parent] = uses.get(parent, 0) + 1
    return {node: gradient / uses.get(node, 1) for node, gradient in gradients.items()}


PROGRAMS = (
    at((4, 3), (3, 3), program=block),
    at((3, 2), (2, 2), program=two_blocks),
    at((3, 4), program=reused),
    at((3, 4), (3, 4), program=added_and_used),
    at((2, 3, 2), (2, 3, 2), program=added_twice),
)
TAPE = Solution(
    "", "backward pass", "topological order, depth first", _forward, _by(_topological), PROGRAMS
)


def _runs(*programs: Callable[..., Any]) -> Callable[[Geometry], bool]:
    return lambda geometry: geometry.options["program"] in programs


# What is between the output and the inputs must itself be used twice for these to matter.
_inner = _runs(two_blocks, reused)

RIGHT = (
    TAPE,
    TAPE.but("", "Kahn's order", _by(lambda root, g: _accumulated(_kahn(root), root, g))),
    TAPE.but("", "path by path", _by(_path_by_path)),
)

WRONG = (
    TAPE.but("A1", "contributions overwritten, not added", _by(_overwriting)),
    TAPE.but("A2", "gathered gradient propagated again", _by(_propagating_what_is_there), _inner),
    TAPE.but("A4", "parents forgotten at the first visit", _by(_forgetting_parents), _inner),
    TAPE.but(
        "A5",
        "pre-order",
        _by(lambda root, g: _accumulated(_preorder(root, set()), root, g)),
        _inner,
    ),
    TAPE.but(
        "A9",
        "in-place sum into a shared array",
        _by(_adding_in_place),
        _runs(added_and_used, added_twice),
    ),
    TAPE.but("", "contributions averaged", _by(_averaging)),
)
