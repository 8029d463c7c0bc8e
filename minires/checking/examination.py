"""One examination: first whether the function can be checked at all, then input by input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .comparison import Comparison
from .numerical import Settings, backward_rounding, natural_size
from .patterns import explain_shape
from .point import Point, as_vector, running
from .report import Finding, InputReport
from .subjects import Subject

Array = np.ndarray[Any, Any]

# Names the stream of random numbers: any number but 0, which would be no name, and the small ones
# that directions use.
_COTANGENTS = 151203385
# Up to so many entries in all, "auto" compares each of them.
FULL = 4096


@dataclass(frozen=True)
class Examination:
    """Rows of a report, what they were made of, and what is wrong beside numbers."""

    rows: tuple[InputReport, ...]
    comparisons: tuple[Comparison | None, ...]
    cotangents: list[Array]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def examine(
    subject: Subject,
    inputs: Sequence[Array],
    names: Sequence[str],
    settings: Settings,
    group: str = "",
) -> Examination:
    """Compare all gradients of a subject.

    Raises
    ------
    Finding
        If there is nothing to compare: the function raises, is random, writes into its inputs, or
        has no finite float64 outputs.
    """
    work = [array.copy(order="K") for array in inputs]
    for name, array in zip(names, inputs, strict=True):
        require_finite(name, array)
    first = forward(subject, work)
    require_unchanged("the forward pass", names, work, inputs)
    require_float64(first)
    for number, output in enumerate(first):
        require_finite(f"output {number}", output)
    require_repeatable(first, forward(subject, work))

    cotangents = draw_cotangents(first, settings.seed)
    given = [cotangent.copy() for cotangent in cotangents]
    gradients = vjp(subject, work, given)
    require_unchanged("the backward pass", names, work, inputs)
    for incoming, cotangent in zip(given, cotangents, strict=True):
        require_unchanged("the backward pass", ["its incoming gradient"], [incoming], [cotangent])
    notes = aliases(gradients, given, work, names)
    gradients = [None if value is None else value.copy() for value in gradients]
    again = vjp(subject, work, [cotangent.copy() for cotangent in cotangents])
    require_same_gradients(gradients, again, names)

    single = "are float32 numbers, to the last: is something computed in float32?"
    coarse = computed_in_float32(first, work)
    if coarse:
        notes += (f"the outputs {single}",)
    if computed_in_float32([g for g in gradients if g is not None], work):
        notes += (f"the gradients {single}",)

    epsilon = float(np.finfo(np.float32 if coarse else np.float64).eps)
    base, cotangent = as_vector(first), as_vector(cotangents)
    point = Point(subject, work, names, base, cotangent, settings, epsilon)
    count = sum(array.size for array in work)
    full = settings.mode == "full" or (settings.mode == "auto" and count <= FULL)
    rows: list[InputReport] = []
    comparisons: list[Comparison | None] = []
    noises = [0.0 for _ in work]
    problems = not_linear(point, cotangents, gradients, noises)
    for number, gradient in enumerate(gradients):
        problem = "" if gradient is None else unlike(point, number, gradient, first)
        if problem:
            problems.append(problem)
            note = "wrong shape or dtype"
            rows.append(InputReport(names[number], work[number].shape, group=group, note=note))
            comparisons.append(None)
            continue
        comparison = Comparison(point, number, gradient, group, noises[number])
        whole = full or not work[number].size
        rows.append(comparison.every_entry() if whole else comparison.random_directions())
        comparisons.append(comparison)
        if gradient is None and not group and not rows[-1].wrong:
            notes += (f"no output depends on {names[number]}",)
    return Examination(tuple(rows), tuple(comparisons), cotangents, tuple(problems), notes)


def forward(subject: Subject, inputs: list[Array]) -> list[Array]:
    """Run the forward pass; return copies of the outputs."""
    with running("the forward pass"):
        outputs = [output.copy() for output in subject.forward(inputs)]
    if not outputs:
        raise Finding("unfit", "the function returned no output at all")
    return outputs


def vjp(subject: Subject, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
    """Run the backward pass."""
    with running("the backward pass", "wrong"):
        return subject.vjp(inputs, cotangents)


def draw_cotangents(outputs: Sequence[Array], seed: int) -> list[Array]:
    """Draw random weights, away from 0: an output with hardly any would not be checked.

    They come from a stream of their own: who draws the inputs from ``default_rng(seed)`` would
    otherwise get weights with the signs of the inputs, and see no wrong mask of a ReLU, for one.
    """
    rng = np.random.default_rng([seed, _COTANGENTS])
    drawn = [rng.standard_normal(output.shape) for output in outputs]
    # Of several outputs, a large one must not drown the others.
    sizes = [float(np.sqrt(np.mean(np.square(y)))) if y.size else 0.0 for y in outputs]
    scales = [size if size and len(outputs) > 1 else 1.0 for size in sizes]
    return [
        np.asarray((values + np.copysign(0.5, values)) / scale)
        for values, scale in zip(drawn, scales, strict=True)
    ]


def require_finite(name: str, array: Array) -> None:
    """Refuse NaN and infinity."""
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(map(int, bad[0]))
        raise Finding(
            "unfit", f"{name} is {array[index]} at {index}; there is no gradient to compare there"
        )


def require_float64(outputs: Sequence[Array]) -> None:
    """Refuse outputs of any other dtype."""
    for number, output in enumerate(outputs):
        if output.dtype != np.float64:
            raise Finding(
                "unfit",
                f"output {number} is {output.dtype}, although all inputs are float64; compute in"
                " the dtype of the inputs",
            )


def require_unchanged(
    who: str, names: Sequence[str], values: Sequence[Array], originals: Sequence[Array]
) -> None:
    """Refuse code that writes into what it was given."""
    for name, value, original in zip(names, values, originals, strict=True):
        if not np.array_equal(value, original):
            raise Finding(
                "unfit", f"{who} wrote into {name}; compute with a copy, or into a new array"
            )


def require_repeatable(first: Sequence[Array], second: Sequence[Array]) -> None:
    """Refuse a function that gives other values when it is called again."""
    if len(first) != len(second):
        raise Finding(
            "unfit",
            f"two calls gave {len(first)} and {len(second)} outputs: it remembers something",
        )
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        if not _same(a, b):
            raise Finding(
                "unfit",
                f"two calls with the same inputs gave different values of output {number}: the"
                " function is random or remembers something. Draw random numbers outside of it,"
                " or call .eval() on a module with Dropout",
            )


def require_same_gradients(
    first: Sequence[Array | None], second: Sequence[Array | None], names: Sequence[str]
) -> None:
    """Refuse a backward pass that gives other gradients when it is run again."""
    for name, a, b in zip(names, first, second, strict=True):
        if (a is None) != (b is None) or (a is not None and b is not None and not _same(a, b)):
            raise Finding(
                "wrong",
                f"two backward passes with the same inputs gave different gradients of {name}: the"
                " backward pass is random, or adds to what an earlier one left behind",
            )


def not_linear(
    point: Point,
    cotangents: list[Array],
    gradients: Sequence[Array | None],
    noises: list[float],
) -> list[str]:
    """Say which gradients are no linear functions of the incoming gradient; note their rounding.

    The incoming gradient is split in two, at random, with zeros in the place of the rest; one half
    is a thousand times as large, and reversed, and lies in memory in another order.
    """
    subject, inputs = point.subject, point.inputs
    natural = natural_size(point.base, point.cotangent)
    found: list[str] = []
    rng = np.random.default_rng([_COTANGENTS, len(inputs)])
    masks = [rng.random(c.shape) < 0.5 for c in cotangents]
    one = vjp(subject, inputs, [c * mask for c, mask in zip(cotangents, masks, strict=True)])
    other = [np.asarray(-1000 * c * ~m, order="F") for c, m in zip(cotangents, masks, strict=True)]
    two = vjp(subject, inputs, other)
    for number, (whole, a, b) in enumerate(zip(gradients, one, two, strict=True)):
        like = [
            x.shape == inputs[number].shape and x.dtype == np.float64
            for x in (whole, a, b)
            if x is not None
        ]
        if whole is None or not all(like):
            continue  # nothing to add up, or named elsewhere
        a, b = (np.zeros(whole.shape) if x is None else x for x in (a, b))
        name, rtol = point.names[number], max(point.settings.rtol, 1e-9)
        slack = 4 * backward_rounding(natural, point.scales[number]) + rtol * max(
            float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in (whole, a, b / 1000)
        )
        finite = np.isfinite(whole)
        sum_of_parts = (a - b / 1000)[finite]
        noises[number] = float(np.abs(sum_of_parts - whole[finite]).max(initial=0.0))
        if not np.allclose(sum_of_parts, whole[finite], rtol=rtol, atol=slack):
            found.append(
                f"the gradient of {name} is no linear function of the incoming gradient: that of a"
                " part of it, and that of the rest, a thousand times as large and negative, do not"
                " add up to that of the whole"
            )
    return found


def _same(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc":
        return True  # which is named elsewhere
    # The last bits may differ with the memory that a call happens to get.
    return np.allclose(a, b, rtol=0, atol=1e-12 * np.abs(a).max(initial=0.0), equal_nan=True)


def aliases(
    gradients: Sequence[Array | None],
    cotangents: Sequence[Array],
    inputs: Sequence[Array],
    names: Sequence[str],
) -> tuple[str, ...]:
    """Say which gradients share memory: no mistake, but a trap for who adds to them in place."""
    others = [*((f"the gradient of {n}", a) for n, a in zip(names, gradients, strict=True))]
    others += [("the incoming gradient", g) for g in cotangents]
    others += [*((name, array) for name, array in zip(names, inputs, strict=True))]
    notes = []
    for number, (name, gradient) in enumerate(zip(names, gradients, strict=True)):
        for other, array in others[number + 1 :]:
            if gradient is not None and array is not None and np.shares_memory(gradient, array):
                notes.append(
                    f"the gradient of {name} shares its memory with {other}: right, as long as"
                    " nobody adds to one of them in place"
                )
                break
    return tuple(notes)


def computed_in_float32(values: Sequence[Array], inputs: Sequence[Array]) -> bool:
    """Tell whether all values are float32 numbers, although the inputs are not."""

    def coarse(arrays: Sequence[Array]) -> bool:
        if any(array.dtype != np.float64 for array in arrays):
            return False  # which is named elsewhere
        flat = as_vector(arrays)
        special = flat == np.round(1024 * flat) / 1024  # as 0 and 1 are, which prove nothing
        return bool(np.any(~special)) and np.array_equal(flat, flat.astype(np.float32))

    return coarse(values) and not coarse(inputs)


def unlike(point: Point, number: int, gradient: Array, outputs: Sequence[Array]) -> str:
    """Say what is wrong with a gradient of another shape or dtype than its input's."""
    name, array = point.names[number], point.inputs[number]
    if gradient.shape != array.shape:
        advice = ""
        if gradient.dtype.kind == "f":
            shapes = [y.shape for y in outputs], [x.shape for x in point.inputs]
            advice = explain_shape(gradient, _numeric(point, number), *shapes)
        return f"the gradient of {name} has shape {gradient.shape}, not {array.shape}" + (
            f"; {advice}" if advice else ""
        )
    if gradient.dtype != np.float64:
        return f"the gradient of {name} is {gradient.dtype}, not float64"
    return ""


def _numeric(point: Point, number: int) -> Array:
    """Return the gradient by differences; NaN where that would be too many."""
    comparison = Comparison(point, number, None)
    if point.inputs[number].size <= FULL:
        comparison.every_entry()
    return comparison.numeric
