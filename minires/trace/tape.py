"""What a replay needs of a recorded step: the nodes, each with the values that its VJP kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minires.autograd import Node
from minires.devices import Array


@dataclass
class Tape:
    """The recorded nodes.

    Attributes
    ----------
    nodes : dict of int to Node
        By the value that each made. They are copies, so that a backward pass, which lets the
        originals' values go, leaves them whole; Tensors and arrays in them are shared.
    inputs : dict of int to tuple
        By the value that an op made, what it was given: numbers and arrays as they are; for a
        Tensor a weak reference to its array, which the nodes hold if a VJP needs it.
    starts : dict of (int, int) to list of array
        By backward pass and value: the gradients that the pass began with.
    recorded_runs : set of int
        The backward passes that ran on Tensors, under ``create_graph=True``.
    random_states : dict of (int, int) to dict
        By backward pass and value: the random generator's state before the VJP of a user's op.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    inputs: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    starts: dict[tuple[int, int], list[Array]] = field(default_factory=dict)
    recorded_runs: set[int] = field(default_factory=set)
    random_states: dict[tuple[int, int], Any] = field(default_factory=dict)
