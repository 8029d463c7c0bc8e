"""Where the entries of an array of any shape lie in the plane: in tiles of its last two axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, Any]

INK, GROUND, FRAME = "#1f2328", "#ffffff", "#8c959f"
# Between the places along a side that have a number.
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Mosaic:
    """The layout of an array of one shape.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    down, across : int
        How many tiles stand below and beside one another.
    tile : (int, int)
        The sizes of the last two axes.
    gap : float
        Between tiles; an entry is 1 wide.
    """

    shape: tuple[int, ...]
    down: int
    across: int
    tile: tuple[int, int]
    gap: float

    @classmethod
    def of(cls, shape: tuple[int, ...]) -> Mosaic:
        """Lay out four axes as rows and columns of tiles, three as a block of tiles."""
        lead = shape[:-2]
        rows, columns = (1, 1, *shape)[-2:]
        count = math.prod(lead)
        if len(lead) >= 2 and count != lead[-1]:
            down, across = count // lead[-1], lead[-1]
        else:
            across = min(count, max(1, math.ceil(math.sqrt(count * rows / columns))))
            across = count if count <= 4 else across
            down = math.ceil(count / across)
        return cls(shape, down, across, (rows, columns), max(0.5, 0.06 * max(rows, columns)))

    @property
    def height(self) -> float:
        """Of the whole, in entries."""
        return self.down * (self.tile[0] + self.gap) - self.gap

    @property
    def width(self) -> float:
        """Of the whole, in entries."""
        return self.across * (self.tile[1] + self.gap) - self.gap

    @property
    def stacked(self) -> bool:
        """Whether it is so wide that pictures of it stand one above the other."""
        return self.width > 2.5 * self.height

    @property
    def strip(self) -> bool:
        """Whether it is a single row, as of a vector or a number: its cells need not be square."""
        return self.height == 1

    @property
    def note(self) -> str:
        """What is what, for shapes that need it said."""
        axes = len(self.shape)
        return f"each tile: axis {axes - 2} down, axis {axes - 1} across" if axes > 2 else ""

    @property
    def edges(self) -> tuple[Array, Array]:
        """The edges of the cells, x and y; every gap is a cell."""
        across = _edges(self.across, self.tile[1], self.gap)
        return across, _edges(self.down, self.tile[0], self.gap)

    def laid_out(self, values: Array) -> Array:
        """Return the cells, with NaN in the gaps."""
        rows, columns = self.tile
        tiles = np.full((self.down * self.across, rows, columns), np.nan)
        flat = values.reshape(-1, rows, columns)
        tiles[: len(flat)] = flat
        cells = np.full((self.down, rows + 1, self.across, columns + 1), np.nan)
        ordered = tiles.reshape(self.down, self.across, rows, columns)
        cells[:, :rows, :, :columns] = ordered.transpose(0, 2, 1, 3)
        whole = cells.reshape(self.down * (rows + 1), self.across * (columns + 1))
        return whole[:-1, :-1]

    def corner(self, index: tuple[int, ...]) -> tuple[float, float]:
        """Return x and y of the upper left corner of an entry."""
        number = int(np.ravel_multi_index(index[:-2], self.shape[:-2])) if index[:-2] else 0
        row, column = (0, 0, *index)[-2:]
        down, across = divmod(number, self.across)
        return (
            across * (self.tile[1] + self.gap) + column,
            down * (self.tile[0] + self.gap) + row,
        )

    def dress(self, ax: Axes) -> None:
        """Set scale, frames and labels."""
        from matplotlib.patches import Rectangle

        ratio = self.width / self.height
        square = 1 / 6 <= ratio <= 30 and not self.strip
        ax.set_aspect("equal" if square else "auto")
        ax.set(xlim=(0, self.width), ylim=(self.height, 0), facecolor=GROUND)
        ax.spines[:].set_visible(False)
        ax.tick_params(colors=INK, labelsize=8.5, length=2.5)
        ax.xaxis.label.set(color=INK, fontsize=9)
        ax.yaxis.label.set(color=INK, fontsize=9)
        count = math.prod(self.shape[:-2])
        rows, columns = self.tile
        for number in range(count if count <= 400 else 0):
            down, across = divmod(number, self.across)
            corner = across * (columns + self.gap), down * (rows + self.gap)
            ax.add_patch(
                Rectangle(
                    corner,
                    columns,
                    rows,
                    fill=False,
                    edgecolor=FRAME,
                    linewidth=0.6,
                    clip_on=False,
                )
            )
        self._label(ax)

    def _label(self, ax: Axes) -> None:
        lead = self.shape[:-2]
        if not lead:
            axes = len(self.shape)
            columns = range(self.tile[1] if axes else 0)
            _ticks(ax, "x", columns, 0.5, 1.0, f"axis {axes - 1}" if axes else "")
            rows = range(self.tile[0] if axes > 1 else 0)
            _ticks(ax, "y", rows, 0.5, 1.0, "axis 0" if axes > 1 else "")
            return
        x_step, y_step = self.tile[1] + self.gap, self.tile[0] + self.gap
        in_order = self.down == 1 or self.across == lead[-1]
        names = [_name(lead[:-1], number) for number in range(math.prod(lead[:-1]))]
        first = f"axis {len(lead) - 1}"
        if in_order:
            _ticks(ax, "x", range(self.across), self.tile[1] / 2, x_step, first)
            leading = "axis 0" if len(lead) == 2 else f"axes 0 to {len(lead) - 2}"
            _ticks(ax, "y", names, self.tile[0] / 2, y_step, leading if len(lead) > 1 else "")
        else:
            _ticks(ax, "x", range(0), 0, 1, f"{first}, in reading order")
            starts = [str(row * self.across) for row in range(self.down)]
            _ticks(ax, "y", starts, self.tile[0] / 2, y_step, "first of the row")


def _name(lead: tuple[int, ...], number: int) -> str:
    return ",".join(str(int(place)) for place in np.unravel_index(number, lead)) if lead else ""


def _ticks(ax: Axes, side: str, names: Any, offset: float, step: float, label: str) -> None:
    """Name at most a dozen places along a side."""
    every = next(n for n in (*_STEPS, len(names)) if 12 * n >= len(names))
    at = [offset + number * step for number in range(0, len(names), every)]
    texts = [str(name) for name in list(names)[::every]]
    (ax.set_xticks if side == "x" else ax.set_yticks)(at, texts)
    (ax.set_xlabel if side == "x" else ax.set_ylabel)(label)


def _edges(count: int, size: int, gap: float) -> Array:
    widths = np.tile([1.0] * size + [gap], count)[:-1]
    return np.concatenate([[0.0], np.cumsum(widths)])
