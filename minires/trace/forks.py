"""Where gradients meet, and how much of them each block lets through."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .records import Backward, Part
from .structure import Role, Side, block_added_in

if TYPE_CHECKING:
    from .trace import Trace


@dataclass(frozen=True)
class ForkPart:
    """A contribution to the gradient of a value that was used several times.

    Attributes
    ----------
    edge : str
        The consumer's input that the value was.
    consumer : str
        The consumer, as "module/op".
    side : {"shortcut", "branch"} or None
        Its role in the nearest residual addition whose two sides part here.
    roles : tuple of Role
        All its roles, in nested blocks.
    norm : float
    cosine : float or None
        With the sum.
    share : float or None
        <part, sum> / <sum, sum>; the shares of a fork add up to 1. None where the sum is zero.
    """

    edge: str
    consumer: str
    side: Side | None
    roles: tuple[Role, ...]
    norm: float
    cosine: float | None
    share: float | None


@dataclass(frozen=True)
class Fork:
    """A value that was used several times, and what met there in the backward pass.

    Attributes
    ----------
    value : int
    name : str
    block : str
        Module of the nearest residual addition whose sides part here; '' where there is none.
    parts : tuple of ForkPart
    norm : float
        Of the sum.
    verdict : {"exact", "wrong", "unseen"}
        Whether the parts, added again in their order, are bit for bit the engine's gradient.
    """

    value: int
    name: str
    block: str
    parts: tuple[ForkPart, ...]
    norm: float
    verdict: str

    @property
    def reinforcement(self) -> float:
        """log(|sum| / sqrt(sum of |part|^2)): above 0 the parts reinforce each other.

        0 where they are orthogonal, below 0 where they cancel.
        """
        apart = math.hypot(*(part.norm for part in self.parts))
        if not (self.norm > 0 and apart > 0):
            return -math.inf if apart > 0 else 0.0
        return math.log(self.norm / apart)

    @property
    def has_sides(self) -> bool:
        """Whether shortcut and branch part here."""
        return any(part.side for part in self.parts)

    def share(self, side: str) -> float | None:
        """Sum the shares of one side's contributions.

        Parameters
        ----------
        side : str
            ``"shortcut"`` or ``"branch"``.

        Returns
        -------
        float or None
            None where there are no contributions, or one of them has no share.

        Examples
        --------
        >>> import minires as mr
        >>> x = mr.tensor([1.0], requires_grad=True)
        >>> with mr.trace.record() as trace:
        ...     mr.ops.residual_add(x, 3 * x).sum().backward()
        >>> trace.forks()[0].share("branch")
        0.75
        """
        shares = [part.share for part in self.parts if part.side == side]
        known = [share for share in shares if share is not None]
        return math.fsum(known) if known and len(known) == len(shares) else None


@dataclass(frozen=True)
class Gain:
    """What the way through one block does to the size of the gradient.

    Attributes
    ----------
    block : str
        Module; the op where there is no module.
    output, input : int
        The values behind and before the block, as the forward pass sees it.
    before, after : float
        Norm of the gradient at the output and at the input: the gradient travels backwards.
    log_gain : float
        log(after / before). The gains add up to that of the whole way.
    fork : Fork or None
        What met at the block's input.
    """

    block: str
    output: int
    input: int
    before: float
    after: float
    log_gain: float
    fork: Fork | None


def forks(trace: Trace) -> list[Fork]:
    """List the forks; see `Trace.forks`."""
    return [_fork(trace, visit) for visit in last_visits(trace) if len(visit.parts) > 1]


def forks_by_step(trace: Trace, visits: Iterable[Backward]) -> dict[int, Fork]:
    """Find at which forward step each fork is told of.

    Parameters
    ----------
    trace : Trace
    visits : iterable of Backward
        Of one backward pass, or each value's last, in their order.

    Returns
    -------
    dict of int to Fork
        An addition has the fork at its block's input, its parts on the sides that they are on as
        seen from there; where blocks are nested, a fork serves several. Any other step has what met
        at its output, if that was used several times and serves no addition.
    """
    values = trace.records.values
    found: dict[int, Fork] = {}
    served: dict[int, Fork] = {}
    for visit in visits:
        if len(visit.parts) < 2:
            continue
        fork = _fork(trace, visit)
        joins = {role.join for part in fork.parts for role in part.roles}
        step = values[fork.value].op
        if not joins and step is not None:
            found[step] = fork
        for join in joins:
            # A gate forks on the way from the input to the addition, and comes sooner; parameters
            # that both sides share lie beside the way.
            if join not in served or values[fork.value].kind != "parameter":
                served[join] = _seen_from(trace, join, fork)
    return found | served


def _seen_from(trace: Trace, join: int, fork: Fork) -> Fork:
    """Put each part on its side of this addition; where blocks are nested, it has several."""
    seen = []
    for part in fork.parts:
        sides = [role.side for role in part.roles if role.join == join]
        seen.append(replace(part, side=sides[0] if sides else None))
    return replace(fork, block=block_added_in(trace.records.forward[join]), parts=tuple(seen))


def last_visits(trace: Trace) -> list[Backward]:
    """Return each value's visit in the last backward pass that reached it, in order."""
    latest = {visit.value: visit for visit in trace.records.backward}
    return [v for v in trace.records.backward if latest[v.value] is v]


def _fork(trace: Trace, visit: Backward) -> Fork:
    parts = tuple([_fork_part(trace, part) for part in visit.parts])
    joins = [role.join for part in parts for role in part.roles]
    block = block_added_in(trace.records.forward[min(joins)]) if joins else ""
    norm = math.nan if visit.stats is None else visit.stats.norm
    name = trace.records.values[visit.value].name
    return Fork(visit.value, name, block, parts, norm, visit.verdict)


def _fork_part(trace: Trace, part: Part) -> ForkPart:
    roles: list[Role] = []
    side: Side | None = None
    consumer = "backward" if part.edge == "output" else "(before recording)"
    if part.consumer is not None:
        step = trace.records.forward[part.consumer]
        consumer = trace.records.values[step.output].name
        roles = trace.structure.roles.get((part.consumer, part.slot), [])
        side = trace.structure.side_of(part.consumer, part.slot)
    return ForkPart(
        part.edge,
        consumer,
        side,
        tuple(roles),
        math.nan if part.stats is None else part.stats.norm,
        part.cosine,
        part.share,
    )


def gains(trace: Trace) -> list[Gain]:
    """Follow the main road from the loss to the stem, block by block; see `Trace.gains`."""
    records, structure = trace.records, trace.structure
    road = structure.main_road
    by_value = {fork.value: fork for fork in forks(trace)}

    def block_of(value: int) -> str:
        made = records.values[value].op
        if made is None:
            return "input"
        step = records.forward[made]
        return structure.block_of(made).path or step.op

    # The values at which the road enters another block.
    ends = [v for i, v in enumerate(road) if i == 0 or block_of(v) != block_of(road[i - 1])]
    if road and ends[-1] != road[-1]:
        ends.append(road[-1])
    found = []
    for output, start in itertools.pairwise(ends):
        before, after = (_gradient_norm(trace, value) for value in (output, start))
        ratio = after / before if before else math.nan
        change = math.log(ratio) if ratio > 0 else -math.inf if ratio == 0 else math.nan
        block = block_of(output)
        found.append(Gain(block, output, start, before, after, change, by_value.get(start)))
    return found


def _gradient_norm(trace: Trace, value: int) -> float:
    stats = trace.records.values[value].gradient
    return math.nan if stats is None else stats.norm
