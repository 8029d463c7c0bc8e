"""What a trace keeps beside its records, under one bound: arrays, pictures, the tape."""

from __future__ import annotations

import copy
import sys
import weakref
from typing import Any

from minires import devices
from minires.autograd import Node, Tensor
from minires.devices import Array

from .records import Budget
from .tape import Tape

# The largest first output of a model that is taken for a step somebody looks into: for such sizes
# a replay's values are kept unless the caller says otherwise.
INTERACTIVE = 1 << 22


class Keeper:
    """Keeps arrays and what a replay needs, as long as there is room.

    Parameters
    ----------
    budget_mb : float
        The bound.
    replay : bool or None
        Keep what a replay needs; None decides by the size of the first op's output.

    Attributes
    ----------
    budget : Budget
    arrays : dict of str to ndarray
    tape : Tape or None
        What a replay needs.
    fused : bool
        Whether the model may run its fused ops.
    """

    def __init__(self, budget_mb: float, replay: bool | None) -> None:
        self.budget = Budget(int(min(budget_mb * 2**20, sys.maxsize)))
        self.arrays: dict[str, Array] = {}
        self.tape: Tape | None = None
        self.fused = replay is False
        if self.fused:
            self.budget.replay_state = "not asked for (replay=False)"
        else:
            self.tape = Tape()
        self._undecided = replay is None
        self._counted: set[int] = set()

    def keep(self, name: str, array: Array) -> None:
        """Keep a copy of an array."""
        if self.has_room(array.nbytes):
            device = devices.of(array)
            host = device.to_numpy(array)  # from elsewhere it is a copy already
            self.arrays[name] = host.copy(order="K") if device.synchronous else host

    def has_room(self, size: int) -> bool:
        """Count what is about to be kept, unless there is no room for it."""
        budget = self.budget
        if budget.arrays + budget.replay + size > budget.limit:
            budget.left_out += 1
            return False
        budget.arrays += size
        return True

    def decide(self, size: int) -> None:
        """Decide by the size of the first output whether to keep a tape, if nobody said."""
        if self._undecided and size > INTERACTIVE:
            self.fused = True
            self._drop_tape(
                f"not kept: the first op's output has {size / 2**20:.1f} MiB, more than"
                f" {INTERACTIVE >> 20} MiB; record(..., replay=True) keeps it"
            )
        self._undecided = False

    def keep_node(self, index: int, node: Node, inputs: tuple[Any, ...]) -> None:
        """Keep what the VJP of a node needs, beyond the backward pass that lets go of it."""
        plain = [value for value in inputs if not isinstance(value, Tensor)]
        if self._count(*(node.kept or ()), node.output, node.aux, *node.called_with.values()):
            self._count(*plain)
        if self.tape is not None:
            self.tape.nodes[index] = copy.copy(node)
            self.tape.inputs[index] = tuple(
                [weakref.ref(v._data) if isinstance(v, Tensor) else v for v in inputs]
            )

    def keep_starts(self, place: tuple[int, int], gradients: list[Array]) -> None:
        """Keep copies of the gradients that a backward pass begins with."""
        copies = [gradient.copy(order="K") for gradient in gradients]
        if self._count(*copies) and self.tape is not None:
            self.tape.starts[place] = copies

    def _count(self, *values: Any) -> bool:
        """Count the memory of what a replay keeps; without room for it there is no tape."""
        budget = self.budget
        budget.replay += sum(map(self._newly_held, values))
        if budget.arrays + budget.replay > budget.limit:
            self._drop_tape(
                f"not kept: it needs more than the budget of {budget.limit / 2**20:.0f} MiB"
                " (record(..., budget_mb=...))"
            )
        return self.tape is not None

    def _newly_held(self, value: Any) -> int:
        """Count the bytes that stay because of a value: a view holds the whole of its memory."""
        if isinstance(value, (tuple, list)):
            return sum(map(self._newly_held, value))
        if isinstance(value, dict):
            return sum(map(self._newly_held, value.values()))
        array = value._data if isinstance(value, Tensor) else value
        if not hasattr(array, "nbytes"):
            return 0
        memory = array
        while getattr(memory, "base", None) is not None:
            memory = memory.base
        if id(memory) in self._counted:
            return 0
        self._counted.add(id(memory))
        if not hasattr(memory, "nbytes"):  # a loan of the pool of buffers
            memory = devices.cpu.xp.asarray(memory)
        return int(memory.nbytes)

    def _drop_tape(self, why: str) -> None:
        self.tape = None
        self._counted.clear()
        self.budget.replay = 0
        self.budget.replay_state = why
