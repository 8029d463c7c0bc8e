"""Two traces side by side: the same modules in the same lines, and what differs between them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .layout import Layout, layout_of
from .records import Records

if TYPE_CHECKING:
    from .trace import Trace
    from .views.lines import Expand
    from .views.svg import StaticPicture
    from .views.table import Table


@dataclass(frozen=True, repr=False)
class TraceComparison:
    """Two traces, aligned by module path and op.

    Attributes
    ----------
    left, right : Trace
    """

    left: Trace
    right: Trace

    @property
    def traces(self) -> tuple[Trace, Trace]:
        """Both."""
        return self.left, self.right

    @cached_property
    def layout(self) -> Layout:
        """Common rows; a step that only one trace has leaves an empty slot in the other."""
        return layout_of(self.left.structure, self.right.structure)

    @cached_property
    def differences(self) -> list[str]:
        """What the two do not have in common although it has the same name.

        Twins by construction have no such difference before their first step of training.
        """
        found = []
        ours, theirs = (_parameters(trace.records) for trace in self.traces)
        for name in ours.keys() & theirs.keys():
            mine, yours = ours[name], theirs[name]
            if mine[0] != yours[0]:
                found.append(f"{name} has shape {mine[0]} on the left, {yours[0]} on the right")
            elif mine[1] != yours[1]:
                found.append(f"{name} has other numbers on the left than on the right")
        for row in self.layout.rows:
            left, right = row.steps
            if left is not None and right is not None:
                a, b = (t.records for t in self.traces)
                x, y = (r.values[r.forward[s].output] for r, s in ((a, left), (b, right)))
                if x.shape != y.shape:
                    found.append(f"{x.name} has shape {x.shape} on the left, {y.shape} right")
        return sorted(found)

    @property
    def scale(self) -> tuple[float, float]:
        """The smallest and the largest norm of a gradient in either, zero and NaN aside."""
        norms = [
            value.gradient.norm
            for trace in self.traces
            for value in trace.records.values
            if value.gradient is not None and value.gradient.finite and value.gradient.norm > 0
        ]
        return (min(norms), max(norms)) if norms else (1.0, 1.0)

    def to_svg(
        self, path: str | os.PathLike[str] | None = None, expand: Expand = False
    ) -> StaticPicture:
        """Draw both as one static picture; see `Trace.to_svg`.

        Parameters
        ----------
        path : str or os.PathLike, optional
        expand : bool, str or iterable of str

        Returns
        -------
        str
            The text of an SVG file.
        """
        from .views.svg import write_svg

        return write_svg(*self.traces, path=path, expand=expand, layout=self.layout)

    def table(self, expand: Expand = False) -> Table:
        """Return the readable table of both; see `Trace.table`."""
        from .views.table import table_of

        return table_of(self.left, self.right, expand=expand, layout=self.layout)

    def __repr__(self) -> str:
        return str(self.table())

    def step(self, commands: Iterable[str] | None = None) -> None:
        """Step through the left trace in the terminal, with the same step of the right one.

        Parameters
        ----------
        commands : iterable of str, optional
            Obey these, print what they show, and end, instead of asking.
        """
        self.left.step(self.right, commands)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the viewer of both, in lockstep, as one HTML file that needs no network.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        from .views.page import write_page

        write_page(self.traces, path)

    def _repr_html_(self) -> str:
        """Show the viewer in a notebook."""
        from .views.page import frame_of

        return frame_of(self.traces)


def _parameters(records: Records) -> dict[str, tuple[tuple[int, ...], object]]:
    return {
        value.name: (value.shape, value.checksum)
        for value in records.values
        if value.kind == "parameter"
    }


def compare(left: Trace, right: Trace) -> TraceComparison:
    """Align two traces; see `Trace.compare`."""
    for trace in (left, right):
        if not hasattr(trace, "records"):
            raise TypeError(f"compare: another Trace is needed, found {type(trace).__name__}")
        if not trace.records.forward:
            raise ValueError("compare: one of the traces is empty: no op ran inside its with-block")
    comparison = TraceComparison(left, right)
    if not any(None not in row.steps for row in comparison.layout.rows):
        raise ValueError(
            "compare: the traces have no step in common; they are aligned by module path and op,"
            f" and the models are {left.records.title!r} and {right.records.title!r}"
        )
    return comparison
