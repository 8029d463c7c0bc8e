"""A report as text: a verdict, a table, and what the worst disagreement looks like."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import GradcheckReport, InputReport

_LISTED = 6
# A longer table is cut down to what is wrong, if something is.
_ROWS = 24

HEADLINES = {
    "right": "gradcheck: right",
    "wrong": "gradcheck: WRONG",
    "undecided": "gradcheck: undecided",
    "unfit": "gradcheck: this function cannot be checked",
}


def explained(report: GradcheckReport, heat_map: bool) -> str:
    """Return the whole report as text."""
    lines = [HEADLINES[report.status]]
    if report.problem:
        lines.append(report.problem)
    shown = report.inputs
    if not report and len(shown) > _ROWS:
        shown = tuple(row for row in shown if row.wrong or row.excluded)
    if shown:
        lines += ["", *_table(shown)]
    if len(shown) < len(report.inputs):
        lines.append(f"and {len(report.inputs) - len(shown)} in which nothing is wrong")
    for row in shown:
        if row.note and row.wrong:
            lines.append(f"{row.title}: {row.note}")
        lines += _excluded(row)
    if report and report.miss_probability:
        lines.append(
            "random directions: an error of a thousandth of a gradient, in norm, would have"
            f" been missed with a probability below {report.miss_probability:.0e}"
        )
    lines += [f"note: {note}" for note in report.notes]
    lines += _about_what_is_wrong(report)
    drawn = report.heat_map() if heat_map else None
    return "\n".join(lines if drawn is None else [*lines, "", drawn.text()])


def _about_what_is_wrong(report: GradcheckReport) -> list[str]:
    if report.worst is None or report.worst.worst is None:
        return []
    worst = report.worst.worst
    lines = [""]
    for row in report.inputs:
        if row.patterns and row is not report.worst:
            lines += [f"{row.title}: {row.patterns[0]}"]
    lines += [f"{report.worst.title}: {pattern}" for pattern in report.worst.patterns] or [
        f"{report.worst.title}: no pattern that is known"
    ]
    lines.append(
        f"worst at {worst.index}: the gradient says {worst.analytic:.10g}, differences say"
        f" {worst.numeric:.10g}; relative error {worst.relative_error:.1e}"
    )
    return [*lines, report.hint] if report.hint else lines


def _cells(row: InputReport) -> tuple[str, ...]:
    size = math.prod(row.shape)
    what = f"{row.compared} directions" if row.directions else f"{row.compared} of {size}"
    if not row.tried:
        return (row.title, str(row.shape), row.note or "-", *"-------")
    cells = (
        row.title,
        str(row.shape),
        what,
        str(row.wrong),
        str(len(row.excluded)),
        _short(row.margin),
    )
    if row.worst is None:
        return (*cells, "-", "-", "-", "-")
    worst = row.worst
    values = (str(worst.index), f"{worst.analytic:.8g}", f"{worst.numeric:.8g}")
    return (*cells, *values, f"{worst.relative_error:.1e}")


def _short(ratio: float) -> str:
    """Return a margin in few characters."""
    return f"{ratio:.2g}" if ratio < 1000 else f"{ratio:.0e}"


def _excluded(row: InputReport) -> list[str]:
    """Name what was not compared, a line for every reason."""
    lines = []
    for why in dict.fromkeys(why for _, why in row.excluded):
        indices = [index for index, reason in row.excluded if reason is why]
        what = [f"direction {index[0]}" if row.directions else str(index) for index in indices]
        more = len(indices) - _LISTED
        listed = ", ".join(what[:_LISTED]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"{row.title}: not compared, kink or edge at {listed}: {why}")
    return lines


def _table(rows: tuple[InputReport, ...]) -> list[str]:
    head = (
        *("input", "shape", "compared", "wrong", "kinks", "margin"),
        *("worst at", "analytic", "numeric", "rel. error"),
    )
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
