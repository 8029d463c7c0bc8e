"""Gradients that are too small for their dtype."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..records import Operand, Stats
from .cause import SUBNORMAL, Cause
from .operands import PRODUCTS, is_zero, stats_at
from .ways import Link, Ways, log_size, ratio
from .zeros import why_zero

# What these send is 0 only where the gradient is, or a factor, or where it became too small.
_ONE_TO_ONE = ("mul", "div", "neg", "cast")

# Operands that are added, and so no factors of what is sent to the others.
_ADDED = ("bias", "norm_bias", "shortcut")


def underflow(ways: Ways) -> Iterator[Cause]:
    """Name the first op on the ways whose VJP sent hardly anything but subnormal numbers."""
    lost = False
    first: Cause | None = None
    for link in ways.links:
        g, sent = ways.gradient(link.visit), ways.arrived(link)
        if g is None or sent is None or g.norm == 0:
            continue
        lost |= first is not None and sent.norm == 0
        share = _lost(ways, link, g, sent)
        if first is not None or share < SUBNORMAL:
            continue
        name, dtype = ways.name(link.step), ways.records.values[link.sent.value].dtype
        first = Cause(
            "underflow",
            link.step.module or name,
            share,
            f"{share:.1%} of the numbers that {name} sent to its input {link.sent.edge!r} lie below"
            f" {smallest_normal(dtype):.2g}, the smallest normal number of {dtype} (norm"
            f" {sent.norm:.2g}): they lose their digits, and then become 0. Multiply the loss by a"
            " power of 2, and divide the gradients by it.",
            step=link.step.index,
            effect=log_size(ratio(sent.norm, g.norm)),
        )
    if first is not None:
        yield Cause(**{**vars(first), "effect": math.inf}) if lost else first


def _lost(ways: Ways, link: Link, g: Stats, sent: Stats) -> float:
    """Share of subnormal numbers among those that are not 0, or have just become so."""
    if not sent.tiny:
        return 0.0
    zeros = sent.zeros
    others = [o for slot, o in enumerate(link.step.operands) if slot != link.sent.slot]
    masks = [s for other in others if (s := stats_at(ways.records, other)) is not None and s.zeros]
    if link.step.op in _ONE_TO_ONE and not masks:
        zeros = min(g.zeros, sent.zeros)  # the others were numbers before
    return (sent.tiny + sent.zeros - zeros) / (1 - zeros) if zeros < 1 else 0.0


def nothing_sent(ways: Ways, link: Link, g: Stats) -> Iterator[Cause]:
    """Say why a VJP sent 0 only: a factor is 0, or the products are too small."""
    step, records = link.step, ways.records
    name = ways.name(step)
    own = step.operands[link.sent.slot]
    # The slope of a power is a lower power of the same numbers.
    if step.op == "pow" and own.edge == "a" and own.value is not None and is_zero(records, own):
        yield from why_zero(records, own.value, math.inf)
        return
    others = _multiplied(link)
    for other in others:
        if other.value is not None and is_zero(records, other):
            yield from why_zero(records, other.value, math.inf)
            return
        if _number(other, step.op) == 0:
            yield Cause(
                "zero_value",
                step.module or name,
                0.0,
                f"{name} {_BY[step.op]} the constant {other.text}: what it sends back is 0.",
                step=step.index,
                effect=math.inf,
            )
            return
    dtype = records.values[link.sent.value].dtype
    # No entry of a product can be larger than the product of the norms.
    bound = g.norm
    for other in others:
        stats = stats_at(records, other)
        bound *= _number(other, step.op) if stats is None else stats.norm
    if bound < smallest_normal(dtype) or subnormal(g):
        yield Cause(
            "underflow",
            step.module or name,
            1.0,
            f"all that {name} sent to its input {link.sent.edge!r} is 0: the products are below"
            f" {smallest_normal(dtype):.2g}, the smallest normal number of {dtype}.",
            step=step.index,
            effect=math.inf,
        )
        return
    yield Cause(
        "blocked",
        step.module or name,
        0.0,
        f"{name} got a gradient of norm {g.norm:.3g} and sent 0 to its input {link.sent.edge!r}.",
        step=step.index,
        effect=math.inf,
    )


# How an op uses a constant by which it sends back nothing.
_BY = {"mul": "multiplies by", "div": "divides with"}


def _multiplied(link: Link) -> list[Operand]:
    """The operands that an op multiplies the gradient of this input by, as far as they are known.

    Only products have them: what a maximum compares with is no factor.
    """
    if link.step.op not in PRODUCTS:
        return []
    return [
        other
        for slot, other in enumerate(link.step.operands)
        if slot != link.sent.slot and other.edge not in _ADDED
    ]


def _number(other: Operand, op: str) -> float:
    """Return the factor that a constant is, 0 and infinity included; 1 where it is none."""
    if other.value is not None or op not in ("mul", "div"):
        return 1.0
    try:
        number = abs(float(other.text))
    except ValueError:
        return 1.0
    return number if op == "mul" or number == 0 else 1 / number


def subnormal(stats: Stats) -> bool:
    """Tell whether nearly all numbers that are left are below the smallest normal one."""
    return 0 < stats.tiny >= SUBNORMAL * (1 - stats.zeros)


def smallest_normal(dtype: str) -> float:
    """Return the smallest number of a dtype that has all its digits; 0 for other dtypes."""
    try:
        return float(np.finfo(dtype).tiny) if dtype.startswith("float") else 0.0
    except (TypeError, ValueError):  # a dtype that only the file knows
        return 0.0
