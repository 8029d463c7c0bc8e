"""What analytic minus numeric looks like: a term that is missing, or one that is too many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .evidence import Evidence, axis_sets, named

Array = np.ndarray[Any, Any]

# So many more numbers must be explained than a guess has free factors.
_SPARE = 3


def missing_terms(evidence: Evidence) -> Iterator[str]:
    """Yield what the difference is, most telling first; nothing if it has no known form."""
    found = _incoming(evidence) or _input_itself(evidence) or _through_statistics(evidence)
    if found:
        yield found
    if same := _same_along_axes(evidence):
        yield same


def _incoming(evidence: Evidence) -> str:
    """The incoming gradient of an output, of the input's shape, at the wrong entries."""
    wrong, difference = evidence.w, evidence.difference
    if wrong.sum() < _SPARE:
        return ""
    several = len(evidence.cotangents) > 1
    for number, cotangent in enumerate(evidence.cotangents):
        if cotangent.shape != evidence.numeric.shape:
            continue
        c = evidence.everywhere(cotangent)
        where = "" if wrong.all() else " where it is wrong"
        whose = f" of output {number}" if several else ""
        if evidence.leaves((difference + c)[wrong], c[wrong]):
            return (
                f"What is missing{where} is exactly the incoming gradient{whose}. Is the gradient"
                " of a shortcut, or of another path that leaves it unchanged, not added?"
            )
        if evidence.leaves((difference - c)[wrong], c[wrong]):
            return (
                f"What is too much{where} is exactly the incoming gradient{whose}. Is a path that"
                " leaves it unchanged, such as a shortcut, counted twice or not there at all?"
            )
    return ""


def _input_itself(evidence: Evidence) -> str:
    x, difference = evidence.everywhere(evidence.x), evidence.difference
    factor = float(x @ difference) / max(float(x @ x), np.finfo(float).tiny)
    if len(x) > _SPARE and evidence.leaves(difference - factor * x, difference[evidence.w]):
        return (
            f"What is too much is {factor:.6g} × the input itself. Is it weight decay, or the"
            " derivative of a square?"
        )
    return ""


def _through_statistics(evidence: Evidence) -> str:
    """A constant, a multiple of x - mean, or both, in every group that a mean is taken over."""
    for axes in axis_sets(evidence.numeric.shape):
        groups = _groups(evidence, axes)
        for slope, constant, text in (
            (
                False,
                True,
                "the same everywhere along {}. Is a path through a mean over {} left out?",
            ),
            (
                True,
                False,
                "a multiple of x - mean, with the mean over {}. Is a path through the variance"
                " left out, or has it a wrong factor?",
            ),
            (
                True,
                True,
                "a constant plus a multiple of x - mean, with the mean over {}. Are the paths"
                " through the mean and through the variance left out?",
            ),
        ):
            if _fits(evidence, groups, axes, slope, constant):
                return f"The difference, analytic - numeric, is {text.replace('{}', named(axes))}"
    return ""


def _fits(
    evidence: Evidence, groups: Array, axes: tuple[int, ...], slope: bool, constant: bool
) -> bool:
    difference = evidence.difference
    count = np.bincount(groups)
    free = int(slope) + int(constant)
    # Groups of two numbers, or as many as there are factors, are fitted by any line.
    if (count > free).sum() == 0 or np.maximum(count - free, 0).sum() < _SPARE:
        return False
    if constant and not slope and _trivial(evidence, groups):
        return False
    centred = evidence.everywhere(evidence.x - evidence.x.mean(axes, keepdims=True))
    told = (count > free)[groups]

    def mean(values: Array) -> Array:
        return (np.bincount(groups, values) / np.maximum(count, 1))[groups]

    rest = difference - mean(difference) if constant else difference
    if slope:
        if np.abs(rest[told]).max() <= 100 * evidence.tolerance:
            return False
        u = centred - mean(centred) if constant else centred
        squares = mean(u * u)
        factor = np.divide(mean(u * rest), squares, out=np.zeros(len(u)), where=squares > 0)
        rest = rest - factor * u
    wrong = evidence.w & told
    size = float(np.abs(evidence.a).max(initial=0.0))
    return bool(wrong.sum() >= _SPARE) and evidence.leaves(rest[told], difference[wrong], size)


def _trivial(evidence: Evidence, groups: Array) -> bool:
    """Whether the numeric gradient itself is the same throughout every group."""
    spread = _spread(evidence.n, groups)
    return bool((spread <= 100 * evidence.tolerance).all())


def _same_along_axes(evidence: Evidence) -> str:
    """The analytic gradient is constant along axes where the numeric one is not."""
    size = float(np.abs(evidence.a).max(initial=0.0))
    for axes in axis_sets(evidence.numeric.shape):
        groups = _groups(evidence, axes)
        count = np.bincount(groups)
        flat = (_spread(evidence.a, groups) <= 1e-12 * size).all()
        if size and flat and np.maximum(count - 1, 0).sum() >= _SPARE:
            if _trivial(evidence, groups):
                return ""
            return (
                f"The analytic gradient is the same everywhere along {named(axes)}; the numeric"
                f" one is not. Is it summed or averaged over {named(axes)}, and then broadcast?"
            )
    return ""


def _spread(values: Array, groups: Array) -> Array:
    low = np.full(groups.max(initial=-1) + 1, np.inf)
    high = -low
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    return np.where(high > low, high - low, 0.0)


def _groups(evidence: Evidence, axes: tuple[int, ...]) -> Array:
    """Number the entries so that those which differ only in `axes` have the same number."""
    shape = evidence.numeric.shape
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    if not kept:
        return np.zeros(len(evidence.at), np.intp)
    flat = np.ravel_multi_index(
        [evidence.indices[axis] for axis in kept], [shape[axis] for axis in kept]
    )
    return np.unique(flat, return_inverse=True)[1]
