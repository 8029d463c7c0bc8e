"""Where zeros come from: dead ReLUs, zero weights, and what was given as 0."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..records import Forward, Records
from .cause import CONSTANT, DEAD, KINK, Cause
from .operands import NORMS, PRODUCTS, RELUS, is_zero, operand, stats_at, zero_share


def dead_relu(records: Records, step: Forward, effect: float) -> Iterator[Cause]:
    """Say of a ReLU that few units are left: because its inputs are negative, or exactly 0."""
    output = records.values[step.output].stats
    assert output is not None
    name, place = records.values[step.output].name, step.module
    before = operand(step, "input") if step.op == "relu" else None
    inputs = stats_at(records, before)
    behind = "" if before is None else f" behind {records.values[before.value or 0].name}"
    if inputs is not None and zero_share(inputs) >= KINK:
        share = zero_share(inputs)
        yield Cause(
            "kink",
            place or name,
            share,
            f"{share:.1%} of the inputs of the ReLU {name}{behind} are exactly 0; there its"
            " gradient is 0 by convention.",
            step=step.index,
            effect=effect,
        )
        if before is not None and before.value is not None and inputs.norm == 0:
            yield from why_zero(records, before.value, effect)
        return
    dead = zero_share(output)
    where = "lets no gradient through" if effect == math.inf else "lets little through"
    told = (
        f"{dead:.1%} of the outputs of the ReLU {name}{behind} are 0: it {where}."
        if dead >= DEAD
        else f"the gradient of the ReLU {name}{behind} came to units whose output is 0 only:"
        f" {dead:.1%} of its units."
    )
    yield Cause("dead_relu", place or name, dead, told, step=step.index, effect=effect)


def norm_place(records: Records, step: Forward) -> str:
    """Return the module of a batch norm, also of one that a fused op holds."""
    weight = operand(step, "norm_weight") or operand(step, "norm_bias")
    if weight is not None and weight.value is not None:
        value = records.values[weight.value]
        if value.kind == "parameter" and "." in value.name:
            return value.name.rpartition(".")[0]
    return step.module or records.values[step.output].name


def dead_inside(records: Records, step: Forward, effect: float) -> Cause:
    """Say that the ReLU within a fused norm, ReLU and convolution is dead: the only way to 0."""
    place, name = norm_place(records, step), records.values[step.output].name
    return Cause(
        "dead_relu",
        place,
        1.0,
        f"100.0% of the outputs of the ReLU behind {place}, which is a part of {name}, are 0: it"
        " lets no gradient through.",
        step=step.index,
        effect=effect,
    )


def zero_gamma(place: str, step: Forward, share: float, effect: float) -> Cause:
    """Say that a batch norm's weights are 0."""
    return Cause(
        "zero_gamma",
        place,
        share,
        f"{share:.1%} of the batch norm {place}'s weights (gamma) are exactly 0; what it sends back"
        " is multiplied by them.",
        step=step.index,
        effect=effect,
    )


def constant_input(step: Forward, place: str, effect: float) -> Cause:
    """Say that the input of a batch norm does not vary, so that nothing is left of it."""
    smallest = step.notes.get("smallest_std", math.nan)
    return Cause(
        "constant_input",
        place,
        smallest,
        f"the input of the batch norm {place} does not vary: its smallest sigma is {smallest:.3g}.",
        step=step.index,
        effect=effect,
    )


def dropped(records: Records, step: Forward, effect: float) -> Cause:
    """Say that a dropout left nothing."""
    name, stats = records.values[step.output].name, records.values[step.output].stats
    share = 1.0 if stats is None else zero_share(stats)
    return Cause(
        "dropout",
        step.module or name,
        share,
        f"{name} dropped {share:.1%} of its inputs, and with them all of the gradient.",
        step=step.index,
        effect=effect,
    )


def zero_weight(records: Records, step: Forward, effect: float) -> Cause:
    """Say that a layer's weights are 0."""
    found = operand(step, "weight")
    weight = "" if found is None or found.value is None else records.values[found.value].name
    name = records.values[step.output].name
    return Cause(
        "weight_gain",
        step.module or name,
        0.0,
        f"all weights {weight} are 0: {name} sends 0 times its gradient to its input.",
        step=step.index,
        effect=effect,
    )


def why_zero(records: Records, value: int, effect: float) -> Iterator[Cause]:
    """Say which op made a value all zeros, or who gave it so."""
    while True:
        found = records.values[value]
        if found.op is None:
            yield Cause(
                "zero_value",
                found.name,
                1.0,
                f"all of {found.name} is 0, and what it is multiplied with is lost.",
                effect=effect,
            )
            return
        step = records.forward[found.op]
        gamma = stats_at(records, operand(step, "norm_weight", "weight"))
        if step.op in NORMS and step.notes.get("gamma_zeros", 0.0) >= 0.5:
            yield zero_gamma(norm_place(records, step), step, step.notes["gamma_zeros"], effect)
            return
        if step.op in NORMS and step.notes.get("std", 1.0) < CONSTANT:
            yield constant_input(step, norm_place(records, step), effect)
        if step.op == "dropout" and not any(is_zero(records, o) for o in step.operands):
            yield dropped(records, step, effect)
            return
        inputs = [o for o in step.operands if o.value is not None]
        zero = [o for o in inputs if is_zero(records, o) and o.edge not in ("bias", "norm_bias")]
        if step.op in RELUS and not zero:
            yield from dead_relu(records, step, effect)
            return
        if step.op in PRODUCTS and gamma is not None and gamma.norm == 0:
            yield zero_weight(records, step, effect)
            return
        if step.op == "batch_norm_relu_conv2d" and not zero:
            yield dead_inside(records, step, effect)
            return
        if not zero or zero[0].value is None:
            if step.op in NORMS and step.notes.get("std", 1.0) < CONSTANT:
                return
            yield Cause(
                "zero_value",
                step.module or found.name,
                1.0,
                f"all outputs of {found.name} are 0, and what they are multiplied with is lost.",
                step=step.index,
                effect=effect,
            )
            return
        value = zero[0].value
