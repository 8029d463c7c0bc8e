"""Small pieces of HTML, also well-formed XML; every value that goes in is escaped."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from typing import NamedTuple

# What XML 1.0 cannot hold, not even escaped.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Cell(NamedTuple):
    """A table cell: its text, the class that styles it, and the address to which it leads."""

    text: str
    style: str = ""
    link: str = ""


def escape(value: object) -> str:
    """Return the text of `value` with all of HTML's special characters replaced.

    So are those that no page can hold: control characters, and halves of characters.
    """
    return html.escape(NO_XML.sub("\N{REPLACEMENT CHARACTER}", str(value)), quote=True)


def table(
    caption: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    ruled_after: Sequence[int] = (),
) -> str:
    """Write a table that can be scrolled sideways where it does not fit.

    Parameters
    ----------
    caption : str
    head : sequence of str
        The columns' names.
    rows : sequence of rows
        Their first cells are headings.
    ruled_after : sequence of int
        Numbers of rows that end a group.
    """
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = []
    for number, row in enumerate(rows):
        cells = [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]
        style = ' class="pair-ends"' if number in ruled_after else ""
        written = "".join(
            f'<th scope="row"{_class(cell)}>{_content(cell)}</th>'
            if not position
            else f"<td{_class(cell)}>{_content(cell)}</td>"
            for position, cell in enumerate(cells)
        )
        body.append(f"<tr{style}>{written}</tr>")
    rows_written = "\n".join(body)
    # The caption stands outside, where it stays in view when the table is scrolled.
    label = f'aria-label="{escape(caption)}"'
    return (
        f'<p class="caption">{escape(caption)}</p>\n'
        f'<div class="scroll" role="region" tabindex="0" {label}><table {label}>\n'
        f"<thead><tr>{columns}</tr></thead>\n<tbody>\n{rows_written}\n</tbody></table></div>"
    )


def picture(light: bytes, dark: bytes, alt: str) -> str:
    """Write a picture with a rendering for light and one for dark pages, inside the page itself.

    Parameters
    ----------
    light, dark : bytes
        PNG files.
    alt : str
        What the picture shows, for those who cannot see it.
    """
    return (
        '<picture><source media="(prefers-color-scheme: dark)"'
        f' srcset="{_data_url(dark)}"/>'
        f'<img src="{_data_url(light)}" alt="{escape(alt)}"/></picture>'
    )


def definitions(pairs: Sequence[tuple[str, object]]) -> str:
    """Write a list of terms and what they are."""
    items = "\n".join(f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" for term, value in pairs)
    return f"<dl>\n{items}\n</dl>"


def details(summary: str, content: str) -> str:
    """Write HTML that is out of sight until its summary is clicked."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _content(cell: Cell) -> str:
    text = escape(cell.text)
    return f'<a href="{escape(cell.link)}">{text}</a>' if cell.link else text


def _class(cell: Cell) -> str:
    return f' class="{escape(cell.style)}"' if cell.style else ""


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
