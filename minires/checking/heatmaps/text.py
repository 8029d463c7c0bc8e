"""Signed heat maps of analytic minus numeric, in characters; `picture` draws them in colours."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]

# Kinds of cells; they differ without colour, too.
GLYPHS = {
    "right": "·",
    "below": "-",
    "far below": "=",
    "above": "+",
    "far above": "#",
    "unknown": "?",
    "not finite": "!",
    "worst": "@",
}
_KINDS = list(GLYPHS)
_GAP = "  "
# Head and legend are text: beside a map that is narrower they need not be.
_TEXT_WIDTH = 88


@dataclass(frozen=True)
class HeatMap:
    """A heat map as lines of spans: what to print, and what kind of thing it is.

    Attributes
    ----------
    lines : tuple of tuples of (text, kind)
        `kind` is a key of `GLYPHS`, with the glyph as text, or "label" for all other text.
    """

    lines: tuple[tuple[tuple[str, str], ...], ...]

    def text(self, ascii: bool = False) -> str:
        """Return the map as plain text, without colours; `ascii` where a "·" cannot be shown."""
        lines = ["".join(text for text, _ in line).rstrip() for line in self.lines]
        plain = "\n".join(lines)
        return plain.replace(GLYPHS["right"], ".") if ascii else plain


def as_text(
    difference: Array,
    compared: Array,
    wrong: Array,
    index: Index,
    width: int = 72,
    height: int = 24,
    ascii: bool = False,
) -> str:
    """Draw analytic minus numeric in characters.

    A matrix is drawn as it is, a vector as one row, and more axes as tiles of the last two, each
    under its place along the others. What is too large is shrunk: a cell then stands for the worst
    of several entries. Of too many tiles, those around `index` are shown.

    Parameters
    ----------
    difference : array, shape S
        Analytic minus numeric.
    compared, wrong : array of bool, shape S
    index : tuple of int
        The worst entry.
    width, height : int
        How many characters and lines the map may take. Its head and legend come on top, and may
        take 88 characters even if the map is narrower.
    ascii : bool
        Use no other characters than those of ASCII.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> difference = np.array([[0.0, 0.25, 0.0], [-1.0, 0.0, 0.0]])
    >>> compared = np.array([[True, True, True], [True, True, False]])
    >>> print(as_text(difference, compared, difference != 0, (1, 0), ascii=True))
    analytic - numeric: -1 at the worst entry (1, 0)
    0 .+.
    1 @.?
    . right; - below, + above (= # by over half of 1); @ worst; ? not compared
    """
    return heat_map(difference, compared, wrong, index, width, height).text(ascii)


def heat_map(
    difference: Array,
    compared: Array,
    wrong: Array,
    index: Index,
    width: int = 72,
    height: int = 24,
    title: str = "analytic - numeric",
) -> HeatMap:
    """Draw analytic minus numeric as spans, for a caller who adds colours.

    Parameters are those of `as_text`; `title` says what `difference` is.
    """
    if not difference.size:
        return HeatMap(((("no entries", "label"),),))
    kinds, strength, largest = _judged(difference, compared, wrong, index)
    head = (
        f"{title}: {float(difference[index]):+.3g} at the worst entry"
        f" ({', '.join(map(str, index))})"
    )
    if abs(float(difference[index])) != largest:
        head += f"; largest {largest:.3g}"
    tiles = _Tiles.of(difference.shape, index, width, height)
    notes = tiles.notes()
    body = [line for band in tiles.bands() for line in _band(tiles, band, kinds, strength)]
    used = {kind for line in body for _, kind in line}
    labels = [head, *notes]
    wide = max(width, _TEXT_WIDTH)
    wrapped = [piece for label in labels for piece in textwrap.wrap(label, wide)]
    legend = _legend(used, largest, wide)
    return HeatMap(
        (
            *(((line, "label"),) for line in wrapped),
            *(tuple(line) for line in body),
            *(((line, "label"),) for line in legend),
        )
    )


def _judged(
    difference: Array, compared: Array, wrong: Array, index: Index
) -> tuple[Array, Array, float]:
    """Return the kind of every entry, how much it counts where cells are merged, the largest."""
    finite = np.isfinite(difference)
    bad = wrong & finite
    magnitude = np.where(bad, np.abs(difference), 0.0)
    largest = float(magnitude.max(initial=0.0))
    far = magnitude > largest / 2
    kinds = np.select(
        [
            ~compared & ~wrong,
            ~finite,
            bad & far & (difference < 0),
            bad & (difference < 0),
            bad & far,
            bad,
        ],
        [
            _KINDS.index(kind)
            for kind in ("unknown", "not finite", "far below", "below", "far above", "above")
        ],
        _KINDS.index("right"),
    )
    strength = np.where(compared | wrong, magnitude, -1.0)
    strength = np.where((compared | wrong) & ~finite, np.inf, strength)
    if wrong[index]:
        kinds[index] = _KINDS.index("worst")
        strength = np.where(np.isnan(strength), np.inf, strength)
        strength[index] = np.inf
    return kinds, strength, largest


@dataclass(frozen=True)
class _Tiles:
    """How an array is cut into tiles of its last two axes, and these are set into lines."""

    shape: tuple[int, ...]
    lead: tuple[int, ...]
    rows: int
    columns: int
    step: tuple[int, int]
    across: int
    first: int
    shown: int
    label: int

    @classmethod
    def of(cls, shape: tuple[int, ...], index: Index, width: int, height: int) -> _Tiles:
        lead = shape[:-2]
        rows, columns = (1, 1, *shape)[-2:]
        label = len(str(rows - 1)) + 1 if len(shape) > 1 else 0
        heading = 1 if lead else 0
        step = (
            -(-rows // max(1, height - heading)),
            -(-columns // max(1, width - label)),
        )
        count = int(np.prod(lead, dtype=int))
        wide = max(-(-columns // step[1]), heading * len(_place(lead, count - 1)))
        across = max(1, min(count, (width - label + len(_GAP)) // (wide + len(_GAP))))
        if lead and across > lead[-1]:
            across -= across % lead[-1]
        bands = -(-count // across)
        fitting = max(1, min(bands, height // (-(-rows // step[0]) + heading)))
        here = int(np.ravel_multi_index(index[:-2], lead)) if lead else 0
        start = min(max(0, here // across - fitting // 2), bands - fitting)
        first = start * across
        shown = min(count - first, fitting * across)
        return cls(shape, lead, rows, columns, step, across, first, shown, label)

    def notes(self) -> list[str]:
        notes = []
        if self.step != (1, 1):
            rows, columns = self.step
            many = f"{rows} × {columns} entries" if len(self.shape) > 1 else f"{columns} entries"
            notes.append(f"every character is the worst of {many}".replace("×", "by"))
        count = int(np.prod(self.lead, dtype=int))
        if self.lead:
            axes = len(self.shape)
            notes.append(f"a tile is axis {axes - 2} down, axis {axes - 1} across")
        if self.shown < count:
            last = self.first + self.shown - 1
            notes.append(
                f"tiles {_place(self.lead, self.first)} to {_place(self.lead, last)}:"
                f" {self.shown} of {count}"
            )
        return notes

    def bands(self) -> list[range]:
        end = self.first + self.shown
        return [
            range(start, min(end, start + self.across))
            for start in range(self.first, end, self.across)
        ]


def _band(tiles: _Tiles, band: range, kinds: Array, strength: Array) -> list[Any]:
    """Draw tiles side by side: a line of headings, then the rows."""
    count = int(np.prod(tiles.lead, dtype=int))
    drawn = []
    for number in band:
        where = np.unravel_index(number, tiles.lead) if tiles.lead else ()
        whole = (tiles.rows, tiles.columns)
        drawn.append(
            _pooled(kinds[where].reshape(whole), strength[where].reshape(whole), tiles.step)
        )
    heading = len(_place(tiles.lead, count - 1)) if tiles.lead else 0
    wide = max(drawn[0].shape[1], heading)
    lines: list[Any] = []
    if tiles.lead:
        names = _GAP.join(_place(tiles.lead, number).ljust(wide) for number in band)
        lines.append([(" " * tiles.label + names, "label")])
    for row in range(drawn[0].shape[0]):
        name = f"{row * tiles.step[0]:>{tiles.label - 1}} " if tiles.label else ""
        line = [(name, "label")]
        for tile in drawn:
            line += [(GLYPHS[_KINDS[kind]], _KINDS[kind]) for kind in tile[row]]
            line.append((" " * (wide - tile.shape[1]) + _GAP, "label"))
        lines.append(line)
    return lines


def _pooled(kinds: Array, strength: Array, step: tuple[int, int]) -> Array:
    """Merge blocks of `step` entries into the kind of the strongest."""
    if step == (1, 1):
        return kinds
    (rows, columns), (down, across) = kinds.shape, step
    missing = ((0, -rows % down), (0, -columns % across))
    padded = np.pad(strength, missing, constant_values=-2.0)
    high, wide = padded.shape[0] // down, padded.shape[1] // across

    def blocks(array: Array) -> Array:
        cut = array.reshape(high, down, wide, across).transpose(0, 2, 1, 3)
        return cut.reshape(high, wide, down * across)

    strongest = blocks(padded).argmax(2)[..., None]
    merged: Array = np.take_along_axis(blocks(np.pad(kinds, missing)), strongest, 2)[..., 0]
    return merged


def _legend(used: set[str], largest: float, width: int) -> list[str]:
    parts = [f"{GLYPHS['right']} right"]
    parts += [f"- below, + above (= # by over half of {largest:.3g})", "@ worst"]
    parts += ["? not compared"] if "unknown" in used else []
    parts += ["! not finite"] if "not finite" in used else []
    lines = parts[:1]
    for part in parts[1:]:
        longer = f"{lines[-1]}; {part}"
        if len(longer) > width:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines


def _place(lead: tuple[int, ...], number: int) -> str:
    return ",".join(str(int(place)) for place in np.unravel_index(number, lead)) if lead else ""
