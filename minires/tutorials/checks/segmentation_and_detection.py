"""Checks of tutorial 19, on classes of pixels and on boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires.training.overlap import box_iou as all_box_ious
from minires.training.overlap import class_iou

from ..exercise import Wrong, check


@check
def box_iou(answer: Callable[..., Any]) -> str:
    """Intersection over union of two boxes."""
    cases = (
        ((0, 0, 2, 2), (1, 0, 3, 2), "they overlap by half"),
        ((0, 0, 4, 4), (1, 1, 3, 3), "one lies within the other"),
        ((0, 0, 2, 2), (3, 3, 5, 5), "they do not touch"),
        ((0, 0, 2, 2), (3, 0, 5, 2), "they stand side by side"),
        ((1, 2, 5, 9), (1, 2, 5, 9), "they are the same"),
    )
    for one, other, how in cases:
        boxes = np.array([one], float), np.array([other], float)
        expected = float(all_box_ious(*boxes)[0, 0])
        found = float(answer(boxes[0][0], boxes[1][0]))
        if not np.isclose(found, expected):
            raise Wrong(
                f"{one} and {other}: {how}, so the IoU is {expected:.3g}; found {found:.3g}. The"
                " union counts what both share once, and no side is shorter than 0."
            )
    return f"{len(cases)} pairs, apart, side by side, within and equal."


@check
def iou_of_class(answer: Callable[..., Any]) -> str:
    """A class's IoU from counts of pixels."""
    rng = np.random.default_rng(0)
    tables = [np.array([[90, 5], [5, 0]]), np.array([[50, 10, 0], [2, 7, 1], [3, 0, 4]])]
    tables.append(rng.integers(1, 50, (4, 4)))
    for table in tables:
        for number, expected in enumerate(class_iou(table)):
            found = float(answer(table.copy(), number))
            if not np.isclose(found, expected):
                raise Wrong(
                    f"Of class {number} in {table.tolist()} (rows: truth, columns: answer)"
                    f" {table[number, number]} pixels are right, {table[number].sum()} belong to it"
                    f" and {table[:, number].sum()} were given to it: {expected:.3g}, found"
                    f" {found:.3g}."
                )
    return "Each class of three tables."


@check
def peaks(answer: Callable[..., Any]) -> str:
    """Cells of a heat map that no neighbour exceeds."""
    rng = np.random.default_rng(0)
    maps = [np.zeros((3, 4)), np.zeros((5, 5)), rng.random((6, 7))]
    maps[0][0, 0] = 0.9
    maps[1][1:4, 1:4] = [[0.3, 0.5, 0.3], [0.5, 0.9, 0.5], [0.3, 0.5, 0.3]]
    maps[1][4, 4] = 0.2
    for heat in maps:
        expected = {
            (i, j)
            for (i, j), value in np.ndenumerate(heat)
            if value > 0.4 and value == heat[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].max()
        }
        found = {(int(i), int(j)) for i, j in answer(heat.copy(), 0.4)}
        for cell in sorted(found - expected):
            higher = (
                " A neighbour is higher: both belong to one object." if heat[cell] > 0.4 else ""
            )
            raise Wrong(f"Cell {cell} has {heat[cell]:.2f} and is no peak above 0.4.{higher}")
        for cell in sorted(expected - found):
            raise Wrong(
                f"Cell {cell} has {heat[cell]:.2f}, and no neighbour is higher: it is a peak. A map"
                f" of {heat.shape} may have several, and at its margin, too."
            )
    return "Three maps: a corner, one hill with a shoulder, and noise."
