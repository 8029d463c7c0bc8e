"""A walk through a trace: which step one stands at, and what each command does.

It neither reads keys nor draws: a state and a command give the next state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..breakpoints import Breakpoint, next_hit
from .commands import KEYS, QUESTIONS
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
    """What can be done at each step of a trace.

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
    >>> state = walk.obey(walk.start, "fork")
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

    def block(self, stop: Stop) -> int:
        """Return the first step of the block that a stop belongs to; -1 for none."""
        records, structure = self.trace.records, self.trace.structure
        step: int | None = stop.steps[0]
        if stop.kind == "backward":
            turn = records.backward[stop.steps[0]]
            made = records.values[turn.value].op
            step = turn.parts[0].consumer if made is None else made
        return -1 if step is None else structure.block_of(step).steps.start

    # -- commands ----------------------------------------------------------------------------

    def obey(self, state: State, command: str) -> State:
        """Carry out a command.

        Parameters
        ----------
        state : State
        command : str
    X
            with a message.

        Returns
        -------
        State
        """
        state = replace(state, message="", helping=False)
        name, _, argument = command.strip().partition(" ")
        argument = argument.strip()
        back = name.startswith("-")
        commands: dict[str, Callable[[], State]] = {
            **dict.fromkeys(("", "n", "next"), lambda: self._along(state, argument, 1)),
            **dict.fromkeys(("p", "previous"), lambda: self._along(state, argument, -1)),
            "block": lambda: self._block(state, back),
            "fork": lambda: self._fork(state, back),
            **dict.fromkeys(("c", "continue"), lambda: self._hit(state, back)),
            "turn": lambda: self._turn(state),
            "into": lambda: self._into(state),
            "out": lambda: self._out(state),
            "goto": lambda: self._goto(state, argument),
            "find": lambda: self._find(state, argument),
            "break": lambda: self._break(state, argument),
            "clear": lambda: self._clear(state, argument),
            "pixel": lambda: self._pixel(state, argument),
            **dict.fromkeys(("help", "?", "h"), lambda: replace(state, helping=True)),
            **dict.fromkeys(("quit", "q", "exit"), lambda: replace(state, done=True)),
        }
        known = commands.get(name.removeprefix("-"))
        if known is None:
            return replace(state, message=f"there is no command {name!r}; help lists them all")
        return known()

    def press(self, state: State, key: str) -> State:
        """Take a single key, or a letter of a command that is being typed.

        Parameters
        ----------
        state : State
        key : str
            A letter, or a name such as ``"left"`` or ``"enter"``.

        Returns
        -------
        State
        """
        if state.typed is None:
            if key in QUESTIONS:
                return replace(state, typed=QUESTIONS[key], message="", helping=False)
            if state.helping and key != "q":
                return replace(state, helping=False)
            if key not in KEYS:
                return replace(state, message=f"{key!r} does nothing; ? tells the keys")
            return self.obey(state, KEYS[key])
        if key == "enter":
            return self.obey(replace(state, typed=None), state.typed or "help")
        if key == "escape":
            return replace(state, typed=None)
        if key == "backspace":
            return replace(state, typed=state.typed[:-1] or None)
        return replace(state, typed=state.typed + key) if len(key) == 1 else state

    def _along(self, state: State, count: str, direction: int) -> State:
        if count and not count.isdecimal():
            return replace(state, message=f"next: expected a number of steps, found {count!r}")
        visible = [stop for stop, _ in self.visible(state)]
        place = [stop.key for stop in visible].index(state.at)
        wanted = place + direction * int(count or 1)
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

    def _block(self, state: State, back: bool) -> State:
        here = self.stop(state)
        told = here.kind, self.block(here)
        found = self._seek(state, back, lambda stop: (stop.kind, self.block(stop)) != told, "block")
        if back and not found.message:
            # To where that block begins, as a reader would.
            there = self.stop(found)
            told = there.kind, self.block(there)
            while True:
                before = self._along(found, "", -1)
                stop = self.stop(before)
                if before.at == found.at or (stop.kind, self.block(stop)) != told:
                    return replace(found, message="")
                found = before
        return found

    def _fork(self, state: State, back: bool) -> State:
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

    def _hit(self, state: State, back: bool) -> State:
        if not state.breakpoints:
            return replace(state, message="there is no breakpoint; `break norm<1e-3` sets one")
        found = next_hit(self.trace, state.breakpoints, state.at.number, -1 if back else 1)
        if found is None:
            where = "before" if back else "after"
            return replace(state, message=f"no breakpoint is hit {where} this step")
        which = [str(b) for b in state.breakpoints if b.hits(self.trace, found)]
        return replace(self._to(state, found), message=f"breakpoint {', '.join(which)}")

    def _to(self, state: State, number: int) -> State:
        """Go to a step, opening what it lies in."""
        key = Key(number, 0)
        opened = set(state.opened)
        parent = self._parents.get(key)
        while parent is not None:
            opened.add(parent)
            parent = self._parents.get(parent)
        return replace(state, at=key, opened=frozenset(opened))

    def _turn(self, state: State) -> State:
        for number, (kind, _) in enumerate(self.trace.records.steps):
            if kind == "backward":
                return self._to(state, number)
        return replace(state, message="backward has not run inside the with-block")

    def _into(self, state: State) -> State:
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

    def _out(self, state: State) -> State:
        parent = state.at if state.at in state.opened else self._parents.get(state.at)
        if parent is None:
            return replace(state, message="this step is not inside of another")
        return replace(state, at=parent, opened=state.opened - {parent})

    def _goto(self, state: State, text: str) -> State:
        count = len(self.trace.records.steps)
        if text == "end":
            text = str(count - 1)
        if not text.isdecimal() or int(text) >= count:
            return replace(state, message=f"goto: steps are 0 to {count - 1}, found {text!r}")
        return self._to(state, int(text))

    def _find(self, state: State, text: str) -> State:
        if not text:
            return replace(state, message="find: what? For example: find layer2.0.conv1")
        records = self.trace.records
        steps = range(len(records.steps))
        here = state.at.number
        for number in (*steps[here + 1 :], *steps[:here]):
            kind, index = records.steps[number]
            value = (
                records.forward[index].output
                if kind == "forward"
                else (records.backward[index].value)
            )
            if text.lower() in records.values[value].name.lower():
                again = "" if number > here else "found before this step"
                return replace(self._to(state, number), message=again)
        return replace(state, message=f"find: no other step has {text!r} in its name")

    def _break(self, state: State, text: str) -> State:
        if not text:
            told = ", ".join(map(str, state.breakpoints)) or "none"
            return replace(state, message=f"breakpoints: {told}")
        if text == "here":
            text = f"at:{self._place(self.stop(state))}"
            if text in map(str, state.breakpoints):
                return self._clear(state, text)
        try:
            found = Breakpoint.parse(text)
            found.require(self.trace)
        except ValueError as error:
            return replace(state, message=str(error))
        if found not in state.breakpoints:
            state = replace(state, breakpoints=(*state.breakpoints, found))
        return replace(state, message=f"breakpoint {found}; `c` goes to the next hit")

    def _place(self, stop: Stop) -> str:
        """Name the module of a step, or else its value, for a breakpoint."""
        records = self.trace.records
        if stop.kind == "forward":
            step = records.forward[stop.steps[0]]
            return step.module or records.values[step.output].name
        value = records.values[records.backward[stop.steps[0]].value]
        module = "" if value.op is None else records.forward[value.op].module
        return module or value.name

    def _clear(self, state: State, text: str) -> State:
        kept = tuple(b for b in state.breakpoints if text and str(b) != text)
        if len(kept) == len(state.breakpoints):
            return replace(state, message=f"clear: there is no breakpoint {text}".rstrip())
        gone = len(state.breakpoints) - len(kept)
        told = text or f"{gone} breakpoint{'s' * (gone > 1)}"
        return replace(state, breakpoints=kept, message=f"cleared {told}")

    def _pixel(self, state: State, text: str) -> State:
        parts = text.replace(",", " ").split()
        if not 2 <= len(parts) <= 4 or not all(part.isdecimal() for part in parts):
            return replace(
                state,
                message="pixel: expected row,column or row,column,filter,image, such as 3,4;"
                f" found {text!r}",
            )
        return replace(state, pixel=tuple(map(int, parts)))
