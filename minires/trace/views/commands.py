"""What a stepper is told: commands by name, and the keys that stand for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..breakpoints import Breakpoint
from .stops import Stop
from .walk import State, Walk

HELP = """\
n, next [COUNT]   the next step (also an empty line)
p, previous       the step before
block, -block     to the next block, to the one before
fork, -fork       to the next place where contributions meet, to the one before
turn              where forward ends and backward begins
into, out         open what is folded here; close it again
goto 12           to step 12; goto end
find TEXT         to the next step whose value has TEXT in its name
break CONDITION   norm<1e-3, share(shortcut)>0.9, nan, fork, at:layer2.0
break             list the breakpoints; `break here`: set or clear one here
clear [CONDITION] forget it, or all of them
c, -c             to the next breakpoint, to the one before
pixel 3,4         the output entry of a convolution to show: row, column;
                  with its filter and image: pixel 3,4,0,0
help, quit"""

KEYS = {
    "right": "next", ".": "next", " ": "next", "left": "previous", ",": "previous",
    "down": "block", "up": "-block", "n": "fork", "p": "-fork",
    "]": "c", "[": "-c", "b": "break here", "shift-right": "turn", "shift-left": "turn",
    "home": "goto 0", "end": "goto end", "enter": "into", "backspace": "out", "escape": "out",
    "?": "help", "h": "help", "q": "quit", "ctrl-d": "quit",
}  # fmt: skip

# Keys that ask for a line of text, and the command that it completes.
QUESTIONS = {"g": "goto ", "/": "find ", ":": "", "B": "break ", "x": "pixel "}

KEY_HELP = """\
Left Right or , .    step by step         g  go to a step
Up Down              block by block       /  search
n p                  next, previous fork  b  breakpoint at this module
[ ]                  between breakpoints  B  breakpoint: norm<1e-3, nan
Enter, Backspace     open, close          x  output entry to show
Home End             first, last step     :  any command by name
Shift+Left or Right  where forward ends   ?  help    q  quit"""


def obey(walk: Walk, state: State, command: str) -> State:
    """Carry out a command.

    Parameters
    ----------
    walk : Walk
    state : State
    command : str
        See `HELP`. One that is unknown or cannot be carried out leaves the walk where it is, with
        a message.

    Returns
    -------
    State
    """
    state = replace(state, message="", helping=False)
    name, _, argument = command.strip().partition(" ")
    argument = argument.strip()
    back = name.startswith("-")
    known: dict[str, Callable[[], State]] = {
        **dict.fromkeys(("", "n", "next"), lambda: _along(walk, state, argument, 1)),
        **dict.fromkeys(("p", "previous"), lambda: _along(walk, state, argument, -1)),
        "block": lambda: walk.block(state, back),
        "fork": lambda: walk.fork(state, back),
        **dict.fromkeys(("c", "continue"), lambda: walk.hit(state, back)),
        "turn": lambda: walk.turn(state),
        "into": lambda: walk.into(state),
        "out": lambda: walk.out(state),
        "goto": lambda: _goto(walk, state, argument),
        "find": lambda: _find(walk, state, argument),
        "break": lambda: _break(walk, state, argument),
        "clear": lambda: _clear(state, argument),
        "pixel": lambda: _pixel(state, argument),
        **dict.fromkeys(("help", "?", "h"), lambda: replace(state, helping=True)),
        **dict.fromkeys(("quit", "q", "exit"), lambda: replace(state, done=True)),
    }
    carry_out = known.get(name.removeprefix("-"))
    if carry_out is None:
        return replace(state, message=f"there is no command {name!r}; help lists them all")
    return carry_out()


def press(walk: Walk, state: State, key: str) -> State:
    """Take a single key, or a letter of a command that is being typed.

    Parameters
    ----------
    walk : Walk
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
        return obey(walk, state, KEYS[key])
    if key == "ctrl-d":  # also what a terminal that is gone sends, again and again
        return replace(state, typed=None, done=True)
    if key == "enter":
        return obey(walk, replace(state, typed=None), state.typed or "help")
    if key == "escape":
        return replace(state, typed=None)
    if key == "backspace":
        return replace(state, typed=state.typed[:-1] or None)
    return replace(state, typed=state.typed + key) if len(key) == 1 else state


def _along(walk: Walk, state: State, count: str, direction: int) -> State:
    steps = _whole(count or "1")
    if steps is None:
        return replace(state, message=f"next: expected a number of steps, found {_cut(count)!r}")
    return walk.along(state, direction * steps)


def _whole(text: str) -> int | None:
    """Read a number that a trace could have; Python refuses to read thousands of digits."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


def _goto(walk: Walk, state: State, text: str) -> State:
    last = len(walk.trace.records.steps) - 1
    number = last if text == "end" else _whole(text)
    if number is None or number > last:
        return replace(state, message=f"goto: steps are 0 to {last}, found {_cut(text)!r}")
    return walk.to(state, number)


def _find(walk: Walk, state: State, text: str) -> State:
    if not text:
        return replace(state, message="find: what? For example: find layer2.0.conv1")
    return walk.find(state, text)


def _break(walk: Walk, state: State, text: str) -> State:
    if not text:
        told = ", ".join(map(str, state.breakpoints)) or "none"
        return replace(state, message=f"breakpoints: {told}")
    if text == "here":
        text = f"at:{_place(walk, walk.stop(state))}"
        if text in map(str, state.breakpoints):
            return _clear(state, text)
    try:
        found = Breakpoint.parse(text)
        found.require(walk.trace)
    except ValueError as error:
        return replace(state, message=str(error))
    if found not in state.breakpoints:
        state = replace(state, breakpoints=(*state.breakpoints, found))
    return replace(state, message=f"breakpoint {found}; `c` goes to the next hit")


def _place(walk: Walk, stop: Stop) -> str:
    """Name the module of a step, or else its value, for a breakpoint."""
    records = walk.trace.records
    if stop.kind == "forward":
        step = records.forward[stop.steps[0]]
        return step.module or records.values[step.output].name
    value = records.values[records.backward[stop.steps[0]].value]
    module = "" if value.op is None else records.forward[value.op].module
    return module or value.name


def _clear(state: State, text: str) -> State:
    kept = tuple(b for b in state.breakpoints if text and str(b) != text)
    if len(kept) == len(state.breakpoints):
        return replace(state, message=f"clear: there is no breakpoint {text}".rstrip())
    gone = len(state.breakpoints) - len(kept)
    told = text or f"{gone} breakpoint{'s' * (gone > 1)}"
    return replace(state, breakpoints=kept, message=f"cleared {told}")


def _pixel(state: State, text: str) -> State:
    parts = text.replace(",", " ").split()
    numbers = tuple([number for part in parts if (number := _whole(part)) is not None])
    if not 2 <= len(parts) <= 4 or len(numbers) < len(parts):
        return replace(
            state,
            message="pixel: expected row,column or row,column,filter,image, such as 3,4;"
            f" found {_cut(text)!r}",
        )
    return replace(state, pixel=numbers)
