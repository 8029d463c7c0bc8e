"""Gradients that are wrong by a factor: one for all entries, or one per entry of an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .evidence import Evidence, Guess, axis_sets, distinct, named

Array = np.ndarray[Any, Any]

# Of a second mistake beside a first one: so many different numbers must bear it out.
_BESIDES = 6
# Factors nearer to 1 than that are no forgotten factors.
_NEAR = 1e-3
_IGNORED = "The analytic gradient is as if the incoming gradient were 1. Is it ignored?"


def scaled(evidence: Evidence) -> Iterator[Guess]:
    """Guess that analytic = ratio × numeric."""
    ratio = _ratio(evidence.a, evidence.n)
    if not ratio:
        return
    told = _recognised(ratio, evidence) or _ignored_too(ratio, evidence)
    enough = distinct(evidence.n, 100 * evidence.tolerance) >= 3
    if told or enough:
        yield Guess(told or _unnamed(ratio, evidence.rtol), ratio * evidence.n, least=1)


def scaled_besides(evidence: Evidence, guesses: Iterable[Guess]) -> Iterator[Guess]:
    """Guess that beside another mistake a constant factor is wrong."""
    for guess in guesses:
        known = np.isfinite(guess.values)
        values = guess.values[known]
        ratio = _ratio(evidence.a[known], values)
        if ratio and distinct(values, 100 * evidence.tolerance) >= _BESIDES:
            told = _recognised(ratio, evidence) or _unnamed(ratio, evidence.rtol)
            yield Guess(
                _besides(guess.sentence, told),
                ratio * guess.values,
                abs(ratio) * guess.size,
                least=_BESIDES,
            )


def _besides(one: str, other: str) -> str:
    return f"{one} Besides, {other[0].lower()}{other[1:]}"


def scaled_by_the_input(evidence: Evidence) -> Iterator[Guess]:
    """Guess that a power of the input is wrong by one."""
    x = evidence.everywhere(evidence.x)
    inverse = np.divide(1.0, x, out=np.full(len(x), np.nan), where=x != 0)
    for factor, how in ((x, "×"), (inverse, "/")):
        yield Guess(
            f"analytic = numeric {how} the input, entry by entry. Is a power of the input wrong?",
            evidence.n * factor,
            least=3,
        )


def scaled_per_axis(evidence: Evidence) -> Iterator[Guess]:
    """Guess that analytic = numeric × a factor that depends on the place along one axis."""
    for axis, size in enumerate(evidence.numeric.shape):
        place = evidence.indices[axis]
        products = np.bincount(place, evidence.a * evidence.n, size)
        squares = np.bincount(place, evidence.n**2, size)
        factors = np.divide(products, squares, out=np.ones(size), where=squares > 0)
        strong = np.abs(evidence.n) > 100 * evidence.tolerance
        per_place = np.bincount(place[strong], minlength=size)
        # A place with one entry only has a factor whatever the mistake.
        told = per_place >= 2
        if told.sum() < 2 or (per_place[told] - 1).sum() < 4:
            continue
        seen = factors[per_place > 0]
        some = ", ".join(_shown(factor, 4) for factor in seen[:4])
        some += ", ..." if len(seen) > 4 else ""
        near = np.abs(seen - 1).max() < _NEAR
        cause = (
            "Is an eps left out, or at the wrong place?"
            if near
            else f"Is a factor per entry of axis {axis} missing, such as a channel's scale or"
            " 1 / std?"
        )
        yield Guess(
            f"analytic = numeric times a factor that depends on the place along axis {axis}"
            f" alone ({some}). {cause}",
            np.where(told[place], factors[place] * evidence.n, np.nan),
            least=4,
        )


def where_wrong(evidence: Evidence) -> str:
    """Say what factor all the wrong entries share; "" if none."""
    wrong = evidence.w
    a, n = evidence.a[wrong], evidence.n[wrong]
    if distinct(n, 100 * evidence.tolerance) < 3:
        return ""
    ratio = _ratio(a, n)
    if not evidence.leaves(a - ratio * n, n - ratio * n, float(np.abs(a).max())):
        return ""
    return "analytic is 0" if abs(ratio) < evidence.rtol else f"analytic = {_times(ratio)}"


def _shown(factor: float, digits: int) -> str:
    """Write a factor with so many digits; one that would read 1, by how far it is from 1."""
    text = f"{factor:.{digits}g}"
    beside = abs(factor - 1)
    # Differences know no factor better than that.
    if text != "1" or beside < 1e-9:
        return text
    return f"1 {'+' if factor > 1 else '-'} {beside:.1g}"


def _times(factor: float) -> str:
    text = _shown(factor, 6)
    return f"({text}) × numeric" if " " in text else f"{text} × numeric"


def _ratio(a: Array, n: Array) -> float:
    squares = float(n @ n)
    return float(a @ n) / squares if squares else 0.0


def _recognised(ratio: float, evidence: Evidence) -> str:
    """Say where a ratio may come from: a sign, a factor 2, or the sizes of axes."""

    def is_(value: float) -> bool:
        return abs(abs(ratio) - value) <= 10 * evidence.rtol * value

    incoming = [float(number) for array in evidence.cotangents for number in array.flat]
    if len(incoming) == 1 and is_(1 / abs(incoming[0])) and ratio * incoming[0] > 0:
        return _IGNORED
    if is_(1) and ratio < 0:
        return (
            "The sign is wrong everywhere: analytic = -numeric. Is a minus sign lost or too many?"
        )
    sign = "-" if ratio < 0 else ""
    also = "" if ratio > 0 else " And is the sign right?"
    if is_(2):
        return f"analytic = {sign}2 × numeric everywhere. Is something counted twice?{also}"
    for number, what in _sizes(evidence).items():
        seen, cause = _of_size(number, is_)
        if seen:
            if is_(0.5):
                cause += " Or is a factor 2 missing?"
            because = f"and {number} is the size of {what}."
            return f"analytic = {sign}{seen} × numeric everywhere, {because} {cause}{also}"
    if is_(0.5):
        return f"analytic = {sign}1/2 × numeric everywhere. Is a factor 2 missing?{also}"
    return ""


def _ignored_too(ratio: float, evidence: Evidence) -> str:
    """Say where a ratio may come from if the one incoming number is ignored besides."""
    sizes = [array.size for array in evidence.cotangents]
    if sizes != [1]:
        return ""
    told = _recognised(ratio * float(evidence.cotangents[0].item()), evidence)
    return _besides(_IGNORED, told) if told else ""


def _unnamed(ratio: float, rtol: float) -> str:
    """Write a ratio without a known origin; its inverse may be a whole number."""
    inverse = round(1 / abs(ratio)) if abs(ratio) > 1e-4 else 0
    sign = "-" if ratio < 0 else ""
    if inverse > 1 and abs(abs(ratio) * inverse - 1) <= 10 * rtol:
        return (
            f"analytic = {sign}1/{inverse} × numeric everywhere. Is it an average over {inverse}"
            " where a sum belongs?"
        )
    return f"analytic = {_times(ratio)} everywhere. Is a constant factor wrong or missing?"


def _of_size(number: int, is_: Callable[[float], bool]) -> tuple[str, str]:
    """Say how a ratio follows from the size of an axis: the ratio, and what may be the cause."""
    root = math.sqrt(number)
    scale = f"Is a scale of √{number} forgotten, or applied twice?"
    known = [
        (number, f"{number}", "Is something summed that should be averaged?"),
        (1 / number, f"1/{number}", "Is it an average where a sum belongs?"),
        (
            number / (number - 1),
            f"{number}/{number - 1}",
            f"Is it divided by {number - 1} instead of {number}?",
        ),
        (
            1 - 1 / number,
            f"{number - 1}/{number}",
            f"Is it divided by {number} instead of {number - 1}?",
        ),
        *(
            []
            if root.is_integer()
            else [(root, f"√{number}", scale), (1 / root, f"1/√{number}", scale)]
        ),
    ]
    return next(((seen, cause) for value, seen, cause in known if is_(value)), ("", ""))


def _sizes(evidence: Evidence) -> dict[int, str]:
    """Name the sizes of axes, and of axes together, of the input and of the outputs."""
    owners = evidence.owners or _input_and_outputs(evidence)
    single: dict[int, list[str]] = {}
    several: dict[int, str] = {}
    for owner, shape in owners:
        for axis, size in enumerate(shape):
            if size > 1:
                single.setdefault(size, []).append(f"axis {axis} of {owner}")
        for axes in reversed(axis_sets(shape, least=2)):
            size = math.prod(shape[axis] for axis in axes)
            several.setdefault(size, f"{named(axes)} of {owner} together")
    return several | {size: " and of ".join(axes[:3]) for size, axes in sorted(single.items())}


def _input_and_outputs(evidence: Evidence) -> list[tuple[str, tuple[int, ...]]]:
    one = len(evidence.cotangents) == 1
    outputs = [
        ("the output" if one else f"output {number}", cotangent.shape)
        for number, cotangent in enumerate(evidence.cotangents)
    ]
    return [("the input", evidence.numeric.shape), *outputs]
