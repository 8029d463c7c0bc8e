"""Heat maps on stdout: in colours where the terminal has some, in characters everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {
    "below": "dodger_blue2",
    "far below": "reverse dodger_blue2",
    "above": "dark_orange3",
    "far above": "reverse dark_orange3",
    "worst": "bold reverse red",
    "not finite": "bold red",
    "unknown": "dim",
    "right": "dim",
}


def print_heat_map(
    console: Console, lines: Sequence[Sequence[Sequence[str]]], indent: int = 0
) -> None:
    """Print the lines of a heat map, each of texts and their kinds."""
    from rich.padding import Padding
    from rich.text import Text

    for line in lines:
        text = Text.assemble(*((text, _STYLES.get(kind, "")) for text, kind in line))
        if console.is_terminal:  # the words around the picture may be broken
            console.print(Padding(text, (0, 0, 0, indent)), soft_wrap=False)
        else:
            console.print(" " * indent, text, sep="")
