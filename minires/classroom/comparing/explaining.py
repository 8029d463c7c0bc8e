"""What is said of a wrong result beside what is wrong: how it looks, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .leaves import tolerance
from .steps import Step, left_at

__all__ = ["Explanation", "HeatMapLines", "explained", "heat_map_of"]

# Of a heat map each line: texts, and which kind of cells these are, as `checking.heatmaps` says.
HeatMapLines = list[list[list[str]]]

_WIDTH, _HEIGHT = 60, 12


@dataclass(frozen=True)
class Explanation:
    """What is said of a wrong result.

    Attributes
    ----------
    observed : tuple of str
        What is true of all its numbers; for where no known mistake is to be told.
    steps : tuple of str
        Lines: where the way back leaves the right one.
    heat_map : list of lines
        Each a list of ``[text, kind]``; empty if there is no array to be drawn.
    """

    observed: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    heat_map: HeatMapLines = field(default_factory=list)


def explained(
    leaf: str,
    found: Mapping[str, Any],
    expected: Mapping[str, Any],
    call: Sequence[Any],
    steps: Sequence[Step] = (),
) -> Explanation:
    """Explain the first difference of a result from the right one.

    Parameters
    ----------
    leaf : str
        Of what it is a difference; if empty, there is nothing to explain.
    found, expected : dict of leaves
    call : sequence
        Arguments.
    steps : sequence of Step
        Of the way back, if the function is one.
    """
    if leaf not in found or leaf not in expected:
        return Explanation()
    a, n = found[leaf], expected[leaf]
    if not all(isinstance(each, np.ndarray | np.generic | float) for each in (a, n)):
        return Explanation()
    from .observing import observations  # here, for who makes no mistake needs none

    with np.errstate(all="ignore"):  # numbers of students may be of any size
        observed = tuple(observations(leaf, a, n, call))
        if np.shape(a) != np.shape(n) or not np.isfinite(a).all():
            return Explanation(observed)
        way = tuple(left_at(steps, leaf, found, expected))
        return Explanation(observed, way, heat_map_of(leaf, a, n))


def heat_map_of(name: str, found: Any, expected: Any) -> HeatMapLines:
    """Draw a wrong array minus the right one in characters.

    Examples
    --------
    >>> import numpy as np
    >>> right = np.arange(6.0).reshape(2, 3)
    >>> for line in heat_map_of("y", right * [[1], [2]], right):
    ...     print("".join(text for text, kind in line))
    y minus what it should be: +5 at the worst entry (1, 2)
    0 ···
    1 ##@
    · right; - below, + above (= # by over half of 5); @ worst
    """
    a, n = np.asarray(found), np.asarray(expected)
    if a.size < 2 or a.dtype.kind not in "fiub":
        return []
    from minires.checking.heatmaps.text import heat_map

    off = a.astype(float) - n.astype(float)
    wrong = np.abs(off) > tolerance(a, n)
    worst = tuple(map(int, np.unravel_index(int(np.abs(off).argmax()), off.shape)))
    title = f"{name} minus what it should be"
    drawn = heat_map(off, np.ones(off.shape, bool), wrong, worst, _WIDTH, _HEIGHT, title)
    return [_merged(line) for line in drawn.lines]


def _merged(line: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Return a line with few spans, and no spaces at its end."""
    merged: list[list[str]] = []
    for text, kind in line:
        if merged and merged[-1][1] == kind:
            merged[-1][0] += text
        else:
            merged.append([text, kind])
    merged[-1][0] = merged[-1][0].rstrip()
    return merged
