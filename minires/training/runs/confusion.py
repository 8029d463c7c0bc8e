"""What was taken for what: the confusion matrix of a run as a section of its report."""

from __future__ import annotations

from collections.abc import Sequence

from minires.pages import Cell, escape, percent, table

_MOST = 20  # classes of a matrix that is shown whole
_MIX_UPS = 10
_SHADES = 5


def confusion_section(confusion: Sequence[Sequence[int]], names: Sequence[str] = ()) -> str:
    """Write the matrix, or what stands out in it if there are many classes.

    Parameters
    ----------
    confusion : sequence of sequences of int
        Row: the right class; column: the predicted one.
    names : sequence of str
        Of the classes; by default their numbers.
    """
    named = list(names) or [str(number) for number in range(len(confusion))]
    shown = [f'<div class="card">{_mix_ups(confusion, named)}</div>']
    if len(confusion) <= _MOST:
        shown.insert(0, f'<div class="card confusion">{_matrix(confusion, named)}</div>')
    else:
        shown.append(f'<div class="card">{_hardest(confusion, named)}</div>')
    return (
        '<section aria-labelledby="confusion">\n<h2 id="confusion">What does it take for what?</h2>'
        "\n<p>What you see: the images of the test part, counted by what they are and by what the"
        " network takes them for.</p>\n"
        f'<div class="grid">{"".join(shown)}</div>\n</section>'
    )


def _matrix(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    mistakes = (n for i, row in enumerate(confusion) for j, n in enumerate(row) if i != j)
    most = max(mistakes, default=0)

    def cell(row: int, column: int) -> Cell:
        count = confusion[row][column]
        if row == column:
            return Cell(str(count), "right")
        shade = -(-_SHADES * count // most) if most else 0
        return Cell(str(count) if count else "·", f"shade-{shade}")

    rows: list[list[str | Cell]] = [
        [name, *(cell(row, column) for column in range(len(names)))]
        for row, name in enumerate(names)
    ]
    caption = (
        "Rows: what it is. Columns: what it is taken for. The stronger the colour, the more"
        " mistakes."
    )
    return table(caption, ["", *names], rows)


def _mix_ups(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    found = sorted(
        (-count, row, column)
        for row, counts in enumerate(confusion)
        for column, count in enumerate(counts)
        if row != column and count
    )[:_MIX_UPS]
    if not found:
        return f"<p>{escape('There is not a single mistake.')}</p>"
    rows = [
        [names[row], names[column], f"{-count:,}", percent(-count / sum(confusion[row]))]
        for count, row, column in found
    ]
    caption = "The most frequent mistakes"
    return table(caption, ["it is", "taken for", "images", "share of the class"], rows)


def _hardest(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    errors = sorted(
        (counts[row] / sum(counts), row) for row, counts in enumerate(confusion) if sum(counts)
    )[:_MIX_UPS]
    rows = [[names[row], percent(1 - right)] for right, row in errors]
    return table("The hardest classes", ["class", "error"], rows)
