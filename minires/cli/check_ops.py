"""`minires check ops`: the table of minires' own ops."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from minires.checking import OpRow, check_ops
from minires.checking.all_ops import own_ops

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Colour is never the only cue: the word stands beside it.
_STYLES = {"right": "green", "no gradient": "dim", "undecided": "yellow"}
_BAR = 8


def check_all(names: Sequence[str], order: int, json: bool) -> bool:
    """Check the ops, print what was found, and tell whether all is well.

    Raises
    ------
    typer.BadParameter
        If a name is no op's, or the order is not possible.
    """
    known = own_ops()
    for name in names:
        near = difflib.get_close_matches(name, known, 1)
        if near and name not in known:  # one name is read more easily than all of them
            raise typer.BadParameter(f"there is no op {name!r}; did you mean {near[0]!r}?")
    try:
        rows = check_ops(names or None, order)
    except ValueError as error:
        raise typer.BadParameter(str(error).removeprefix("check_ops: ")) from None
    found = []
    with _progress_on_stderr() as passed:
        for row in rows:
            found.append(row)
            passed(row)
    if json:
        from minires.serialize.json_text import to_json

        told = {"schema": "minires.check-ops/1", "right": all(found), "ops": _told(found)}
        typer.echo(to_json(told), nl=False)
    else:
        _print(found)
    return all(found)


def _told(rows: list[OpRow]) -> list[dict[str, Any]]:
    from dataclasses import asdict

    # JSON has no infinity.
    return [asdict(r) | {"margin": r.margin if math.isfinite(r.margin) else None} for r in rows]


@contextmanager
def _progress_on_stderr() -> Iterator[Callable[[OpRow], None]]:
    """Say in a terminal which op was done last; elsewhere nothing."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda row: None
        return
    with console.status("checking") as status:
        yield lambda row: status.update(f"checked {row.op}: {row.status}")


def _print(rows: list[OpRow]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 160  # nothing is cut where a program reads it
    console.print(_table(rows, console))
    console.print()
    for row in rows:
        if not row:
            console.print(Text(f"{row.op}: {row.status}; {row.why}\n"))
    checked = [row for row in rows if row.entries]
    wrong = sum(not row for row in rows)
    compared = f"{sum(row.entries for row in checked):,} entries compared"
    cases = f"{len(checked)} ops in {sum(row.cases for row in checked)} cases"
    console.print(
        Text(f"{cases}, {compared}: {f'{wrong} not right' if wrong else 'all right'}", "bold")
    )


def _table(rows: list[OpRow], console: Console) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    unicode = console.encoding.lower().startswith("utf")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("op", no_wrap=True)
    # What a narrow terminal has no room for is left out; the last column is broken into lines.
    counted = ["cases", "layouts", "entries", "order"]
    if console.width < 80:
        counted = [] if console.width < 60 else ["cases", "entries"]
    for heading in counted:
        table.add_column(heading, justify="right", no_wrap=True)
    with_bar = console.width >= 100
    table.add_column("error / allowed" if with_bar else "error /\nallowed", no_wrap=True)
    table.add_column("status")
    for row in rows:
        figures = [f"{getattr(row, name):,}" if row.cases else "" for name in counted]
        bar = margin_bar(row.margin, unicode) if with_bar else _short(row.margin)
        why = f": {row.why}" if row and row.why and console.width >= 60 else ""
        status = Text(row.status + why, _STYLES.get(row.status, "bold red"))
        table.add_row(row.op, *figures, bar if row.entries else "", status)
    return table


def margin_bar(margin: float, unicode: bool) -> str:
    """Draw the largest error over the one allowed: a sign per power of ten, from 1e-8 to 1."""
    decades = round(_BAR + math.log10(margin)) if 0 < margin < 1 else _BAR * (margin > 0)
    full, empty = ("▪", "·") if unicode else ("#", ".")
    return f"{(full * decades).ljust(_BAR, empty)} {_short(margin)}"


def _short(margin: float) -> str:
    return f"{margin:.0e}" if margin else "0"
