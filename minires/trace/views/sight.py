"""What there is to see at a stop of the stepper: operands and output, or what met and was sent."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..records import Backward, Forward, Stats
from .columns import ALARM, BRANCH, SHORTCUT, Column, fitted
from .patch import patch_lines, patch_of, spelled_out
from .stops import Stop
from .words import Glyphs, Scale, amount, number, only, percent, shape, spoken

if TYPE_CHECKING:
    from rich.text import Text

    from ..trace import Trace

_VERDICTS = {
    "exact": "exact: bit for bit the gradient that the engine used",
    "wrong": "WRONG: not the gradient that the engine used",
    "unseen": "not looked at (select)",
}


class Sight:
    """Writes down what there is to see at a stop.

    Parameters
    ----------
    trace : Trace
    width : int
        Letters in a line.
    marks : Glyphs
    """

    def __init__(self, trace: Trace, width: int, marks: Glyphs) -> None:
        self.trace = trace
        self.width = width
        self.marks = marks

    def at(self, stop: Stop, pixel: tuple[int, ...]) -> list[Text]:
        """Describe a stop, line by line."""
        records = self.trace.records
        place = f"step {stop.key.number} of {len(records.steps) - 1}, {stop.kind}"
        if stop.twin:
            return self._folded(stop, place, pixel)
        if stop.kind == "forward":
            return self._forward(records.forward[stop.steps[0]], place, pixel)
        return self._backward(records.backward[stop.steps[0]], place, stop)

    # -- forward -----------------------------------------------------------------------------

    def _forward(self, step: Forward, place: str, pixel: tuple[int, ...]) -> list[Text]:
        values = self.trace.records.values
        made = values[step.output]
        where = f" in {only(step.module)}" if step.module else ""
        found = self._title(f"{place}: {only(step.op)}{where}", only(step.source))
        if step.vjp_of is not None:
            turn = self.trace.records.backward[step.vjp_of]
            found += self._say(f"run by the VJP at {only(values[turn.value].name)}", "dim")
        rows = [
            (
                operand.edge,
                only(operand.text) if operand.value is None else only(values[operand.value].name),
                "" if operand.value is None else shape(values[operand.value].shape, self.marks),
                None if operand.value is None else values[operand.value].stats,
            )
            for operand in step.operands
        ]
        rows.append(("output", only(made.name), shape(made.shape, self.marks), made.stats))
        found += self._values("|value|", rows)
        if step.constants:
            told = ", ".join(f"{name}={only(text)}" for name, text in step.constants.items())
            found += self._say(told, "dim")
        costs = f"{amount(step.flops, 'FLOP')}, {amount(step.bytes, 'B')} read and written"
        found += self._say(f"{costs}, {amount(step.seconds, 's', self.marks)}", "dim")
        users = [slot for slot in self.trace.structure.uses.get(step.output, []) if slot[0] >= 0]
        if users:
            names = [only(values[self._made(user)].name) for user, _ in users]
            found += self._say(f"used by {', '.join(names)}")
        if made.gradient is not None:
            found += self._say(f"its gradient will have the norm {self._norm(made.gradient)}")
        return found + self._patch(step, pixel)

    def _made(self, step: int) -> int:
        return self.trace.records.forward[step].output

    def _patch(self, step: Forward, pixel: tuple[int, ...]) -> list[Text]:
        from rich.text import Text

        if step.op not in ("im2col", "matmul") or not spelled_out(self.trace, step.index):
            return []
        return [Text(), *self._patch_of(step.index, pixel)]

    def _patch_of(self, step: int, pixel: tuple[int, ...]) -> list[Text]:
        from rich.text import Text

        patch = patch_of(self.trace, step, pixel)
        if isinstance(patch, str):
            return self._say(patch, "dim")
        return [Text(line) for line in patch_lines(patch, self.marks)]

    # -- backward ----------------------------------------------------------------------------

    def _backward(self, turn: Backward, place: str, stop: Stop) -> list[Text]:
        records = self.trace.records
        value = records.values[turn.value]
        run = f", pass {turn.run}" if turn.run else ""
        lengths = shape(value.shape, self.marks)
        found = self._title(f"{place}{run}: the gradient of {only(value.name)}", lengths)
        found += self._parts(turn)
        if turn.changed_by_hook:
            found += self._say("a hook may have replaced the sum before it was sent on", "dim")
        if turn.op is None:
            what = f"a {value.kind}" if value.kind != "result" else "no recorded op's output"
            return found + self._say(f"{only(value.name)} is {what}: here the gradient arrives")
        step = records.forward[turn.op]
        found += self._say(
            f"the VJP of {only(step.op)} then sent" + (":" if turn.sent else " nothing")
        )
        rows = [
            (
                sent.edge,
                only(records.values[sent.value].name),
                shape(records.values[sent.value].shape, self.marks),
                sent.stats,
            )
            for sent in turn.sent
        ]
        found += self._values("|gradient|", rows) if rows else []
        costs = f"{amount(turn.flops, 'FLOP')}, {amount(turn.seconds, 's', self.marks)}"
        found += self._say(f"{costs}; forward at {only(step.source)}", "dim")
        if stop.inside:
            ran = ", ".join(records.forward[each.steps[0]].op for each in stop.inside)
            told = f"inside, the VJP ran {spoken(len(stop.inside), 'op')}: {ran}"
            found += self._say(told)
        return found

    def _parts(self, turn: Backward) -> list[Text]:
        """Write the contributions and their sum, so that they visibly add up."""
        from rich.text import Text

        values, marks = self.trace.records.values, self.marks
        several = len(turn.parts) > 1
        sides = [self._side(part.consumer, part.slot) for part in turn.parts]
        styles = [{"shortcut": SHORTCUT, "branch": BRANCH}.get(side or "", "") for side in sides]
        edges = [side or part.edge for side, part in zip(sides, turn.parts, strict=True)]
        origins = [
            "backward() itself"
            if part.consumer is None
            else only(values[self._made(part.consumer)].name)
            for part in turn.parts
        ]
        norms = [self._norm(part.stats) for part in turn.parts]
        if not several:
            told = f"it came from {origins[0]}, norm {norms[0]}"
            return self._say(told, ALARM if norms[0] in ("NaN", "inf") else "")
        found = self._say(f"{len(turn.parts)} contributions met here and were added up:")
        sum_norm = Text(self._norm(turn.stats), "bold")
        known = [part.share for part in turn.parts if part.share is not None]
        bars = [None if p.share is None else 10 ** min(abs(p.share), 1.0) for p in turn.parts]
        columns = [
            Column("by", 0, [*map(Text, edges, styles), Text("sum", "bold")], True),
            Column("from", 2, [*map(Text, origins), Text()], True),
            Column("|gradient|", 0, [*map(Text, norms), sum_norm]),
            Column("cosine", 1, [*[Text(number(p.cosine, marks)) for p in turn.parts], Text()]),
            Column(
                "share",
                0,
                [
                    *[Text(percent(p.share, marks)) for p in turn.parts],
                    Text(
                        percent(sum(known), marks) if len(known) == len(turn.parts) else "", "bold"
                    ),
                ],
            ),
            Column("", 3, [Text()] * (len(edges) + 1), True, [*bars, None]),
        ]
        # A linear bar of the share: 10 to its power lies on the scale from 1 to 10.
        found += fitted(columns, self.width, Scale(0, 1), marks)
        return found + self._say(
            _VERDICTS.get(turn.verdict, ""), ALARM if turn.verdict == "wrong" else "bold"
        )

    def _side(self, consumer: int | None, slot: int) -> str | None:
        return None if consumer is None else self.trace.structure.side_of(consumer, slot)

    # -- spelled-out ops ---------------------------------------------------------------------

    def _folded(self, stop: Stop, place: str, pixel: tuple[int, ...]) -> list[Text]:
        from rich.text import Text

        records = self.trace.records
        rows: list[tuple[str, str, str, Stats | None]] = []
        for each in stop.steps:
            if stop.kind == "forward":
                step = records.forward[each]
                value = records.values[step.output]
                rows.append(
                    (step.op, only(value.name), shape(value.shape, self.marks), value.stats)
                )
            else:
                turn = records.backward[each]
                value = records.values[turn.value]
                made = "" if value.op is None else records.forward[value.op].op
                rows.append((made, only(value.name), shape(value.shape, self.marks), turn.stats))
        first = stop.steps[0] if stop.kind == "forward" else records.backward[stop.steps[0]].op or 0
        module = records.forward[first].module
        where = f" in {only(module)}" if module else ""
        count = spoken(len(stop.steps), "step")
        found = self._title(f"{place}: {stop.twin}{where}, spelled out: {count}", "")
        found += self._values("|value|" if stop.kind == "forward" else "|gradient|", rows)
        if stop.kind == "forward" and spelled_out(self.trace, first):
            found += [Text(), *self._patch_of(first, pixel)]
        return found

    # -- writing -----------------------------------------------------------------------------

    def _title(self, left: str, right: str) -> list[Text]:
        from rich.text import Text

        gap = self.width - len(left) - len(right)
        if not right or gap < 2:
            return [*self._say(left, "bold"), *(self._say(right, "dim") if right else [])]
        return [Text.assemble((left, "bold"), " " * gap, (right, "dim"))]

    def _say(self, text: str, style: str = "") -> list[Text]:
        from rich.text import Text

        lines = textwrap.wrap(text, max(20, self.width), subsequent_indent="  ")
        return [Text(line, style) for line in lines]

    def _values(self, what: str, rows: Iterable[tuple[str, str, str, Stats | None]]) -> list[Text]:
        """Write values or gradients, one in a line, with what is known of their entries."""
        from rich.text import Text

        told = list(rows)
        seen = [stats for *_, stats in told]
        columns = [
            Column("", 0, [Text(row[0], "bold") for row in told], True),
            Column("", 1, [Text(row[1]) for row in told], True),
            Column("shape", 2, [Text(row[2]) for row in told]),
            Column(what, 0, [self._alarming(stats) for stats in seen]),
        ]
        for rank, name in ((5, "mean"), (4, "std"), (6, "min"), (6, "max")):
            entries = [None if s is None else getattr(s, name) for s in seen]
            cells = [Text("" if e is None else number(e, self.marks)) for e in entries]
            columns.append(Column(name, rank, cells))
        zeros = [Text("" if s is None else percent(s.zeros, self.marks)) for s in seen]
        columns.append(Column("zeros", 3, zeros))
        found = fitted(columns, self.width, None, self.marks)
        sampled = max((s.sample for s in seen if s is not None), default=0)
        if sampled:
            note = f"(norms are exact; the rest, of large arrays, is from {sampled:,} entries)"
            found += self._say(note, "dim")
        return found

    def _alarming(self, stats: Stats | None) -> Text:
        from rich.text import Text

        text = "" if stats is None else self._norm(stats)
        return Text(text, ALARM if stats is not None and not stats.finite else "")

    def _norm(self, stats: Stats | None) -> str:
        if stats is None:
            return self.marks.none
        if not stats.finite:
            return f"{stats.nans} NaN" if stats.nans else f"{stats.infs} inf"
        return number(stats.norm, self.marks)
