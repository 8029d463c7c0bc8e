"""A walk through a trace: which step one stands at, and where each move leads.

It neither reads keys nor draws: a state and a move give the next state. A move that cannot be made
leaves the walk where it is, with a message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..breakpoints import Breakpoint, next_hit
from .stops import Key, Stop, flat, stops_of

if TYPE_CHECKING:
    from ..trace import Trace


@dataclass(frozen=True)
class State:
    """Where a walk stands.

    Attributes
    ----------
    at : Key
    opened : frozenset of Key
    breakpoints : tuple of Breakpoint
    pixel : tuple of int
        Row and column of an output entry; its filter and image where they are given.
    message : str
        What is to be said once.
    typed : str or None
        What was typed of a command so far; None while single keys count.
    helping : bool
        Whether the help is asked for.
    done : bool
    """

    at: Key
    opened: frozenset[Key] = frozenset()
    breakpoints: tuple[Breakpoint, ...] = ()
    pixel: tuple[int, ...] = (0, 0)
    message: str = ""
    typed: str | None = None
    helping: bool = False
    done: bool = False


class Walk:
    """Where one can go from each step of a trace.

    Parameters
    ----------
    trace : Trace
        With at least one step.

    Raises
    ------
    ValueError
        If the trace is empty.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> walk = Walk(trace)
    >>> state = walk.fork(walk.start, back=False)
    >>> trace.records.steps[state.at.number]
    ('backward', 3)
    """

    def __init__(self, trace: Trace) -> None:
        if not trace.records.steps:
            raise ValueError(
                "step: nothing was recorded: no op of minires ran inside the with-block"
            )
        self.trace = trace
        self.stops = stops_of(trace.records)
        self.start = State(self.stops[0].key)
        self._parents: dict[Key, Key] = {}
        ahead = list(self.stops)
        while ahead:
            stop = ahead.pop()
            self._parents |= {inner.key: stop.key for inner in stop.inside}
            ahead += stop.inside

    # -- looking -----------------------------------------------------------------------------

    def visible(self, state: State) -> list[tuple[Stop, int]]:
        """Return the stops that can be stepped to, each with its depth."""
        return list(flat(self.stops, state.opened))

    def stop(self, state: State) -> Stop:
        """Return the stop that the walk stands at."""
        return next(stop for stop, _ in self.visible(state) if stop.key == state.at)

    def block_of(self, stop: Stop) -> int:
        """Return the first step of the block that a stop belongs to; -1 for none."""
        records, structure = self.trace.records, self.trace.structure
        step: int | None = stop.steps[0]
        if stop.kind == "backward":
            turn = records.backward[stop.steps[0]]
            made = records.values[turn.value].op
            step = turn.parts[0].consumer if made is None else made
        return -1 if step is None else structure.block_of(step).steps.start

    # -- moving ------------------------------------------------------------------------------

    def along(self, state: State, count: int) -> State:
        """Go so many stops forward, or back if `count` is negative."""
        visible = [stop for stop, _ in self.visible(state)]
        place = [stop.key for stop in visible].index(state.at)
        wanted = place + count
        end = min(max(wanted, 0), len(visible) - 1)
        message = "" if end == wanted else "that is the " + ("last" if wanted > 0 else "first")
        return replace(state, at=visible[end].key, message=message and message + " step")

    def _seek(self, state: State, back: bool, wanted: Callable[[Stop], bool], what: str) -> State:
        """Go to the nearest visible stop that is wanted."""
        visible = [stop for stop, _ in self.visible(state)]
        place = [stop.key for stop in visible].index(state.at)
        ahead = visible[:place][::-1] if back else visible[place + 1 :]
        for stop in ahead:
            if wanted(stop):
                return replace(state, at=stop.key)
        return replace(state, message=f"there is no {what} {'before' if back else 'after'} this")

    def block(self, state: State, back: bool) -> State:
        """Go to where the next block begins, or the one before."""
        here = self.stop(state)
        told = here.kind, self.block_of(here)
        found = self._seek(
            state, back, lambda stop: (stop.kind, self.block_of(stop)) != told, "block"
        )
        if back and not found.message:
            # To where that block begins, as a reader would.
            there = self.stop(found)
            told = there.kind, self.block_of(there)
            while True:
                before = self.along(found, -1)
                stop = self.stop(before)
                if before.at == found.at or (stop.kind, self.block_of(stop)) != told:
                    return replace(found, message="")
                found = before
        return found

    def fork(self, state: State, back: bool) -> State:
        """Go to the next place where contributions meet, or to the one before."""
        records = self.trace.records
        parting = {use for use, roles in self.trace.structure.roles.items() if roles}

        def meets(stop: Stop) -> bool:
            if stop.kind == "forward":
                return False
            met = [records.backward[step].parts for step in stop.steps]
            if stop.twin:  # what is folded stays so, unless a shortcut begins there
                return any((part.consumer, part.slot) in parting for parts in met for part in parts)
            return len(met[0]) > 1

        if not records.backward:
            return replace(state, message="backward has not run inside the with-block")
        found = self._seek(state, back, meets, "fork")
        return found if found.message else self._reveal(found, meets)

    def _reveal(self, state: State, wanted: Callable[[Stop], bool]) -> State:
        """Open a folded stop until what is wanted inside of it stands on its own."""
        while len((stop := self.stop(state)).steps) > 1:
            inner = next(inner for inner in stop.inside if wanted(inner))
            state = replace(state, opened=state.opened | {stop.key}, at=inner.key)
        return state

    def hit(self, state: State, back: bool) -> State:
        """Go to the next step at which a breakpoint stops, or to the one before."""
        if not state.breakpoints:
            return replace(state, message="there is no breakpoint; `break norm<1e-3` sets one")
        found = next_hit(self.trace, state.breakpoints, state.at.number, -1 if back else 1)
        if found is None:
            where = "before" if back else "after"
            return replace(state, message=f"no breakpoint is hit {where} this step")
        which = [str(b) for b in state.breakpoints if b.hits(self.trace, found)]
        return replace(self.to(state, found), message=f"breakpoint {', '.join(which)}")

    def to(self, state: State, number: int) -> State:
        """Go to a step by its number, opening what it lies in."""
        key = Key(number, 0)
        opened = set(state.opened)
        parent = self._parents.get(key)
        while parent is not None:
            opened.add(parent)
            parent = self._parents.get(parent)
        return replace(state, at=key, opened=frozenset(opened))

    def turn(self, state: State) -> State:
        """Go to the first step of the backward pass."""
        for number, (kind, _) in enumerate(self.trace.records.steps):
            if kind == "backward":
                return self.to(state, number)
        return replace(state, message="backward has not run inside the with-block")

    def into(self, state: State) -> State:
        """Open what is folded here, or close it."""
        stop = self.stop(state)
        if stop.inside:
            if stop.key in state.opened:
                return replace(state, opened=state.opened - {stop.key})
            return replace(state, opened=state.opened | {stop.key}, at=stop.inside[0].key)
        if stop.kind == "backward":
            return replace(
                state,
                message="to see inside a VJP, record loss.backward(create_graph=True)",
            )
        op = self.trace.records.forward[stop.steps[0]].op
        return replace(
            state,
            message=f'to see inside an op, record under mr.expand("{op}") if it has a twin spelled'
            " out, as conv2d and batch_norm have",
        )

    def out(self, state: State) -> State:
        """Close what this step lies in, and go to it."""
        parent = state.at if state.at in state.opened else self._parents.get(state.at)
        if parent is None:
            return replace(state, message="this step is not inside of another")
        return replace(state, at=parent, opened=state.opened - {parent})

    def find(self, state: State, text: str) -> State:
        """Go to the next step whose value has `text` in its name, around the end if need be."""
        records = self.trace.records
        steps = range(len(records.steps))
        here = state.at.number
        for number in (*steps[here + 1 :], *steps[:here]):
            kind, index = records.steps[number]
            forward = kind == "forward"
            value = records.forward[index].output if forward else records.backward[index].value
            if text.lower() in records.values[value].name.lower():
                again = "" if number > here else "found before this step"
                return replace(self.to(state, number), message=again)
        return replace(state, message=f"find: no other step has {text!r} in its name")
