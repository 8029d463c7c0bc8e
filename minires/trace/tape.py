"""What a replay needs of a recorded step: the nodes, each with the values that its VJP kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minires.autograd import Node


@dataclass
class Tape:
    """The recorded nodes.

    Attributes
    ----------
    nodes : dict of int to Node
        By the value that each made. They are copies, so that a backward pass, which lets the
        originals' values go, leaves them whole; Tensors and arrays in them are shared.
    random_states : dict of int to dict
        The random generator's state before the VJP of a user's own op, by the op's value.
    """

    nodes: dict[int, Node] = field(default_factory=dict)
    random_states: dict[int, Any] = field(default_factory=dict)
