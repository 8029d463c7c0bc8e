"""The picture that every view draws: one row per forward step, forks as arcs beside the rows.

Rows stand in the order of execution. What one step hands to the next needs no arc; every other
use of a value is an arc from the row that made it to the row that used it, so that a shortcut looks
like one. Two traces share their rows: a step that only one of them has leaves an empty slot in the
other.
"""

from __future__ import annotations

import bisect
import difflib
import itertools
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

from .records import Forward, Records
from .structure import Side, Structure, crosses_branch, is_join


class Arc(NamedTuple):
    """A use of a value by a row other than the next.

    Attributes
    ----------
    start, end : int
        The rows that made and used the value.
    value : int
    side : {"shortcut", "branch"} or None
        Of the residual addition that it ends in, else of the innermost one that its value forks
        for.
    lane : int
        Arcs that overlap lie in different lanes; 0 is the nearest to the rows.
    """

    start: int
    end: int
    value: int
    side: Side | None
    lane: int


class Row(NamedTuple):
    """A line of the picture: the same step of each trace, None where one does not have it.

    Attributes
    ----------
    steps : tuple of int or None
        A forward step for each trace.
    group : int
        Number of the group (block) that the row belongs to.
    """

    steps: tuple[int | None, ...]
    group: int


class Group(NamedTuple):
    """Rows that collapse to one line.

    Attributes
    ----------
    path : str
        The block's module; the op's name where there is no module.
    rows : range
    """

    path: str
    rows: range


class Layout(NamedTuple):
    """Rows, groups of rows, and what goes from row to row.

    Attributes
    ----------
    rows : list of Row
    groups : list of Group
    arcs : tuple of list of Arc
        Of each trace.
    handed : tuple of list of int
        For each trace the rows whose output the next of its rows uses. Parallel ways stand below
        each other, and the end of one hands nothing to the beginning of another.
    """

    rows: list[Row]
    groups: list[Group]
    arcs: tuple[list[Arc], ...]
    handed: tuple[list[int], ...]

    def has_block(self, row: int, side: int) -> bool:
        """Tell whether a trace has anything of a row's group; one row alone is no block."""
        rows = self.groups[self.rows[row].group].rows
        return len(rows) == 1 or any(self.rows[each].steps[side] is not None for each in rows)


def layout_of(*structures: Structure) -> Layout:
    """Lay out one trace, or two traces side by side.

    Parameters
    ----------
    *structures : Structure
        One, or two that are aligned by module path and op.

    Returns
    -------
    Layout
    """
    if len(structures) == 1:
        steps: list[tuple[int | None, ...]] = [
            (step.index,) for step in _shown(structures[0].records)
        ]
    else:
        steps = _aligned(structures[0].records, structures[1].records)
    rows: list[Row] = []
    groups: list[Group] = []
    for number, pair in enumerate(steps):
        path, alone = _path(structures, pair)
        if alone or not groups or groups[-1].path != path:
            groups.append(Group(path, range(number, number + 1)))
        else:
            groups[-1] = Group(path, range(groups[-1].rows.start, number + 1))
        rows.append(Row(pair, len(groups) - 1))
    ways = [_ways(s, [row.steps[side] for row in rows]) for side, s in enumerate(structures)]
    return Layout(rows, groups, tuple([arcs for arcs, _ in ways]), tuple([on for _, on in ways]))


def _shown(records: Records) -> list[Forward]:
    """The forward steps proper; those that a recorded VJP ran belong to the backward pass."""
    return [step for step in records.forward if step.vjp_of is None]


def _path(structures: tuple[Structure, ...], pair: tuple[int | None, ...]) -> tuple[str, bool]:
    """Return the block of a row, and whether it stands alone, outside of all modules."""
    # The twin with the step decides; with both, the one whose block is the larger (it adds).
    found = [
        (s.block_of(step), s.records.forward[step])
        for s, step in zip(structures, pair, strict=True)
        if step is not None
    ]
    block, step = max(found, key=lambda each: len(each[0].steps))
    return block.path or step.op, not block.path


def _aligned(left: Records, right: Records) -> list[tuple[int | None, ...]]:
    """Pair the steps of two traces that are the same op in the same module."""
    ours, theirs = _shown(left), _shown(right)
    matcher = difflib.SequenceMatcher(None, _keys(ours), _keys(theirs), autojunk=False)
    pairs: list[tuple[int | None, ...]] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            both = zip(ours[a:b], theirs[c:d], strict=True)
            pairs += [(mine.index, yours.index) for mine, yours in both]
        else:
            before = ours[a - 1].module if a else ""
            pairs += _merged(ours[a:b], theirs[c:d], before)
    return pairs


def _merged(
    ours: list[Forward], theirs: list[Forward], before: str
) -> Iterator[tuple[int | None, ...]]:
    """Put steps of which each trace has its own in a row: a stage is finished before the next."""
    mine, yours = deque(ours), deque(theirs)
    while mine or yours:
        if not yours or (mine and _common(before, mine[0]) >= _common(before, yours[0])):
            step = mine.popleft()
            yield step.index, None
        else:
            step = yours.popleft()
            yield None, step.index
        before = step.module


def _common(module: str, step: Forward) -> int:
    """Count the parts that a module's name and that of a step's begin with in common."""
    parts = zip(module.split("."), step.module.split("."), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda both: both[0] == both[1], parts))


def _keys(steps: list[Forward]) -> list[tuple[str, str, int]]:
    """Module, op and how often the two have come before: what makes steps the same."""
    seen: Counter[tuple[str, str]] = Counter()
    keys = []
    for step in steps:
        kind = step.module, step.op
        keys.append((*kind, seen[kind]))
        seen[kind] += 1
    return keys


def _ways(structure: Structure, steps: list[int | None]) -> tuple[list[Arc], list[int]]:
    """Find the uses that skip rows, each in the lowest free lane, and the rows that hand on."""
    forward = structure.records.forward
    row_of = {step: row for row, step in enumerate(steps) if step is not None}
    order = sorted(row_of.values())
    following = dict(itertools.pairwise(order))
    spans, handed = [], set()
    for value, uses in structure.uses.items():
        made = structure.records.values[value].op
        if made is None or made not in row_of:
            continue
        for step, slot in uses:
            start, end = row_of[made], row_of.get(step)
            if end is None:
                continue
            if following.get(start) == end:
                handed.add(start)
                continue
            # Behind a projection a shortcut is known only by the edge that it ends in.
            side: Side | None = "branch" if crosses_branch(forward[step], slot) else "shortcut"
            if not is_join(forward[step]):
                side = structure.side_of(step, slot)
            spans.append((start, end, value, side))
    spans.sort(key=lambda span: (span[1] - span[0], span[0]))
    lanes: list[list[tuple[int, int]]] = []  # each in order, none overlapping another
    arcs = []
    for start, end, value, side in spans:
        arcs.append(Arc(start, end, value, side, _free_lane(lanes, start, end)))
    return sorted(arcs), sorted(handed)


def _free_lane(lanes: list[list[tuple[int, int]]], start: int, end: int) -> int:
    """Take the lowest lane in which nothing overlaps, a new one if need be."""
    for lane, taken in enumerate(lanes):
        place = bisect.bisect(taken, (start, end))
        free_before = place == 0 or taken[place - 1][1] <= start
        if free_before and (place == len(taken) or end <= taken[place][0]):
            taken.insert(place, (start, end))
            return lane
    lanes.append([(start, end)])
    return len(lanes) - 1
