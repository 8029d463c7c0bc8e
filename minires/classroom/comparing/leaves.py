"""What a function returned, taken apart into named arrays, and whether two such agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..assignment import Function
from ..running.child import leaves

__all__ = ["NotAsDescribedError", "difference", "leaves_of"]

# Of the largest value that should be there. What computes in float32 may be as far off as that.
TOLERANCE = {"float64": 1e-7, "float32": 1e-4}
_NOTHING = 1e-12


class NotAsDescribedError(ValueError):
    """A result that is not what the handout describes."""


def leaves_of(function: Function, result: Any) -> dict[str, Any]:
    """Take a result apart: arrays and numbers by names such as ``dw`` or ``cache.x_hat``.

    Raises
    ------
    NotAsDescribedError
        If it is not as many values as the function has outputs, or a view made an array of what
        are no numbers.

    Examples
    --------
    >>> function = Function(name="f", outputs=("y", "cache"))
    >>> sorted(leaves_of(function, (1.0, {"mask": [True, False]})))
    ['cache.mask[0]', 'cache.mask[1]', 'y']
    """
    named = dict(_named(function, result))
    for name, leaf in named.items():
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "biufc":
            raise NotAsDescribedError(f"{name} should be of numbers alone")
    return named


def _named(function: Function, result: Any) -> Iterator[tuple[str, Any]]:
    names = function.outputs
    if len(names) == 1:
        yield from leaves(names[0], result)
        return
    if not isinstance(result, tuple | list) or len(result) != len(names):
        found = f"{len(result)} values" if isinstance(result, tuple | list) else _kind(result)
        raise NotAsDescribedError(
            f"{function.name} should return {len(names)} values, {', '.join(names)}; it returned"
            f" {found}"
        )
    for name, part in zip(names, result, strict=True):
        yield from leaves(name, part)


class Difference(NamedTuple):
    """What is not as it should be.

    Attributes
    ----------
    says : str
    leaf : str
        Whose form or values it is of; empty if it is nothing of the kind.
    """

    says: str
    leaf: str = ""


def difference(
    found: Mapping[str, Any], expected: Mapping[str, Any], optional: tuple[str, ...] = ()
) -> Difference | None:
    """Compare leaves with those that should be there; return what differs first.

    Shapes, dtypes and finiteness are looked at everywhere before any value is.

    Parameters
    ----------
    found, expected : dict of leaves
    optional : tuple of str
        Leaves that may be missing, and are not looked at.
    """
    wanted = [name for name in expected if name not in optional]
    for see in (_other_form, _other_values):
        for name in wanted:
            if name not in found:
                return Difference(_no_leaf(name, found, expected[name]))
            if told := see(name, found[name], expected[name]):
                return Difference(told, name)
    return None


def _no_leaf(name: str, found: Mapping[str, Any], expected: Any) -> str:
    """Say that there is nothing of a name, or only parts of it."""
    should = "an array" if isinstance(expected, np.ndarray) else f"{expected!r}"
    for inside, kind in (("[", "a list or tuple"), (".", "a dict")):
        if any(each.startswith(f"{name}{inside}") for each in found):
            return f"{name} should be {should}, it is {kind}"
    return f"{name} is missing"


def first_deviation(
    found: Mapping[str, Any], expected: Mapping[str, Any], order: tuple[str, ...]
) -> str | None:
    """Return the first intermediate that is there and is not as it should be."""
    for name in order:
        if name in found and name in expected and differs(name, found[name], expected[name]):
            return name
    return None


def differs(name: str, found: Any, expected: Any) -> bool:
    """Return whether a leaf is another one than it should be."""
    return bool(_other_form(name, found, expected) or _other_values(name, found, expected))


def _other_form(name: str, found: Any, expected: Any) -> str:
    if isinstance(expected, str | None.__class__) or isinstance(found, str | None.__class__):
        # An array would compare element by element.
        if type(found) is type(expected) and found == expected:
            return ""
        return f"{name} should be {expected!r}, it is {_kind(found)}"
    a, b = np.asarray(found), np.asarray(expected)
    if a.shape != b.shape:
        return f"{name} should have the shape {b.shape}, it has {a.shape}"
    if a.dtype.kind == "c" or (b.dtype.kind == "f" and a.dtype.kind != "f"):
        numbers = "floating-point" if b.dtype.kind == "f" else "whole"
        return f"{name} should be {numbers} numbers, not {a.dtype}"
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        bad = np.argwhere(~np.isfinite(a))[0]
        return f"{name} is not finite: {a[tuple(bad)]} at {_place(bad)}"
    return ""


def _other_values(name: str, found: Any, expected: Any) -> str:
    if isinstance(expected, str | None.__class__):
        return ""
    a, b = np.asarray(found), np.asarray(expected)
    with np.errstate(over="ignore"):  # numbers of students may be of any size
        off = np.abs(a.astype(float) - b.astype(float))
    bad = off > tolerance(a, b)
    if not bad.any():
        return ""
    coarse = f"; it is {a.dtype}, too coarse here" if a.dtype == np.float16 else ""
    if off.shape == ():
        return f"{name} should be {b:.6g}, it is {a:.6g}{coarse}"
    worst = np.unravel_index(int(off.argmax()), off.shape)
    return (
        f"{name} differs from what it should be in {int(bad.sum())} of {off.size} values; most at"
        f" {_place(worst)}: {a[worst]:.6g}, which should be {b[worst]:.6g}{coarse}"
    )


def tolerance(found: np.ndarray, expected: np.ndarray) -> float:
    """Return how far off a value may be."""
    largest = float(np.abs(expected.astype(float)).max(initial=0.0))
    return max(TOLERANCE[precision(found)] * largest, _NOTHING)


def precision(array: np.ndarray) -> str:
    """Return which of float64 and float32 an array was computed in."""
    return "float32" if array.dtype.kind == "f" and array.dtype.itemsize < 8 else "float64"


def _place(index: Any) -> str:
    return f"({', '.join(str(int(i)) for i in index)})"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    return f"{value!r}" if isinstance(value, str) else f"a {type(value).__name__}"
