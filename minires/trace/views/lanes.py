"""Arcs beside lines of text: a value that is used further down leaves its line and returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .words import UNICODE, Glyphs


class Bow(NamedTuple):
    """An arc between lines of a table.

    Attributes
    ----------
    start, end : int
        The lines that have its two ends.
    shortcut : bool
    """

    start: int
    end: int
    shortcut: bool


class Lanes(NamedTuple):
    """Drawn arcs.

    Attributes
    ----------
    lines : list of list of (str, bool)
        For each line its letters from left to right, each with whether it belongs to a shortcut;
        all lines have equally many. The last letter touches the line's own mark.
    left_out : int
        How many arcs found no room.
    """

    lines: list[list[tuple[str, bool]]]
    left_out: int


def draw_lanes(count: int, bows: Iterable[Bow], most: int = 6, marks: Glyphs = UNICODE) -> Lanes:
    """Draw arcs to the left of lines.

    Parameters
    ----------
    count : int
        How many lines there are.
    bows : iterable of Bow
    most : int
        How many lanes there may be; the longest arcs are left out first.
    marks : Glyphs

    Returns
    -------
    Lanes

    Examples
    --------
    >>> for line in draw_lanes(4, [Bow(0, 3, True)]).lines:
    ...     "".join(letter for letter, _ in line)
    '╭─'
    '┆ '
    '┆ '
    '╰→'
    """
    arcs, lanes, left_out = placed(sorted(set(bows), key=lambda b: (b.end - b.start, b)), most)
    pitch = 2 if lanes <= 3 else 1
    width = max(0, (lanes - 1) * pitch + 2) if lanes else 0
    # The directions in which each letter's line leads, and whether shortcuts alone make it.
    ways: list[list[set[str]]] = [[set() for _ in range(width)] for _ in range(count)]
    shortcut = [[True] * width for _ in range(count)]
    ends: set[int] = set()

    def add(line: int, column: int, way: str, bow: Bow) -> None:
        ways[line][column] |= set(way)
        shortcut[line][column] &= bow.shortcut

    for bow, lane in arcs:
        column = (lanes - 1 - lane) * pitch
        add(bow.start, column, "dr", bow)
        add(bow.end, column, "ur", bow)
        for line in range(bow.start + 1, bow.end):
            add(line, column, "ud", bow)
        for line in (bow.start, bow.end):
            for further in range(column + 1, width):
                add(line, further, "lr", bow)
        ends.add(bow.end)
    drawn = []
    for line in range(count):
        letters = []
        for column in range(width):
            way = frozenset(ways[line][column])
            dashed = way == {"u", "d"} and shortcut[line][column]
            letter = marks.dashed if dashed else marks.lines.get(way, " ")
            if column == width - 1 and line in ends:
                letter = marks.arrow
            letters.append((letter, bool(way) and shortcut[line][column]))
        drawn.append(letters)
    return Lanes(drawn, left_out)


def placed(bows: Sequence[Bow], most: int) -> tuple[list[tuple[Bow, int]], int, int]:
    """Give each arc the lowest free lane.

    Parameters
    ----------
    bows : sequence of Bow
        The first take the inner lanes: the shortest should come first.
    most : int
        How many lanes there may be.

    Returns
    -------
    list of (Bow, int)
        Each arc with its lane.
    lanes : int
        How many are used.
    left_out : int
        How many arcs found none.
    """
    taken: list[list[Bow]] = []
    found = []
    left_out = 0
    for bow in bows:
        for lane in range(len(taken) + 1):
            if lane == len(taken):
                taken.append([])
            # Arcs from one line may share a lane: it is one value that is used again and again.
            if all(
                other.end <= bow.start or bow.end <= other.start or other.start == bow.start
                for other in taken[lane]
            ):
                break
        if lane >= most:
            taken.pop() if not taken[-1] else None
            left_out += 1
            continue
        taken[lane].append(bow)
        found.append((bow, lane))
    return found, sum(bool(lane) for lane in taken), left_out
