"""Figures of tutorials: shown in a notebook, written to a folder by a script, with a text for both.

Their style is ``minires.tutorials.sheet``: ``plt.style.use("minires.tutorials.sheet")``.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 140
_folder: list[Path] = []


def show(figure: Figure, alt: str) -> None:
    """Show a figure in a notebook; elsewhere write it to a temporary folder, and say where.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        It is taken from pyplot's list, so that nothing shows it a second time.
    alt : str
        What is to be seen, for those who cannot see it.

    Raises
    ------
    ValueError
        If there is no such text.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> show(Figure(), "an empty figure")
    [figure: an empty figure; .../figure-1.png]
    """
    if not alt.strip():
        raise ValueError("show: a figure needs a text that says what is to be seen, found none")
    png = io.BytesIO()
    figure.savefig(png, dpi=DPI, format="png", metadata={"Software": None})
    _forget(figure)
    if _in_notebook():
        from IPython.display import Image, display

        display(Image(png.getvalue(), format="png", alt=alt))
        return
    if not _folder:
        _folder.append(Path(tempfile.mkdtemp(prefix="minires-tutorial-")))
    path = _folder[0] / f"figure-{len(list(_folder[0].iterdir())) + 1}.png"
    path.write_bytes(png.getvalue())
    print(f"[figure: {alt}; {path}]")  # noqa: T201


def grid(
    ax: Axes,
    array: Any,
    title: str = "",
    *,
    numbers: bool = True,
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Draw an array (H, W) as coloured cells, with its numbers in them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    array : array, (H, W)
    title : str
    numbers : bool
    low, high : float, optional
        What the darkest and the brightest colour stand for; by default the extremes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> grid(ax, [[1.0, 2.5], [3.0, 4.0]], "four numbers")
    >>> [text.get_text() for text in ax.texts]
    ['1', '2.5', '3', '4']
    """
    import numpy as np

    values = np.asarray(array)
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    ax.imshow(values, vmin=low, vmax=high)
    for (row, column), value in np.ndenumerate(values) if numbers else ():
        ink = "black" if value > (low + high) / 2 else "white"
        ax.text(column, row, f"{value:g}", ha="center", va="center", color=ink)
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)


def _forget(figure: Figure) -> None:
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib import pyplot

        pyplot.close(figure)


def _in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel")
