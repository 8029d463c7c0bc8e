"""The stepper in a terminal: single keys and a screen, or commands and plain lines in a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from .commands import HELP, KEY_HELP, obey, press
from .keys import single_keys
from .scene import Scene
from .walk import State, Walk
from .words import Glyphs, glyphs_for, only

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..trace import Trace


def step_through(
    trace: Trace,
    beside: Trace | None = None,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> None:
    """Step through a trace, forward and backward, op by op.

    In a terminal it takes single keys; elsewhere it reads commands, one per line, and answers each
    with plain text.

    Parameters
    ----------
    trace : Trace
    beside : Trace, optional
        Another one, such as that of the plain twin, whose same step is shown as well.
    stdin, stdout : text file, optional
        By default those of the process.

    Raises
    ------
    ValueError
        If the trace is empty.
    """
    from rich.console import Console

    walk = Walk(trace)
    stdin, stdout = stdin or sys.stdin, stdout or sys.stdout
    scene = Scene(walk, beside)
    console = Console(file=stdout, highlight=False)
    single = stdin is sys.stdin and stdin.isatty()
    if single and console.is_terminal and not console.is_dumb_terminal:
        _with_keys(scene, console)
    else:
        _with_lines(scene, stdin, stdout)


def _with_keys(scene: Scene, console: Console) -> None:
    """Show a screen that every key renews, and every change of its size."""
    from rich.console import Group

    marks = glyphs_for(console.encoding)
    state = scene.walk.start
    with console.screen() as screen, single_keys() as key:
        while not state.done:
            screen.update(Group(*_screen(scene, state, console.width, console.height, marks)))
            if (pressed := key()) != "resized":
                state = press(scene.walk, state, pressed)


def _screen(scene: Scene, state: State, width: int, height: int, marks: Glyphs) -> list[Text]:
    """Fill a screen: the network, what there is to see, and a line for what is typed."""
    from rich.text import Text

    if state.helping:
        lines = [*KEY_HELP.splitlines(), "", "Commands, after the colon:", *HELP.splitlines()]
        return [Text(line) for line in lines][:height]
    last = Text("? keys  q quit", "dim")
    if state.typed is not None:
        last = Text(f":{state.typed}_", "bold")
    elif state.message:
        last = Text(only(state.message), "bold")
    sight = scene.sight(state, width, marks)
    room = max(4, height - len(sight) - 3)
    found = [*scene.map(state, width, room, marks), Text(), *sight]
    found = found[: height - 2] + [Text()] * (height - 2 - len(found))
    return [*found, Text(), last]


def _with_lines(scene: Scene, stdin: TextIO, stdout: TextIO) -> None:
    """Answer commands, one per line, with plain text."""
    width = shutil.get_terminal_size((80, 24)).columns
    marks = glyphs_for(getattr(stdout, "encoding", None))
    state = scene.walk.start
    told: State | None = None

    def tell(lines: Iterable[str]) -> None:
        stdout.write("".join(f"{line.rstrip()}\n" for line in lines))
        stdout.flush()

    while not state.done:
        if state.message:
            tell(textwrap.wrap(only(state.message), width))
        if state.helping:
            tell([*HELP.splitlines(), ""])
        elif told is None or (state.at, state.pixel) != (told.at, told.pixel):
            lines = [*scene.map(state, width, 3, marks), "", *scene.sight(state, width, marks), ""]
            tell(map(str, lines))
        if stdin.isatty():
            stdout.write("> ")
            stdout.flush()
        command = stdin.readline()
        if not command:
            return
        told, state = state, obey(scene.walk, state, command)
