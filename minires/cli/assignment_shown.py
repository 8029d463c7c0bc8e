"""What is said of an assignment, in the terminal."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from .heat_maps import print_heat_map

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from minires.classroom.results import GradedCheck, Submission

_MOST_PRINTED = 10
# Columns: where what is said of a check begins, and the least that a line of it may have.
_INDENT = 13
_NARROW = 20
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


def print_submission(submission: Submission, hidden_points: int = 0) -> None:
    """Print a line for each check, and below those that fail what is wrong."""
    console = console_of_text()
    width = max(len(check.name) for check in submission.checks)
    for check in submission.checks:
        print_line(console, check, width)
        print_verdict(console, check, _INDENT)
    console.print(points_of(submission, hidden_points))


def print_list(submission: Submission, hidden_points: int = 0) -> None:
    """Print a line for each check, in a terminal as much of it as fits."""
    from rich.text import Text

    console = console_of_text()
    width = max(len(check.name) for check in submission.checks)
    for check in submission.checks:
        line = Text.assemble(_head_of(check, width), check.title)
        if console.is_terminal:
            line.truncate(console.width, overflow="ellipsis")
        console.print(line)
    console.print(points_of(submission, hidden_points))


def points_of(submission: Submission, hidden_points: int = 0) -> str:
    """Return how many points there are, and how many can only be had later."""
    told = f"{submission.score} of {submission.max_score} points{' here' if hidden_points else ''}"
    if unread := sum(each.max_points for each in submission.checks if each.status == "unread"):
        told += f", {unread} to be read"
    return f"{told}; {hidden_points} more at grading" if hidden_points else told


def print_line(console: Console, check: GradedCheck, width: int = 0) -> None:
    """Print whether a check is passed, its points, its name and what it claims."""
    from rich.text import Text

    head = _head_of(check, width)
    place = len(head) if console.width - len(head) >= _NARROW else _INDENT
    first, *more = _lines(console, " " * len(head) + check.title, place - len(head))
    console.print(Text.assemble(head, first[len(head) :]))
    for line in more:
        console.print(line)


def print_verdict(console: Console, check: GradedCheck, indent: int) -> None:
    """Print what is wrong with a check, where it is wrong, and what was printed."""
    style = "" if check.status == "failed" else "dim"
    for said in _said_of(check):
        print_indented(console, said, indent, style)
    print_heat_map(console, check.heat_map, indent)
    for printed in _printed_of(check):
        print_indented(console, printed, indent)


def print_indented(console: Console, said: str, indent: int, style: str = "") -> None:
    """Print a line some columns from the left; an item, which is indented itself, hangs."""
    hang = 4 if said.startswith(" ") else 0
    for line in _lines(console, " " * indent + said, hang):
        console.print(line, style=style)


def _lines(console: Console, text: str, hang: int) -> list[str]:
    """Break a line, in a terminal: what follows begins so far to the right of where it does."""
    begins = len(text) - len(text.lstrip(" "))
    if not console.is_terminal or not text.strip():
        return [text]
    return textwrap.wrap(
        text[begins:],
        max(console.width, begins + max(hang, 0) + _NARROW),
        initial_indent=" " * begins,
        subsequent_indent=" " * (begins + hang),
        break_on_hyphens=False,
    )


def _head_of(check: GradedCheck, width: int) -> Text:
    from rich.text import Text

    mark, style = _MARKS.get(check.status, (check.status, "cyan"))
    points = f"{check.points:>3}/{check.max_points}"
    line = Text(f"{mark:<6}", style=style)
    line.append(f"{points:<7}{check.name:<{width}}  ", style="default")
    return line


def _said_of(check: GradedCheck) -> list[str]:
    """Return the lines of what is wrong, fit for a terminal."""
    from minires.classroom.running.printable import as_printable

    if check.status == "unread":
        return ["people read it later"]
    if check.status == "passed":
        return []
    return as_printable(check.message).split("\n")


def _printed_of(check: GradedCheck) -> list[str]:
    """Return the first lines of what was printed, fit for a terminal, and how many more there are.

    Of a check that is passed there are none.
    """
    from minires.classroom.running.printable import as_printable

    printed = as_printable(check.output).strip()
    if check.status != "failed" or not printed:
        return []
    lines = printed.split("\n")
    more = len(lines) - _MOST_PRINTED
    return ["printed:", *lines[:_MOST_PRINTED], *([f"... and {more} lines more"] * (more > 0))]
