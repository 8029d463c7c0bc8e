"""All causes of one value's gradient, the most telling first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..records import Backward, Forward, Records, Value
from .cause import CANCELLED, EXTREME, HOOKED, Cause
from .layers import of_link
from .missing import partly_missing, why_missing
from .nonfinite import why_not_finite, why_start_not_finite
from .underflow import underflow
from .ways import Link, Ways, log_size, ratio
from .wrong import why_wrong

# How many of the factors that make up a norm are told.
_TOLD = 5


def causes_of(records: Records, value: Value) -> tuple[Ways, list[Cause]]:
    """Find the causes of a value's gradient.

    Returns
    -------
    ways : Ways
    causes : list of Cause
        Alarms first: those on the loudest way before others; what shrinks a small gradient, and
        makes a large one grow, before the opposite; the larger effect before the smaller; of equal
        ones what came first in the forward pass, which others may follow from. Then the largest of
        the factors that make up the norm.
    """
    ways = Ways(records, value)
    if ways.visit is None:
        return ways, list(why_missing(records, value))
    if ways.visit.stats is None:
        return ways, [
            Cause(
                "not_looked_at",
                value.name,
                math.nan,
                f"a gradient came to {value.name}, but the recording was told not to look at it"
                " (select=...).",
                alarm=False,
            )
        ]
    on_loudest = {visit.index for visit, _ in ways.loudest}
    first = list(why_wrong(ways))
    gradient = ways.gradient(ways.visit) or ways.visit.stats
    if not (ways.visit.stats.finite and gradient.finite):
        first = [*why_not_finite(ways), *first]
    else:
        first += why_start_not_finite(ways)
    found = [
        (_is_aside(ways, link), cause)
        for link in ways.links
        for cause in of_link(ways, link)
        if not _grows(cause) or ways.carries(link)
    ]
    found += [(False, cause) for cause in underflow(ways)]
    found += [
        (visit.index not in on_loudest, cause)
        for visit, cause in _at_values(ways)
        if not _grows(cause) or visit.value in ways.carrying
    ]
    shrank = ways.shrank
    ranked = sorted(found, key=lambda one: (one[0], _grows(one[1]) == shrank, *_weight(one[1])))
    told = [_told_aside(cause) if aside else cause for aside, cause in ranked]
    alarms = _distinct([*first, *told, *partly_missing(records, value)])
    if ways.visit.stats.norm == 0 or not ways.visit.stats.finite:
        return ways, alarms  # which is a product of no factors
    factors = _factors(ways, {cause.step for cause in alarms})
    alarms += [cause for cause in factors if cause.alarm]
    return ways, alarms + [cause for cause in factors if not cause.alarm]


def _is_aside(ways: Ways, link: Link) -> bool:
    """Tell whether a link is beside the loudest way, of a gradient that is not 0.

    Where nothing came, what took it all is the cause, whichever way is called the loudest.
    """
    assert ways.visit is not None
    assert ways.visit.stats is not None
    if ways.visit.stats.norm == 0:
        return False
    return (link.step.index, link.sent.slot) not in ways.on_loudest


def _told_aside(cause: Cause) -> Cause:
    return replace(
        cause, sentence=f"{cause.sentence} The largest part of the gradient came another way."
    )


def _grows(cause: Cause) -> bool:
    """Tell whether a cause makes a gradient larger: if what it measures is a factor, above 1."""
    return cause.kind in ("gamma_over_sigma", "weight_gain", "hook") and cause.number > 1


def _weight(cause: Cause) -> tuple[float, int]:
    return -cause.effect, -1 if cause.step is None else cause.step


def _distinct(causes: Iterable[Cause]) -> list[Cause]:
    """Leave out what was found again on another way."""
    first: dict[tuple[str, str, int | None], Cause] = {}
    for cause in causes:
        first.setdefault((cause.kind, cause.place, cause.step), cause)
    return list(first.values())


def _at_values(ways: Ways) -> Iterator[tuple[Backward, Cause]]:
    yield from _cancellations(ways)
    yield from _hooks(ways)


def _cancellations(ways: Ways) -> Iterator[tuple[Backward, Cause]]:
    """Name forks at which the contributions hardly leave anything of each other."""
    for visit in ways.visits:
        norms = [part.stats.norm for part in visit.parts if part.stats is not None]
        if len(norms) < 2 or visit.stats is None or not math.isfinite(sum(norms)):
            continue
        left = ratio(visit.stats.norm, sum(norms))
        if left < CANCELLED:
            name = ways.records.values[visit.value].name
            step = ways.records.values[visit.value].op
            parts = " and ".join(f"{norm:.3g}" for norm in norms)
            cause = Cause(
                "cancellation",
                _place(ways.records, visit),
                left,
                f"contributions of norm {parts} meet at {name}{_cosine(norms, visit)} and leave"
                f" {visit.stats.norm:.3g}, {left:.2g} of their sum.",
                step=step,
                effect=log_size(left),
            )
            yield visit, cause


def _hooks(ways: Ways) -> Iterator[tuple[Backward, Cause]]:
    """Name values whose gradient a hook of the user's made much smaller or larger."""
    for visit in ways.visits:
        after = ways.gradient(visit)
        if not visit.changed_by_hook or visit.stats is None or after is None:
            continue
        factor = ratio(after.norm, visit.stats.norm)
        if not math.isnan(factor) and not HOOKED[0] <= factor <= HOOKED[1]:
            name = ways.records.values[visit.value].name
            cause = Cause(
                "hook",
                _place(ways.records, visit),
                factor,
                f"a hook on {name} replaced its gradient by one of {factor:.3g} times the norm.",
                step=ways.records.values[visit.value].op,
                effect=log_size(factor),
            )
            yield visit, cause


