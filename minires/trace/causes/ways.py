"""The ways by which a gradient came from the loss to one value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..records import Backward, Forward, Part, Records, Sent, Stats, Value


class Link(NamedTuple):
    """One op on a way: it got a gradient, and its VJP sent one on.

    Attributes
    ----------
    visit : Backward
        The turn of the op's output.
    step : Forward
        The op.
    sent : Sent
        What it sent towards the value in question.
    """

    visit: Backward
    step: Forward
    sent: Sent


@dataclass(frozen=True)
class Stage:
    """A value on the loudest way.

    Attributes
    ----------
    value : int
    name : str
    norm : float
        Of its gradient.
    factor : float
        This norm over that of the stage before; NaN at the first.
    through : str
        The input by which the gradient left the stage before, as "op.edge"; and with how many
        other contributions it was then summed.
    """

    value: int
    name: str
    norm: float
    factor: float
    through: str


class Ways:
    """All ways of the gradient to one value, in the last backward pass that reached it.

    Parameters
    ----------
    records : Records
    value : Value

    Attributes
    ----------
    visit : Backward or None
        The value's own turn; None if no gradient reached it.
    visits : list of Backward
        The turns of all values on the ways, its own last.
    links : list of Link
        In the order of the backward pass.
    """

    def __init__(self, records: Records, value: Value) -> None:
        self.records = records
        self.value = value
        own = [visit for visit in records.backward if visit.value == value.index]
        self.visit = own[-1] if own else None
        self.visits: list[Backward] = []
        self.links: list[Link] = []
        if self.visit is None:
            return
        reached = {value.index}
        self.visits = [self.visit]
        for visit in reversed(records.backward[: self.visit.index]):
            if visit.run != self.visit.run or visit.op is None:
                continue
            towards = [sent for sent in visit.sent if sent.value in reached]
            if towards:
                reached.add(visit.value)
                self.visits.append(visit)
                step = records.forward[visit.op]
                self.links += [Link(visit, step, sent) for sent in reversed(towards)]
        self.visits.reverse()
        self.links.reverse()
        self._by_value = {visit.value: visit for visit in self.visits}

    def name(self, step: Forward) -> str:
        """Name an op as the value that it made."""
        return self.records.values[step.output].name

    def gradient(self, visit: Backward) -> Stats | None:
        """Return what the VJP got: the sum, unless a hook replaced it."""
        value = self.records.values[visit.value]
        return value.gradient if visit.changed_by_hook else visit.stats

    def arrived(self, link: Link) -> Stats | None:
        """Return what arrived at the input: what was sent, cast to the input's dtype."""
        found = self._part_of(link)
        return link.sent.stats if found is None or found.stats is None else found.stats

    def _part_of(self, link: Link) -> Part | None:
        visit = self._by_value.get(link.sent.value)
        for part in () if visit is None else visit.parts:
            if part.consumer == link.step.index and part.slot == link.sent.slot:
                return part
        return None

    @cached_property
    def loudest(self) -> list[tuple[Backward, Part | None]]:
        """One way from the start of backward to the value: at every fork by the largest part.

        Each value's turn, with the contribution by which the way comes to it.
        """
        way: list[tuple[Backward, Part | None]] = []
        visit = self.visit
        while visit is not None:
            part = max(visit.parts, key=self._loudness, default=None)
            way.append((visit, part))
            visit = self._consumer(part)
        way.reverse()
        return way

    def _consumer(self, part: Part | None) -> Backward | None:
        """Return the turn of the value that the contribution's consumer made."""
        if part is None or part.consumer is None:
            return None
        return self._by_value.get(self.records.forward[part.consumer].output)

    def _loudness(self, part: Part) -> tuple[float, float]:
        """Order parts by their norm; where all are 0, by what their consumers had."""
        consumer = self._consumer(part)
        behind = None if consumer is None else consumer.stats
        return _size(part.stats), _size(behind)

    @cached_property
    def carrying(self) -> set[int]:
        """The values of whose gradient something is left at the end of the ways.

        What makes a gradient larger on a way that ends in 0 has made nothing larger.
        """
        left = self.visit is not None and _size(self.visit.stats) != 0
        found = {self.value.index} if left else set()
        for link in reversed(self.links):
            if self._passes(link, found):
                found.add(link.visit.value)
        return found

    def carries(self, link: Link) -> bool:
        """Tell whether something of what a link sent is left at the end of the ways."""
        return self._passes(link, self.carrying)

    def _passes(self, link: Link, carrying: set[int]) -> bool:
        return link.sent.value in carrying and _size(self.arrived(link)) != 0

    @cached_property
    def on_loudest(self) -> set[tuple[int, int]]:
        """The forward steps of the loudest way, each with the input by which the way goes on."""
        parts = [part for _, part in self.loudest if part is not None]
        return {(part.consumer, part.slot) for part in parts if part.consumer is not None}

    @property
    def shrank(self) -> bool:
        """Whether the gradient is smaller, in norm, than what backward began with."""
        start = self.loudest[0][0].stats if self.loudest else None
        own = None if self.visit is None else self.visit.stats
        return own is not None and start is not None and own.norm < start.norm

    @property
    def chain(self) -> list[Stage]:
        """The loudest way, value by value."""
        stages: list[Stage] = []
        before = math.nan
        for visit, part in self.loudest:
            norm = math.nan if visit.stats is None else visit.stats.norm
            through = "backward()"
            if part is not None and part.consumer is not None:
                through = f"{self.records.forward[part.consumer].op}.{part.edge}"
            if len(visit.parts) > 1:
                through += f" + {len(visit.parts) - 1} more"
            name = self.records.values[visit.value].name
            stages.append(Stage(visit.value, name, norm, ratio(norm, before), through))
            before = norm
        return stages


def _size(stats: Stats | None) -> float:
    if stats is None:
        return -1.0
    return stats.norm if stats.finite else math.inf


def ratio(a: float, b: float) -> float:
    """a / b, NaN where that means nothing."""
    return a / b if b and math.isfinite(a) and math.isfinite(b) else math.nan


def log_size(factor: float) -> float:
    """|log factor|; infinite at 0, and 0 where there is nothing to say."""
    if factor == 0:
        return math.inf
    return abs(math.log(factor)) if factor > 0 and math.isfinite(factor) else 0.0
