"""Gradients that are not what they should be: sums, and the two sides of a residual addition."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import Backward, Forward, Records, Sent
from ..structure import is_join
from .cause import SAME, Cause
from .ways import Ways, ratio


def why_wrong(ways: Ways) -> Iterator[Cause]:
    """Name sums that are not those of their parts, and additions that did not pass g on."""
    records = ways.records
    for visit in ways.visits:
        if visit.verdict == "wrong":
            name = records.values[visit.value].name
            yield Cause(
                "wrong_sum",
                name,
                float(len(visit.parts)),
                f"the engine's gradient of {name} is not the sum of its {len(visit.parts)}"
                " contributions.",
                step=records.values[visit.value].op,
                effect=float("inf"),
            )
    seen = set()
    for link in ways.links:
        if is_join(link.step) and link.step.index not in seen:
            seen.add(link.step.index)
            yield from _sides(ways, link.visit, link.step)


def _sides(ways: Ways, visit: Backward, step: Forward) -> Iterator[Cause]:
    """Compare what an addition sent to its sides with the gradient that arrived at it."""
    g = ways.gradient(visit)
    if g is None or not g.finite or g.norm == 0:
        return
    place = step.module or ways.name(step)
    if not adds(ways.records, step):
        # An op with a ReLU behind the addition lets a part of g through, and never more than g.
        for sent in visit.sent:
            if sent.edge == "shortcut" and sent.stats is not None and sent.stats.finite:
                factor = ratio(sent.stats.norm, g.norm)
                if step.op in _RECTIFIED and factor > 1 + _tolerance(ways.records, step):
                    yield _unlike(ways, step, place, sent, factor)
        return
    for sent in visit.sent:
        if sent.stats is None or not sent.stats.finite:
            continue
        factor = ratio(sent.stats.norm, g.norm)
        if abs(factor - 1) > _tolerance(ways.records, step):
            yield _unlike(ways, step, place, sent, factor)


# They add a shortcut, then rectify.
_RECTIFIED = ("batch_norm_relu", "conv2d_relu")


def _unlike(ways: Ways, step: Forward, place: str, sent: Sent, factor: float) -> Cause:
    return Cause(
        "wrong_side",
        place,
        factor,
        f"the addition {ways.name(step)} sent {factor:.4g} times the gradient that it got to its"
        f" {sent.edge}; an addition passes on the gradient itself.",
        step=step.index,
        effect=float("inf"),
    )


def _tolerance(records: Records, step: Forward) -> float:
    return 0.01 if records.values[step.output].dtype == "float16" else SAME


def adds(records: Records, step: Forward) -> bool:
    """Tell whether an op with a shortcut is an addition: residual_add, or one that acts alike.

    Means are linear, and those of samples, which are taken at the same places, are so, too.
    """
    if step.op == "residual_add":
        return True
    sides = [o.value for o in step.operands if o.value is not None]
    output = records.values[step.output]
    if len(sides) != 2 or len(step.operands) != 2 or output.stats is None:
        return False
    stats = [records.values[side].stats for side in sides]
    if stats[0] is None or stats[1] is None or not output.stats.finite:
        return False
    if any(records.values[side].shape != output.shape for side in sides):
        return False
    off = abs(output.stats.mean - stats[0].mean - stats[1].mean)
    return off <= _tolerance(records, step) * (stats[0].rms + stats[1].rms)