def _cosine(norms: list[float], visit: Backward) -> str:
    if len(norms) != 2 or not all(norms) or visit.stats is None:
        return ""
    # By the larger one, lest squares leave the floats.
    small, large = sorted(norms)
    a, total = small / large, visit.stats.norm / large
    if not a:
        return ""
    cosine = (total**2 - a * a - 1) / (2 * a)
    return f" at a cosine of {max(-1.0, min(1.0, cosine)):.4f}"


def _place(records: Records, visit: Backward) -> str:
    value = records.values[visit.value]
    module = "" if value.op is None else records.forward[value.op].module
    return module or value.name


def _factors(ways: Ways, told: set[int | None]) -> list[Cause]:
    """Return the largest factors of |gradient| / |gradient at the start|, which multiply to it."""
    found = [*_loss_mean(ways)]
    skip = {cause.step for cause in found} | told
    records = ways.records
    for (before, _), (visit, part) in zip(ways.loudest, ways.loudest[1:], strict=False):
        g = ways.gradient(before)
        if part is None or part.stats is None or g is None or part.consumer is None:
            continue
        step = records.forward[part.consumer]
        passed = ratio(part.stats.norm, g.norm)
        if part.consumer not in skip and passed > 0:
            name = ways.name(step)
            found.append(
                Cause(
                    "factor",
                    step.module or name,
                    passed,
                    f"{name} sends {passed:.3g} times its gradient to its input {part.edge!r}.",
                    log_size(passed) > log_size(EXTREME),
                    step.index,
                    log_size(passed),
                )
            )
        if len(visit.parts) > 1 and visit.stats is not None:
            summed = ratio(visit.stats.norm, part.stats.norm)
            name = records.values[visit.value].name
            found.append(
                Cause(
                    "fork",
                    _place(records, visit),
                    summed,
                    f"at {name} {len(visit.parts)} contributions meet; their sum is {summed:.3g}"
                    f" times the largest of them.",
                    False,
                    records.values[visit.value].op,
                    log_size(summed) if summed > 0 else 0.0,
                )
            )
    found.sort(key=lambda cause: -cause.effect)
    return found[:_TOLD]


def _loss_mean(ways: Ways) -> Iterator[Cause]:
    """Say over how many terms the loss is averaged, by a mean or by a sum that is divided."""
    records = ways.records
    divided: tuple[Forward, float] | None = None
    for _, part in ways.loudest:
        if part is None or part.consumer is None:
            continue
        step = records.forward[part.consumer]
        inputs = [records.values[o.value] for o in step.operands if o.value is not None]
        if math.prod(records.values[step.output].shape) != 1 or not inputs:
            return
        count = math.prod(inputs[0].shape)
        if step.op == "mean" and count > 1:
            told = (
                f"the loss is the mean of {count} terms: each gets 1/{count} of the gradient, which"
                f" makes its norm {count**-0.5:.3g} of what it was."
            )
            yield _of_mean(ways, step, float(count), told, 0.5 * math.log(count))
            return
        if step.op == "sum" and count > 1:
            if divided is not None and _counts(divided[1], inputs[0]):
                by = round(divided[1])
                told = (
                    f"the loss is a sum of {count} terms, divided by {by}: each gets 1/{by} of the"
                    " gradient."
                )
                yield _of_mean(ways, divided[0], float(by), told, math.log(by))
            return
        if step.op in ("mul", "div"):
            divided = (step, _divisor(step))


def _of_mean(ways: Ways, step: Forward, count: float, told: str, effect: float) -> Cause:
    place = step.module or ways.name(step)
    return Cause("loss_mean", place, count, told, False, step.index, effect)


def _divisor(step: Forward) -> float:
    """Return the number that an op divides by, or multiplies by the inverse of; NaN if none."""
    by = ("b",) if step.op == "div" else ("a", "b")
    texts = [o.text for o in step.operands if o.value is None and o.edge in by]
    try:
        number = float(texts[0])
    except (IndexError, ValueError):
        return math.nan
    return ratio(1.0, number) if step.op == "mul" else number


def _counts(number: float, terms: Value) -> bool:
    """Tell whether a number is that of the terms, or of the examples, that were summed."""
    counts = {math.prod(terms.shape), *terms.shape[:1]} - {0, 1}
    return any(math.isclose(number, count, rel_tol=1e-6) for count in counts)
