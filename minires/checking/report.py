"""What a gradient check found, for programs and for readers."""

from __future__ import annotations

import math
from dataclasses import dataclass

Index = tuple[int, ...]

# Where fewer entries than this share could be compared, a check has not shown enough.
ENOUGH = 0.9
_LISTED = 6

_HEADLINES = {
    "right": "gradcheck: right",
    "wrong": "gradcheck: WRONG",
    "undecided": "gradcheck: undecided",
    "unfit": "gradcheck: this function cannot be checked",
}


class Finding(Exception):  # noqa: N818
    """Something that ends a check before gradients are compared: a status, and its reason."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


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
        How many entries were looked at: all, or a random choice of them.
    wrong : int
        How many differ by more than the tolerance.
    kinks : tuple of index
        Entries that could not be compared, because the function has a kink, a jump or an edge
        there (a ReLU at 0, a tie in a max-pool, the root of 0).
    worst : Entry or None
        The compared entry that is farthest beyond, or closest to, its tolerance.
    note : str
        A remark, such as that no gradient reached this input.
    """

    name: str
    shape: tuple[int, ...]
    tried: int
    wrong: int
    kinks: tuple[Index, ...]
    worst: Entry | None
    note: str = ""

    @property
    def compared(self) -> int:
        """How many entries were compared."""
        return self.tried - len(self.kinks)

    def _cells(self) -> tuple[str, ...]:
        size = math.prod(self.shape)
        cells = (
            self.name,
            str(self.shape),
            f"{self.compared} of {size}",
            str(self.wrong),
            str(len(self.kinks)),
        )
        if self.worst is None:
            return (*cells, "-", "-", "-", "-")
        worst = self.worst
        values = (str(worst.index), f"{worst.analytic:.8g}", f"{worst.numeric:.8g}")
        return (*cells, *values, f"{worst.relative_error:.1e}")


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
        Why it ended early, or why nothing is decided.
    hint : str
        Where to look.
    """

    inputs: tuple[InputReport, ...]
    status: str
    problem: str = ""
    hint: str = ""

    @classmethod
    def of(cls, inputs: tuple[InputReport, ...], hint: str = "") -> GradcheckReport:
        """Judge by the comparisons of all inputs."""
        wrong = sum(row.wrong for row in inputs)
        if wrong:
            return cls(inputs, "wrong", hint=hint)
        tried = sum(row.tried for row in inputs)
        compared = sum(row.compared for row in inputs)
        unseen = any(row.tried and not row.compared for row in inputs)
        if compared and compared >= ENOUGH * tried and not unseen:
            return cls(inputs, "right")
        return cls(
            inputs,
            "undecided",
            f"only {compared} of {tried} entries could be compared ({ENOUGH:.0%} are needed, and"
            " some of every input); at the others the function has a kink or an edge, or is too"
            " steep for differences. Check it at other inputs: random ones, away from such points",
        )

    def __bool__(self) -> bool:
        return self.status == "right"

    def __repr__(self) -> str:
        return self.explain()

    def explain(self) -> str:
        """Return the whole result as text: a verdict, and a line per input."""
        lines = [_HEADLINES[self.status]]
        if self.problem:
            lines.append(self.problem)
        if self.inputs:
            lines += _table(self.inputs)
        for row in self.inputs:
            if row.wrong and row.note:
                lines.append(f"{row.name}: {row.note}")
            if row.kinks:
                listed = ", ".join(map(str, row.kinks[:_LISTED]))
                more = len(row.kinks) - _LISTED
                listed += f" and {more} more" if more > 0 else ""
                lines.append(f"{row.name}: not compared, kink or edge at {listed}")
        return "\n".join([*lines, self.hint] if self.hint else lines)


def _table(rows: tuple[InputReport, ...]) -> list[str]:
    head = (
        *("input", "shape", "compared", "wrong", "kinks"),
        *("worst at", "analytic", "numeric", "rel. error"),
    )
    cells = [head, *(row._cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
