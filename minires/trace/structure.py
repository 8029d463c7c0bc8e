"""What the recorded graph looks like: forks and what they fork into, blocks, and the main road.

All of it is found on the records alone, from who used which value, never from class names.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from functools import cached_property
from typing import Literal, NamedTuple

from .records import Forward, Records

Side = Literal["shortcut", "branch"]


class Role(NamedTuple):
    """What a use of a forking value is to a residual addition.

    Attributes
    ----------
    side : {"shortcut", "branch"}
    join : int
        The forward step of the addition.
    """

    side: Side
    join: int


class Block(NamedTuple):
    """Consecutive forward steps that belong together.

    Attributes
    ----------
    path : str
        The module they ran in: a residual block, or what stands between blocks.
    steps : range
        Of forward steps.
    """

    path: str
    steps: range


def is_join(step: Forward) -> bool:
    """Tell whether a step is a residual addition: an op with a shortcut that was given one."""
    return any(o.edge == "shortcut" and o.text != "None" for o in step.operands)


def crosses_branch(step: Forward, slot: int) -> bool:
    """Tell whether this input of a step is the branch side of a residual addition.

    It is the edge called ``branch``; an op that fuses the addition with what comes before it has a
    ``shortcut`` instead, and then all its other inputs belong to the branch.
    """
    return is_join(step) and step.operands[slot].edge != "shortcut"


def block_added_in(step: Forward) -> str:
    """Return the module whose addition this is.

    An op that fuses the addition with the layer before it ran in that layer, within the block.
    """
    if any(operand.edge == "branch" for operand in step.operands):
        return step.module
    return step.module.rpartition(".")[0]


class Structure:
    """The graph of a trace.

    Parameters
    ----------
    records : Records

    Attributes
    ----------
    uses : dict of int to list of (int, int)
        For each value the (forward step, slot) that used it, in order.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self.uses: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for step in records.forward:
            for slot, operand in enumerate(step.operands):
                if operand.value is not None:
                    self.uses[operand.value].append((step.index, slot))

    @cached_property
    def joins(self) -> list[int]:
        """The residual additions of the forward pass, as steps in order."""
        forward = self.records.forward
        return [step.index for step in forward if step.vjp_of is None and is_join(step)]

    @cached_property
    def unnamed_joins(self) -> list[int]:
        """Plain additions of two values of one shape that both come from one result.

        They join a fork as a residual addition does, but their sides have no names.
        """
        forward, values = self.records.forward, self.records.values
        found = []
        for step in forward:
            sides = [o.value for o in step.operands if o.value is not None]
            if step.op != "add" or step.vjp_of is not None or step.twin_of or len(set(sides)) != 2:
                continue
            if values[sides[0]].shape == values[sides[1]].shape == values[step.output].shape:
                met = self._partings(step.index)
                uses = [use for parting in met for side in parting.values() for use in side]
                forks = {forward[at].operands[slot].value for at, slot in uses}
                if any(v is not None and values[v].kind != "parameter" for v in forks):
                    found.append(step.index)
        return found

    @cached_property
    def roles(self) -> dict[tuple[int, int], list[Role]]:
        """For each use (forward step, slot) of a value at which an addition's two sides part.

        The sides of an addition are followed back to their nearest common ancestors: values that
        both reach, and none of whose users does. A use may have several roles: nested blocks.
        """
        found: dict[tuple[int, int], dict[Role, None]] = defaultdict(dict)
        for join in self.joins:
            for uses_by_side in self._partings(join):
                for side, uses in uses_by_side.items():
                    for use in uses:
                        found[use][Role(side, join)] = None
        return {use: list(roles) for use, roles in found.items()}

    def side_of(self, step: int, slot: int) -> Side | None:
        """Return the side that a use is on at the nearest addition that it has a role in."""
        roles = self.roles.get((step, slot))
        return min(roles, key=lambda role: role.join).side if roles else None

    def _partings(self, join: int) -> list[dict[Side, list[tuple[int, int]]]]:
        """Follow an addition's sides back to where they meet; tell which uses each came by."""
        forward, values = self.records.forward, self.records.values
        reached: dict[int, dict[Side, list[tuple[int, int]]]] = {}
        ahead: list[tuple[int, int]] = []  # the value made last comes first, leaves at the end

        def reach(side: Side, use: tuple[int, int]) -> None:
            value = forward[use[0]].operands[use[1]].value
            if value is None or not values[value].requires_grad:
                return
            if value not in reached:
                reached[value] = {}
                made = values[value].op
                heapq.heappush(ahead, (1 if made is None else -made, value))
            reached[value].setdefault(side, []).append(use)

        step = forward[join]
        for slot, _ in enumerate(step.operands):
            branch = crosses_branch(step, slot) if is_join(step) else slot > 0
            reach("branch" if branch else "shortcut", (join, slot))
        met = []
        while ahead:
            _, value = heapq.heappop(ahead)
            sides, made = reached[value], values[value].op
            if len(sides) == 2:
                met.append(sides)
            elif made is not None:
                (side,) = sides
                for slot, _ in enumerate(forward[made].operands):
                    reach(side, (made, slot))
        return met

    @cached_property
    def blocks(self) -> list[Block]:
        """The forward steps in groups: residual blocks, and the layers between them."""
        forward = self.records.forward
        joins = {block_added_in(forward[join]) for join in self.joins} - {""}
        paths = {step.module for step in forward}
        inner = {path.rsplit(".", 1)[0] for path in paths if "." in path}
        found: list[Block] = []
        for step in forward:
            path = _block_of(step.module, joins, inner)
            if found and found[-1].path == path and path:
                found[-1] = Block(path, range(found[-1].steps.start, step.index + 1))
            else:
                found.append(Block(path, range(step.index, step.index + 1)))
        return found

    def block_of(self, step: int) -> Block:
        """Return the block that a forward step belongs to."""
        return self._block_by_step[step]

    @cached_property
    def _block_by_step(self) -> dict[int, Block]:
        return {step: block for block in self.blocks for step in block.steps}

    @cached_property
    def main_road(self) -> list[int]:
        """The values through which the whole gradient of the last backward pass went, in order.

        While the values are walked in the order of a backward pass, those are the ones at which no
        other value is still waiting for its turn; parameters do not count.
        """
        last = max((step.run for step in self.records.backward), default=0)
        visits = [step for step in self.records.backward if step.run == last]
        began = [v.value for v in visits if any(part.consumer is None for part in v.parts)]
        waiting = {value for value in began if self._on_the_way(value)}
        road: list[int] = []
        for step in visits:
            waiting.discard(step.value)
            if not self._on_the_way(step.value):
                continue
            if not waiting:
                road.append(step.value)
            waiting.update(sent.value for sent in step.sent if self._on_the_way(sent.value))
        return road

    def _on_the_way(self, value: int) -> bool:
        """Tell whether a value lies on a way to the model's input; parameters lie beside it."""
        return self.records.values[value].kind in ("result", "input")


def _block_of(path: str, joins: set[str], inner: set[str]) -> str:
    """Find the block of a module: the outermost prefix that adds, else the parent of a layer."""
    parts = path.split(".")
    for end in range(1, len(parts) + 1):
        prefix = ".".join(parts[:end])
        if prefix in joins:
            return prefix
    if path in inner or "." not in path:
        return path
    return path.rsplit(".", 1)[0]
