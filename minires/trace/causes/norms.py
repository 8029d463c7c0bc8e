"""What a batch norm does to a gradient, alone or as part of a fused op."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..records import Forward, Records, Sent, Stats
from .cause import CONSTANT, NORM_GAIN, PROJECTED, Cause
from .operands import NORMS, is_zero, operand, stats_at
from .ways import Link, Ways, log_size, ratio
from .zeros import constant_input, dead_inside, norm_place, why_zero, zero_gamma, zero_weight


def of_batch_norm(ways: Ways, link: Link, g: Stats, sent: Stats) -> Iterator[Cause]:
    """Name what a batch norm did to the gradient that passed through it."""
    step, records = link.step, ways.records
    if step.op not in NORMS or not step.notes:
        return
    place = norm_place(records, step)
    passed = ratio(sent.norm, g.norm)
    # A file may leave notes out.
    zeros = step.notes.get("gamma_zeros", 0.0)
    by_sigma = step.notes.get("gamma_over_sigma", math.nan)
    known = math.isfinite(by_sigma) and by_sigma > 0
    if link.sent.edge in ("weight", "norm_weight"):
        if sent.norm == 0 and step.op == "batch_norm_relu_conv2d":
            yield from _fused_relu(records, link, place, zeros)
        elif sent.norm == 0:
            yield from _constant_input(records, step, place)
        return
    if link.sent.edge == "norm_bias" and sent.norm == 0:
        yield from _fused_relu(records, link, place, zeros)
    if link.sent.edge != "input":
        return
    if zeros >= 0.5:
        yield zero_gamma(place, step, zeros, log_size(passed))
    elif known and not NORM_GAIN[0] <= by_sigma <= NORM_GAIN[1]:
        effect = abs(math.log(by_sigma))
        before = operand(step, "input")
        if by_sigma > 1 and before is not None and is_zero(records, before):
            assert before.value is not None
            yield from why_zero(records, before.value, effect)
        yield Cause(
            "gamma_over_sigma",
            place,
            by_sigma,
            f"the batch norm {place} multiplies the gradient by gamma / sigma, which is"
            f" {by_sigma:.3g} (median over channels): {_why_out_of_range(step, by_sigma)}.",
            step=step.index,
            effect=effect,
        )
    elif known and step.op == "batch_norm" and passed < PROJECTED * by_sigma:
        yield Cause(
            "batch_norm_projection",
            place,
            passed / by_sigma,
            f"of what gamma / sigma would let through the batch norm {place}, its mean and"
            f" variance terms leave {passed / by_sigma:.2g}: they take out of each channel what is"
            " constant and what is in line with its values.",
            step=step.index,
            effect=log_size(passed),
        )
    elif step.op == "batch_norm_relu_conv2d" and sent.norm == 0:
        yield from _fused_relu(records, link, place, zeros)


def _why_out_of_range(step: Forward, by_sigma: float) -> str:
    """Say of gamma / sigma which of the two makes it so small or large, or that both do."""
    gamma, sigma = step.notes.get("gamma", math.nan), step.notes.get("std", math.nan)
    large, whole = by_sigma > 1, abs(math.log(by_sigma))
    told = []
    # A third of the way counts: of 100 times 100 both are out of range, of 5e3 times 2 only one.
    if _logarithm(gamma) * (1 if large else -1) > whole / 3:
        told.append(f"gamma is {'large' if large else 'small'}, {gamma:.3g}")
    if _logarithm(sigma) * (-1 if large else 1) > whole / 3:
        varies = "hardly varies" if large else "varies much"
        told.append(f"its input {varies}, sigma is {sigma:.3g}")
    smallest = step.notes.get("smallest_std", math.nan)
    return " and ".join(told) or f"its smallest sigma is {smallest:.3g}"


def _logarithm(number: float) -> float:
    """log(number); 0 where there is none."""
    return math.log(number) if number > 0 and math.isfinite(number) else 0.0


def _constant_input(records: Records, step: Forward, place: str) -> Iterator[Cause]:
    found = operand(step, "input")
    stats = stats_at(records, found)
    if found is None or found.value is None or stats is None:
        return
    if stats.norm == 0:
        yield from why_zero(records, found.value, math.inf)
    elif step.notes.get("smallest_std", 1.0) < CONSTANT:
        yield constant_input(step, place, math.inf)


def _fused_relu(records: Records, link: Link, place: str, zeros: float) -> Iterator[Cause]:
    """Say why a fused norm, ReLU and convolution sent nothing: its ReLU's output is not kept."""
    step = link.step
    weight = stats_at(records, operand(step, "weight"))
    if link.sent.edge != "weight" and weight is not None and weight.norm == 0:
        yield zero_weight(records, step, math.inf)
    elif zeros >= 0.5:
        yield zero_gamma(place, step, zeros, math.inf)
    elif all(_nothing(one) for one in link.visit.sent if one.edge != "bias"):
        yield dead_inside(records, step, math.inf)


def _nothing(sent: Sent) -> bool:
    return sent.stats is not None and sent.stats.norm == 0
