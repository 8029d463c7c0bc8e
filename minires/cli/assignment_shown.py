"""What is said of an assignment, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .heat_maps import print_heat_map

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from minires.classroom.results import GradedCheck, Submission

_MOST_PRINTED = 10
_MARKS = {
    "passed": ("ok", "green"),
    "failed": ("wrong", "bold red"),
    "skipped": ("-", "dim"),
    "unread": ("unread", "cyan"),
}


def console_of_text() -> Console:
    """Return a console that prints words as they are, and breaks no line."""
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=True)


def print_submission(submission: Submission) -> None:
    """Print a line for each check, and below those that fail what is wrong."""
    from rich.text import Text

    console = console_of_text()
    width = max(len(check.name) for check in submission.checks)
    for check in submission.checks:
        console.print(line_of(check, width))
        for said in said_of(check):
            print_indented(console, Text(said), 13)
        print_heat_map(console, check.heat_map, indent=13)
    console.print(f"{submission.score} of {submission.max_score} points")


def print_indented(console: Console, text: Text, indent: int) -> None:
    """Print a text some columns from the left, in a terminal each line of it."""
    from rich.padding import Padding

    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)), soft_wrap=False)
    else:
        console.print(" " * indent + text.plain)


def line_of(check: GradedCheck, width: int = 0) -> Text:
    """Return whether a check is passed, its points, its name and what it claims."""
    from rich.text import Text

    mark, style = _MARKS.get(check.status, (check.status, "cyan"))
    points = f"{check.points:>3}/{check.max_points}"
    line = Text(f"{mark:<6}", style=style)
    line.append(f"{points:<7}{check.name:<{width}}  {check.title}", style="default")
    return line


def said_of(check: GradedCheck) -> list[str]:
    """Return the lines of what is wrong, and of what was printed, fit for a terminal."""
    from minires.classroom.running.printable import as_printable

    if check.status != "failed":
        return []
    lines = as_printable(check.message).split("\n")
    if printed := as_printable(check.output).strip():
        lines += ["printed:", *printed.split("\n")[:_MOST_PRINTED]]
    return lines
