"""What a gradient check found, for programs and for readers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from .explanation import HEADLINES, explained
from .heatmaps import HeatMap, as_png, heat_map

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]

# Where fewer entries than this share could be compared, a check has not shown enough: of all
# inputs together, and of each of them.
ENOUGH = 0.9
ENOUGH_OF_EACH = 0.5
# An error of this share of a gradient's norm is what `miss_probability` speaks of.
NOTICEABLE = 1e-3


class Finding(Exception):  # noqa: N818
    """Something that ends a check before gradients are compared: a status, and its reason."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kink(StrEnum):
    """Why an entry could not be compared."""

    SIDES = "the slopes to its two sides differ"
    WINNER = "another branch or maximum wins on its other side"
    EDGE = "the function is not finite around it"
    ROUGH = "too steep or too rough for differences"


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient, as the backward pass has it and as differences have it."""

    index: Index
    analytic: float
    numeric: float

    @property
    def relative_error(self) -> float:
        """|analytic - numeric| / max(|analytic|, |numeric|)."""
        scale = max(abs(self.analytic), abs(self.numeric))
        return abs(self.analytic - self.numeric) / scale if scale else 0.0


@dataclass(frozen=True)
class InputReport:
    """The check of one input, or of one parameter of a module.

    Attributes
    ----------
    name : str
        ``"input 0 (x)"``, or the parameter's path.
    shape : tuple of int
    tried : int
        How many entries were looked at, or how many random directions.
    wrong : int
        How many differ by more than the tolerance.
    excluded : tuple of (index, Kink)
        Entries, or directions by their number, that could not be compared, because the function
        has a kink, a jump or an edge there (a ReLU at 0, a tie in a max-pool, the root of 0).
    worst : Entry or None
        The compared entry that is farthest beyond, or closest to, its tolerance.
    margin : float
        The largest error over the one allowed, of all that was compared: below 1 if all is right.
    group : str
        What the check belongs to, where there are several: ``"2nd order"``, ``"train"``.
    note : str
        A remark, such as that no gradient reached this input.
    patterns : tuple of str
        What the disagreement looks like, most telling first.
    directions : bool
        Whether random directions were looked at, not entries.
    miss_probability : float
        With which probability random directions would not have seen an error as large as a
        thousandth of the gradient (in norm); 0 where every entry was compared.
    analytic, numeric : array or None
        The gradient as it was given, and by differences: NaN where it was not compared.
    """

    name: str
    shape: tuple[int, ...]
    tried: int = 0
    wrong: int = 0
    excluded: tuple[tuple[Index, Kink], ...] = ()
    worst: Entry | None = None
    margin: float = 0.0
    group: str = ""
    note: str = ""
    patterns: tuple[str, ...] = ()
    directions: bool = False
    miss_probability: float = 0.0
    analytic: Array | None = field(default=None, compare=False, repr=False)
    numeric: Array | None = field(default=None, compare=False, repr=False)
    wrong_entries: Array | None = field(default=None, compare=False, repr=False)

    @property
    def kinks(self) -> tuple[Index, ...]:
        """Where it could not be compared."""
        return tuple(index for index, _ in self.excluded)

    @property
    def compared(self) -> int:
        """How many entries, or directions, were compared."""
        return self.tried - len(self.excluded)

    @property
    def title(self) -> str:
        """The name, with the group where there is one."""
        return f"{self.group}: {self.name}" if self.group else self.name

    def _to_dict(self) -> dict[str, Any]:
        worst = self.worst
        return {
            "name": self.name,
            "group": self.group,
            "shape": list(self.shape),
            "size": math.prod(self.shape),
            "compared": self.compared,
            "wrong": self.wrong,
            "excluded": [
                {"index": list(index), "because": str(why)} for index, why in self.excluded
            ],
            "margin": _json_number(self.margin),
            "worst": worst
            and {
                "index": list(worst.index),
                "analytic": _json_number(worst.analytic),
                "numeric": _json_number(worst.numeric),
                "relative_error": _json_number(worst.relative_error),
            },
            "directions": self.directions,
            "miss_probability": self.miss_probability,
            "patterns": list(self.patterns),
            "note": self.note,
        }


@dataclass(frozen=True, repr=False)
class GradcheckReport:
    """The result of a gradient check; true if the gradients are right.

    Attributes
    ----------
    inputs : tuple of InputReport
        One per input or parameter; empty if the check ended before gradients were compared.
    status : {"right", "wrong", "undecided", "unfit"}
        "undecided": nothing wrong was seen, but fewer than 90 % of the entries could be compared,
        or none of some input.
        "unfit": the function is random, changes its inputs, or has no finite float64 output.
    problem : str
        What ended it early, what is wrong beside numbers, or why nothing is decided.
    worst : InputReport or None
        The input that is looked at closely, if one is wrong: the one with the largest error for
        its tolerance; in a network the last one, for what is wrong before it may follow from it.
    hint : str
        Where to look.
    notes : tuple of str
        What is no mistake, but worth knowing.
    """

    inputs: tuple[InputReport, ...]
    status: str
    problem: str = ""
    worst: InputReport | None = None
    hint: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        inputs: tuple[InputReport, ...],
        problem: str = "",
        worst: InputReport | None = None,
        hint: str = "",
        notes: tuple[str, ...] = (),
    ) -> GradcheckReport:
        """Judge by the comparisons of all inputs, and by a problem found before."""
        if problem or any(row.wrong for row in inputs):
            return cls(inputs, "wrong", problem, worst, hint, notes)
        tried = sum(row.tried for row in inputs)
        compared = sum(row.compared for row in inputs)
        unseen = any(row.tried and row.compared < ENOUGH_OF_EACH * row.tried for row in inputs)
        if compared and compared >= ENOUGH * tried and not unseen:
            return cls(inputs, "right", notes=notes)
        if not tried:
            return cls(inputs, "undecided", "the inputs have no entries", notes=notes)
        what = "directions" if any(row.directions for row in inputs) else "entries"
        return cls(
            inputs,
            "undecided",
            f"only {compared} of {tried} {what} could be compared ({ENOUGH:.0%} are needed, half of"
            " every input); at the others the function has a kink or an edge, or is too"
            " steep for differences. Check it at other inputs: random ones, away from such points",
            notes=notes,
        )

    def __bool__(self) -> bool:
        return self.status == "right"

    def __str__(self) -> str:
        return self.explain()

    def __repr__(self) -> str:
        return f"<{self.summary}>"

    @property
    def summary(self) -> str:
        """The result in one line."""
        line = HEADLINES[self.status]
        if self.problem:
            return f"{line}: {self.problem.splitlines()[0]}"
        if self.worst is None:
            return line
        told = self.worst.patterns[0].partition(". ")[0] if self.worst.patterns else ""
        return f"{line}: {self.worst.title}" + (f": {told}" if told else "")

    @property
    def patterns(self) -> tuple[str, ...]:
        """What the disagreement of the worst input looks like, most telling first."""
        return self.worst.patterns if self.worst else ()

    @property
    def margin(self) -> float:
        """The largest error over the one allowed, of all that was compared: below 1 if right."""
        return max((row.margin for row in self.inputs), default=0.0)

    @property
    def miss_probability(self) -> float:
        """The largest probability, of all inputs, that random directions missed an error."""
        return max((row.miss_probability for row in self.inputs), default=0.0)

    def explain(self, heat_map: bool = True) -> str:
        """Return the whole result as text.

        A verdict; a line per input; and if something is wrong, for the worst entry of the worst
        input both values, what the disagreement looks like, and a signed heat map of it.

        Parameters
        ----------
        heat_map : bool
            False leaves the map out, for those who draw it themselves (`heat_map`).
        """
        return explained(self, heat_map)

    def heat_map(self, width: int = 72) -> HeatMap | None:
        """Return where the worst input's gradient is wrong, if it is, as lines of characters."""
        row = self.worst
        if row is None or row.worst is None or row.analytic is None:
            return None
        assert row.numeric is not None
        assert row.wrong_entries is not None
        known = ~np.isnan(row.numeric)
        difference = np.where(known, row.analytic - row.numeric, 0.0)
        return heat_map(difference, known, row.wrong_entries, row.worst.index, width)

    def save_png(self, path: str | Path) -> Path:
        """Draw the worst input's gradient, as given and by differences, and their difference.

        Parameters
        ----------
        path : str or Path
            Where to write the picture.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            If there is nothing wrong to be drawn.
        """
        row = self.worst
        if row is None or row.analytic is None:
            raise ValueError(f"save_png: this check found no wrong entry to draw ({self.status})")
        assert row.numeric is not None
        assert row.wrong_entries is not None
        target = Path(path)
        assert row.worst is not None
        title = f"gradient of {row.title}"
        as_png(target, row.analytic, row.numeric, row.wrong_entries, title, row.worst.index)
        return target

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for JSON (schema "minires.gradcheck/1")."""
        return {
            "schema": "minires.gradcheck/1",
            "status": self.status,
            "right": bool(self),
            "problem": self.problem,
            "margin": _json_number(self.margin),
            "miss_probability": self.miss_probability,
            "patterns": list(self.patterns),
            "hint": self.hint,
            "notes": list(self.notes),
            "inputs": [row._to_dict() for row in self.inputs],
        }


def _json_number(value: float) -> float | None:
    """Return a number as JSON can hold it: it has no infinity and no NaN."""
    return value if math.isfinite(value) else None
