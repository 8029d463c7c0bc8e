"""Mistakes with the incoming gradient: a wrong one went through the right derivative.

The derivative of every output by an entry is known from differences, so the gradient that any
incoming one would have led to can be computed, and compared with the analytic gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from .evidence import Evidence, Guess, axis_sets, named
from .rearrangements import rearrangements

Array = np.ndarray[Any, Any]


def incoming(evidence: Evidence) -> Iterator[Guess]:
    """Guess that the gradient is right for an incoming gradient other than the one given."""
    cotangents = list(evidence.cotangents)
    several = len(cotangents) > 1
    if several:
        ones = [np.ones(cotangent.shape) for cotangent in cotangents]
        yield _guess(evidence, ones, *_ONES)
    for number, cotangent in enumerate(cotangents):
        whose = f" of output {number}" if several else ""
        yield from _unchanged(evidence, cotangent, whose)
        for wrong, seen, cause in chain(_others(cotangents, number), _variants(cotangent)):
            assumed = [*cotangents[:number], wrong, *cotangents[number + 1 :]]
            yield _guess(evidence, assumed, seen.replace("{}", whose), cause)


_ONES = ("as if the incoming gradient{} were all ones", "Is it ignored?")


def _variants(c: Array) -> Iterator[tuple[Array, str, str]]:
    yield np.ones(c.shape), *_ONES
    for axis, size in enumerate(c.shape):
        if size < 2:
            continue
        for place, name in ((-1, "last"), (0, "first")):
            at: tuple[slice | int, ...] = (*[slice(None)] * axis, place)
            only = np.zeros(c.shape)
            only[at] = c[at]
            yield (
                only,
                f"as if only the {name} entry along axis {axis} of the output{{}} counted",
                f"Is it assigned where it should be added up, or is a sum over axis {axis}"
                " missing?",
            )
    for axes in (None, *range(c.ndim)):
        if c.size > 1 and (axes is None or c.shape[axes] > 1):
            along = "" if axes is None else f" over axis {axes}"
            for name, reduced in (("mean", np.mean), ("sum", np.sum)):
                yield (
                    np.broadcast_to(reduced(c, axis=axes, keepdims=True), c.shape),
                    f"as if every number of the incoming gradient{{}} were their {name}{along}",
                    "Is it reduced too early?",
                )
    yield np.abs(c), "as if the incoming gradient{} had lost its signs", "Is there an abs?"
    yield (
        np.maximum(c, 0),
        "as if the negative numbers of the incoming gradient{} were 0",
        "Is a ReLU's mask taken from the gradient, not from the input?",
    )
    for array, how, cause in rearrangements(c, edge=0.0):
        yield array, f"as if the incoming gradient{{}} were the right one, {how}", cause


def _unchanged(evidence: Evidence, c: Array, whose: str) -> Iterator[Guess]:
    """The incoming gradient without the function's derivative, summed if need be."""
    shape = evidence.numeric.shape
    left_out = "Is the function's own derivative left out?"
    if c.shape == shape:
        yield Guess(
            f"The analytic gradient is the incoming gradient{whose} itself, unchanged. {left_out}",
            evidence.everywhere(c),
        )
        yield Guess(
            f"The analytic gradient is the incoming gradient{whose} where that is positive, and 0"
            " elsewhere. Is a ReLU's mask taken from the gradient, not from the input?",
            evidence.everywhere(np.maximum(c, 0)),
        )
    for axes in axis_sets(c.shape):
        total = c.sum(axes)
        if total.shape == shape:
            yield Guess(
                f"The analytic gradient is just the incoming gradient{whose}, summed over"
                f" {named(axes)}. {left_out}",
                evidence.everywhere(total),
            )


def _others(cotangents: list[Array], number: int) -> Iterator[tuple[Array, str, str]]:
    c = cotangents[number]
    if len(cotangents) == 1:
        return
    yield (
        np.zeros(c.shape),
        "as if the incoming gradient{} were 0",
        "Is a contribution overwritten, not added?",
    )
    for other, value in enumerate(cotangents):
        if other != number and value.shape == c.shape:
            yield (
                value,
                f"as if the incoming gradient{{}} were that of output {other}",
                "Are the outputs mixed up?",
            )


def _guess(evidence: Evidence, assumed: list[Array], seen: str, cause: str) -> Guess:
    d = np.concatenate([np.ravel(array) for array in assumed])
    sentence = f"The analytic gradient is {seen.replace('{}', '')}. {cause}"
    return Guess(sentence, evidence.everywhere(_led_to(evidence, d)), _size(evidence, d))


def _led_to(evidence: Evidence, d: Array) -> Array:
    """Return the gradient, (S), that the incoming gradient `d`, (M,), leads to; NaN: not known."""
    values = np.full(evidence.numeric.shape, np.nan)
    values.flat[evidence.entries] = evidence.slopes @ d
    return values


def _size(evidence: Evidence, d: Array) -> float:
    return float((evidence.steepness @ np.abs(d)).max(initial=0.0))


def transposed_derivative(evidence: Evidence) -> Iterator[Guess]:
    """Guess that the function was applied to the incoming gradient in place of its transpose."""
    c = np.concatenate([np.ravel(array) for array in evidence.cotangents])
    everything = np.array_equal(evidence.entries, np.arange(evidence.numeric.size))
    if everything and len(c) == evidence.numeric.size:
        yield Guess(
            "The analytic gradient is what the function itself, not its transpose, makes of the"
            " incoming gradient. Is a transpose missing (g @ W in place of g @ W.T), or a kernel"
            " not turned?",
            evidence.everywhere((evidence.slopes.T @ c).reshape(evidence.numeric.shape)),
            float((evidence.steepness.T @ np.abs(c)).max()),
            least=3,
        )
    first, shape = evidence.cotangents[0], evidence.numeric.shape
    if len(evidence.cotangents) == 1 and first.ndim == len(shape) >= 3:
        # With its borders alike, a convolution by the turned kernel is the turned convolution of
        # the turned image.
        for axes in ((-2, -1), (-2,), (-1,)):
            d = np.flip(first, axes).ravel()
            yield Guess(
                "The analytic gradient is as if the kernel were turned"
                f" ({named([len(shape) + axis for axis in axes])} reversed). Is it flipped once too"
                " often, or not at all?",
                evidence.everywhere(np.flip(_led_to(evidence, d), axes)),
                _size(evidence, d),
                least=3,
            )


def ones_give_zero(evidence: Evidence) -> bool:
    """Whether an incoming gradient of all ones would lead to a gradient of zeros."""
    sizes = evidence.steepness.sum(1)
    sums = np.abs(evidence.slopes.sum(1))
    return bool(len(sums) > 1 and (sums <= 10 * evidence.rtol * sizes.max()).all() and sizes.max())
