"""What a wrong array looks like beside the right one, where no known mistake is like it.

The patterns are those of the gradient checker. What holds of all numbers is said, and no cause: why
an array is twice what it should be, its author knows better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations, islice
from typing import Any

import numpy as np

from minires.checking.patterns.evidence import Evidence, Guess, axis_sets, named
from minires.checking.patterns.missing_terms import missing_terms
from minires.checking.patterns.ratios import scaled, scaled_by_the_input, scaled_per_axis
from minires.checking.patterns.rearrangements import rearranged, same_values
from minires.checking.patterns.regions import regions
from minires.checking.patterns.shapes import explain_shape

from ..running.child import leaves
from .leaves import TOLERANCE, precision, tolerance

__all__ = ["observations"]

Array = np.ndarray[Any, Any]

_MOST = 2
# What students return may have any shape, and there are 2**axes sets of axes.
_MOST_AXES = 6
_MOST_VALUES = 2**18
# Of the arguments; a cache may hold many.
_MOST_ARRAYS = 12


def observations(name: str, found: Any, expected: Any, call: Sequence[Any]) -> list[str]:
    """Say what is true of all numbers of a wrong array, beside those of the right one.

    Parameters
    ----------
    name : str
        What the array is called.
    found, expected : array or number
    call : sequence
        The arguments that the function was called with.

    Returns
    -------
    list of str
        A few sentences; empty if nothing simple holds.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.array([[1.0, -2.5], [0.5, 3.0], [2.0, 4.5]])
    >>> observations("db", g.mean(0), g.sum(0), [g])
    ['db = 1/3 × what it should be everywhere, and 3 is the size of axis 0 of argument 1.']
    >>> observations("db", g[-1], g.sum(0), [g])
    ['db is as if only the last entry along axis 0 of argument 1 counted.']
    >>> observations("db", g, g.sum(0), [g])
    ['Summed over axis 0 it would be right.']
    """
    a, n = np.asarray(found), np.asarray(expected)
    telling = a.dtype.kind in "fiub" and n.dtype.kind == "f" and not _few_whole_numbers(n)
    if not telling or max(a.ndim, n.ndim) > _MOST_AXES or max(a.size, n.size) > _MOST_VALUES:
        return []
    arrays = _arrays(call)
    told = _told(name, a, n, arrays) if a.shape == n.shape else _of_its_shape(a, n, arrays)
    return list(islice(filter(None, dict.fromkeys(told)), _MOST))


def _few_whole_numbers(n: Array) -> bool:
    """Whether a factor between these and others may well be chance."""
    return len(np.unique(np.abs(n[n != 0]))) < 4 and bool((n == np.round(n)).all())


def _arrays(call: Sequence[Any]) -> dict[str, Array]:
    """Return the arrays of numbers among the arguments, by what they are called here."""
    named_ = chain.from_iterable(leaves(f"argument {k + 1}", each) for k, each in enumerate(call))
    arrays = {name: leaf for name, leaf in named_ if isinstance(leaf, np.ndarray)}
    floats = ((name, leaf) for name, leaf in arrays.items() if leaf.dtype.kind == "f" and leaf.ndim)
    return {name: leaf.astype(float) for name, leaf in islice(floats, _MOST_ARRAYS)}


def _of_its_shape(a: Array, n: Array, arrays: Mapping[str, Array]) -> Iterator[str]:
    shapes = [array.shape for array in arrays.values()]
    told = explain_shape(a.astype(float), n.astype(float), shapes).partition(":")[0]
    names = list(arrays)
    told = re.sub(r"\boutput (\d+)", lambda number: names[int(number[1])], told)
    told = re.sub(r"the output\b", lambda _: names[0], told)
    yield f"{told[0].upper()}{told[1:]}." if told else ""


def _told(name: str, a: Array, n: Array, arrays: Mapping[str, Array]) -> Iterator[str]:
    evidence = Evidence(
        analytic=a.astype(float),
        numeric=n.astype(float),
        wrong=np.abs(a.astype(float) - n) > tolerance(a, n),
        x=np.zeros(n.shape),
        cotangents=(),
        entries=np.arange(0),
        slopes=np.zeros((0, 0)),
        rtol=TOLERANCE[precision(a)],
        owners=[*((each, array.shape) for each, array in arrays.items()), (name, n.shape)],
    )
    if np.abs(a).max() <= 1e-12 * np.abs(n).max():
        yield f"{name} is 0 everywhere{' but for rounding' if a.any() else ''}."
        return
    guesses = chain(scaled(evidence), rearranged(evidence), _of_arguments(evidence, arrays))
    if whole := list(evidence.supported(guesses)):
        yield from (_reworded(each, name) for each in whole)
        return
    if told := same_values(evidence):
        yield _reworded(told, name)
        return
    # What is said of an argument of the same shape, such as the gradient that comes in.
    beside = {each: array for each, array in arrays.items() if array.shape == n.shape}
    for each, array in beside.items():
        with_it = replace(evidence, x=array, cotangents=[array])
        for told in evidence.supported(scaled_by_the_input(with_it)):
            yield _reworded(told, name, each)
    factors = list(evidence.supported(scaled_per_axis(evidence)))
    for each, array in (beside or {"": evidence.x}).items():
        with_it = replace(evidence, x=array, cotangents=[array] if each else ())
        places = regions(with_it) if evidence.wrong.sum() > 1 else ()
        for told in (*places, *(factors or missing_terms(with_it))):
            yield _reworded(told, name, each)


def _of_arguments(evidence: Evidence, arrays: Mapping[str, Array]) -> Iterator[Guess]:
    """Guess that an argument was returned, or that of a sum over one only a part was taken."""
    shape = evidence.numeric.shape
    for name, array in arrays.items():
        for axes in ((), *axis_sets(array.shape)):
            total = array.sum(axes)
            if total.shape == shape:
                summed = f", summed over {named(axes)}" if axes else ""
                yield Guess(f"The analytic gradient is {name}{summed}.", evidence.everywhere(total))
    alike = ((p, q) for p, q in combinations(arrays, 2) if arrays[p].shape == arrays[q].shape)
    products = {f"{p} × {q}": arrays[p] * arrays[q] for p, q in alike}
    for name, array in (*arrays.items(), *products.items()):
        for axes in axis_sets(array.shape):
            total = array.sum(axes)
            if total.shape != shape or not _close(total, evidence):
                continue
            for axis in axes:
                for place, which in ((-1, "last"), (0, "first")):
                    kept = array.take([place], axis).sum(axes)
                    yield Guess(
                        f"The analytic gradient is as if only the {which} entry along axis {axis}"
                        f" of {name} counted.",
                        evidence.everywhere(kept),
                    )


def _close(total: Array, evidence: Evidence) -> bool:
    return bool((np.abs(total - evidence.numeric) <= evidence.tolerance).all())


def _reworded(told: str, name: str, argument: str = "") -> str:
    """Say what was seen of a gradient of any array, and leave out the question of its cause."""
    seen = [each for each in re.split(r"(?<=[.?]) (?=[A-Z])", told) if not each.endswith("?")]
    text = " ".join(seen)
    for words, ours in (
        (r"[Tt]he analytic gradient|\banalytic\b", name),
        (r"the numeric one|\bnumeric\b", "what it should be"),
        (r"the incoming gradient|the input", argument),
        (r"\bx - mean, with the mean", f"{argument} less its mean"),
    ):
        text = re.sub(words, ours.replace("\\", r"\\"), text)
    return text
