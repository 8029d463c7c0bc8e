"""The static picture of a trace, or of two side by side, as SVG.

For where no script runs. Blocks are lines, shortcuts are arcs, bars are norms of gradients on one
logarithmic scale; the picture follows the reader's light or dark theme by itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minires.serialize import atomic_write

from .lines import Lines
from .svg_picture import Picture

if TYPE_CHECKING:
    from ..layout import Layout
    from ..trace import Trace
    from .lines import Expand


class StaticPicture(str):
    """An SVG that a notebook shows as a picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def svg_of(*traces: Trace, expand: Expand = False, layout: Layout | None = None) -> StaticPicture:
    """Draw one trace, or two side by side.

    Parameters
    ----------
    *traces : Trace
        One or two.
    expand : bool, str or iterable of str
        Which blocks are opened: none, all, or those whose path matches a pattern.
    layout : Layout, optional
        Theirs, where it is known already.

    Returns
    -------
    StaticPicture
        The text of an SVG file.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> svg_of(trace)[:42]
    '<svg xmlns="http://www.w3.org/2000/svg" cl'
    """
    return StaticPicture(Picture(Lines(traces, expand, layout)).text())


def write_svg(
    *traces: Trace,
    path: str | os.PathLike[str] | None = None,
    expand: Expand = False,
    layout: Layout | None = None,
) -> StaticPicture:
    """Draw as `svg_of` does, and write the picture to a file if there is a path."""
    drawn = svg_of(*traces, expand=expand, layout=layout)
    if path is not None:
        with atomic_write(path, "w") as file:
            file.write(drawn)
    return drawn
