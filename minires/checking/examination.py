"""One examination: first whether the function can be checked at all, then entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .numerical import Settings, compare
from .report import Finding, InputReport
from .subjects import Subject

Array = np.ndarray[Any, Any]


def examine(
    subject: Subject, inputs: Sequence[Array], names: Sequence[str], settings: Settings
) -> tuple[tuple[InputReport, ...], list[Array]]:
    """Compare all gradients of a subject; return a row per input, and the cotangents drawn.

    Raises
    ------
    Finding
        If there is nothing to compare: the function is random, writes into its inputs, has no
        finite float64 outputs, or its gradients have another shape or dtype than the inputs.
    """
    work = [array.copy(order="K") for array in inputs]
    for name, array in zip(names, inputs, strict=True):
        _require_finite(name, array)
    first = [output.copy() for output in subject.forward(work)]
    _require_unchanged("the forward pass", names, work, inputs)
    for number, output in enumerate(first):
        if output.dtype != np.float64:
            raise Finding(
                "unfit",
                f"output {number} is {output.dtype}, although all inputs are float64; compute in"
                " the dtype of the inputs",
            )
        _require_finite(f"output {number}", output)
    _require_repeatable(first, subject.forward(work))

    rng = np.random.default_rng(settings.seed)
    cotangents = [_away_from_0(rng.standard_normal(output.shape)) for output in first]
    given = [cotangent.copy() for cotangent in cotangents]
    gradients = subject.vjp(work, given)
    _require_unchanged("the backward pass", names, work, inputs)
    for incoming, cotangent in zip(given, cotangents, strict=True):
        _require_unchanged("the backward pass", ["its incoming gradient"], [incoming], [cotangent])

    rows = []
    for name, array, gradient in zip(names, work, gradients, strict=True):
        note = ""
        if gradient is None:
            gradient = np.zeros(array.shape)
            note = "no gradient reached it; was the graph cut, by detach or NumPy?"
        _require_like(name, gradient, array)
        rows.append(
            compare(
                name,
                array,
                gradient.copy(),
                lambda: _as_vector(subject.forward(work)),
                _as_vector(cotangents),
                settings,
                note,
            )
        )
    return tuple(rows), cotangents


def _away_from_0(drawn: Any) -> Array:
    """Widen random numbers: an output that counts for almost nothing would not be checked."""
    return np.asarray(drawn + np.copysign(0.5, drawn))


def _as_vector(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0), *map(np.ravel, arrays)])


def _require_finite(name: str, array: Array) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = tuple(map(int, bad[0]))
        raise Finding(
            "unfit", f"{name} is {array[index]} at {index}; there is no gradient to compare there"
        )


def _require_unchanged(
    who: str, names: Sequence[str], values: Sequence[Array], originals: Sequence[Array]
) -> None:
    for name, value, original in zip(names, values, originals, strict=True):
        if not np.array_equal(value, original):
            raise Finding(
                "unfit", f"{who} wrote into {name}; compute with a copy, or into a new array"
            )


def _require_repeatable(first: Sequence[Array], second: Sequence[Array]) -> None:
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        # The last bits may differ with the memory that a call happens to get.
        tiny = 1e-12 * np.abs(a).max(initial=0.0)
        if a.shape != b.shape or not (np.abs(a - b) <= tiny).all():
            raise Finding(
                "unfit",
                f"two calls with the same inputs gave different values of output {number}: the"
                " function is random or remembers something. Draw random numbers outside of it,"
                " or call .eval() on a module with Dropout",
            )


def _require_like(name: str, gradient: Array, array: Array) -> None:
    if gradient.shape != array.shape:
        raise Finding(
            "wrong", f"the gradient of {name} has shape {gradient.shape}, not {array.shape}"
        )
    if gradient.dtype != np.float64:
        raise Finding("wrong", f"the gradient of {name} is {gradient.dtype}, not float64")
