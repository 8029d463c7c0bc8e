"""The readable table of a trace, or of two side by side, in plain text or for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from functools import cached_property
from typing import TYPE_CHECKING

from ..layout import Layout
from .captions import legend, lines_of_news, names_of, opening, spectrum_lines, sums
from .columns import ALARM, columns_of, fitted
from .lines import Expand, Lines
from .words import Glyphs, Scale, glyphs_for, scale_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from ..trace import Trace


class Table:
    """A table of one trace or two: ``str`` writes it as plain text, rich prints it in colour.

    Parameters
    ----------
    lines : Lines
    """

    def __init__(self, lines: Lines) -> None:
        self.lines = lines

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int | None = None, encoding: str | None = None) -> str:
        """Write it as plain text.

        Parameters
        ----------
        width : int, optional
            Letters in a line; by default those of the terminal, or 80.
        encoding : str, optional
            What must be able to write it; by default that of the standard output.

        Returns
        -------
        str
        """
        width = width or shutil.get_terminal_size((80, 24)).columns
        return "\n".join(line.plain.rstrip() for line in self.drawn(width, glyphs_for(encoding)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show it in colour, as wide as the console is."""
        yield from self.drawn(options.max_width, glyphs_for(console.encoding))

    def drawn(self, width: int, marks: Glyphs) -> list[Text]:
        """Draw it, line by line, with what is to be said above and below."""
        from rich.text import Text

        traces = self.lines.traces
        found: list[Text] = []

        def tell(text: str, style: str) -> None:
            for line in textwrap.wrap(text, max(width, 20), subsequent_indent="  "):
                found.append(Text(line, style))

        names = names_of(*traces)
        for trace, name in zip(traces, names, strict=True):
            tell(opening(trace, name), "bold")
        for text in lines_of_news(traces):
            tell(text, ALARM)
        rows = self.rows(width, marks) if self.lines.lines else []
        if rows:
            found += [Text(), *rows, Text()]
        # The bars may have found no room.
        bars = any(letter in row.plain for row in rows for letter in marks.eighths)
        for text in legend(self.shortcuts, self.nothing_came, self.scale if bars else None, marks):
            tell(text, "dim")
        for trace, whose in zip(traces, names, strict=True):
            name = "" if len(traces) == 1 else f"{whose}: "
            if verified := sums(trace):
                tell(name + verified, "dim")
            for spectrum in trace.records.spectra:
                head, *bars_below = spectrum_lines(spectrum, width, marks)
                found.append(Text())
                tell(name + head, "")
                found += map(Text, bars_below)
        return found

    def rows(self, width: int, marks: Glyphs) -> list[Text]:
        """Draw the headings, then the lines."""
        return fitted(columns_of(self.lines, marks), width, self.scale, marks)

    @cached_property
    def shortcuts(self) -> bool:
        """Whether there is a shortcut to be seen."""
        sides = range(len(self.lines.traces))
        return any(bow.shortcut for side in sides for bow in self.lines.bows(side))

    @cached_property
    def nothing_came(self) -> bool:
        """Whether there is a block to whose input no gradient came back, so that none is shared."""
        cells = [cell for line in self.lines.lines for cell in line.cells if cell is not None]
        return any(c.fork and c.fork.has_sides and c.fork.norm == 0 for c in cells)

    @cached_property
    def scale(self) -> Scale | None:
        """The one scale of all gradients, in whatever lines and traces; None without gradients."""
        return scale_of(
            [
                None if value.gradient is None else value.gradient.norm
                for trace in self.lines.traces
                for value in trace.records.values
                if value.op is not None
            ]
        )


def table_of(*traces: Trace, expand: Expand = False, layout: Layout | None = None) -> Table:
    """Make the table of one trace, or of two side by side.

    Parameters
    ----------
    *traces : Trace
        One or two.
    expand : bool, str or iterable of str
        Which blocks are opened: none, all, or those whose path matches a pattern such as
        ``"layer1.*"``.
    layout : Layout, optional
        Theirs, where it is known already.

    Returns
    -------
    Table

    Raises
    ------
    KeyError
        If a pattern matches no block; near ones are suggested.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> print(table_of(trace).text(width=60))
    trace: 3 forward and 4 backward steps, save=summary, replay
      kept: 12 B
    <BLANKLINE>
      block        op output |gradient|          shortcut branch
    ● mul                  2       1.41 █▎
    ⊕ residual_add         2       1.41 █▎            25%    75%
    ● sum             scalar       1.00 ▏
    <BLANKLINE>
    bars: |gradient| of the output, 1 to 10, logarithmic
    the one sum at a fork is bit for bit the engine's gradient
    """
    return Table(Lines(traces, expand, layout))
