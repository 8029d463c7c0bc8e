"""What single ops do to a gradient that passes: ReLU, batch norm, weights, saturation."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..records import Stats
from .cause import DEAD, KINK, SATURATED, WEIGHT_SCALE, Cause
from .norms import of_batch_norm
from .operands import RELUS, operand, stats_at, zero_share
from .underflow import nothing_sent
from .ways import Link, Ways, log_size, ratio
from .zeros import dead_relu, dropped, zero_weight


def of_link(ways: Ways, link: Link) -> Iterator[Cause]:
    """Name what an op did to the gradient that passed through it."""
    g, sent = ways.gradient(link.visit), ways.arrived(link)
    if g is None or sent is None or not (g.finite and sent.finite) or g.norm == 0:
        return
    found = [
        *_relu(ways, link, g, sent),
        *of_batch_norm(ways, link, g, sent),
        *_weight(ways, link, g, sent),
        *_saturation(ways, link, g, sent),
        *_dropout(ways, link, sent),
    ]
    if sent.norm == 0 and not found:
        found = list(nothing_sent(ways, link, g))
    yield from found


def _relu(ways: Ways, link: Link, g: Stats, sent: Stats) -> Iterator[Cause]:
    step, records = link.step, ways.records
    output, inputs = records.values[step.output].stats, stats_at(records, operand(step, "input"))
    if step.op not in RELUS or output is None:
        return
    # A gradient may stop at one input of a fused op for reasons of that input.
    stopped = all(one.stats is None or one.stats.norm == 0 for one in link.visit.sent)
    kinked = step.op == "relu" and zero_share(inputs) >= KINK if inputs else False
    if zero_share(output) < DEAD and not stopped and not kinked:
        return
    yield from dead_relu(records, step, log_size(ratio(sent.norm, g.norm)))


def _weight(ways: Ways, link: Link, g: Stats, sent: Stats) -> Iterator[Cause]:
    step, records = link.step, ways.records
    found = operand(step, "weight")
    stats = stats_at(records, found)
    towards_weight = found is not None and link.sent.value == found.value
    if found is None or stats is None or step.op == "batch_norm" or towards_weight:
        return
    if step.op == "batch_norm_relu" or not stats.finite or link.sent.edge in ("bias", "shortcut"):
        return
    assert found.value is not None
    shape = records.values[found.value].shape
    scale = stats.rms * math.prod(shape[1:]) ** 0.5
    passed = ratio(sent.norm, g.norm)
    if stats.norm == 0:
        yield zero_weight(records, step, log_size(passed))
    elif not WEIGHT_SCALE[0] <= scale <= WEIGHT_SCALE[1]:
        name, weight = ways.name(step), records.values[found.value].name
        yield Cause(
            "weight_gain",
            step.module or name,
            passed,
            f"{name} sent {passed:.3g} times the gradient that it got: the weights {weight} are"
            f" {'small' if scale < 1 else 'large'}, rms * sqrt(fan in) is {scale:.3g}, and keeps"
            " sizes as they are where it is about 1.",
            step=step.index,
            effect=log_size(passed),
        )


def _saturation(ways: Ways, link: Link, g: Stats, sent: Stats) -> Iterator[Cause]:
    passed = ratio(sent.norm, g.norm)
    if link.step.op in ("sigmoid", "tanh") and passed < SATURATED:
        name = ways.name(link.step)
        yield Cause(
            "saturation",
            link.step.module or name,
            passed,
            f"{name} is saturated: it lets {passed:.2g} of the gradient through.",
            step=link.step.index,
            effect=log_size(passed),
        )
    if link.step.op in ("cross_entropy", "softmax") and sent.norm == 0:
        name, output = ways.name(link.step), ways.records.values[link.step.output].stats
        told = "" if output is None or link.step.op == "softmax" else f" (rms {output.rms:.3g})"
        yield Cause(
            "saturation",
            link.step.module or name,
            0.0,
            f"{name} is saturated{told}: one class of each has all of the probability, and nothing"
            " is sent back.",
            step=link.step.index,
            effect=math.inf,
        )


def _dropout(ways: Ways, link: Link, sent: Stats) -> Iterator[Cause]:
    if link.step.op == "dropout" and sent.norm == 0:
        yield dropped(ways.records, link.step, math.inf)
