"""A kernel's source against its plain version, and wrong sources, which must be noticed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minires.devices.cuda.kernel import Kernel

from .faults import Fault
from .launch import Array, run


def check(
    kernel: Kernel,
    grid: int | tuple[int, ...],
    args: Sequence[Any],
    T: Any,
    rtol: float = 0,
    atol: float = 0,
    sanitize: str | None = None,
    memory: dict[str, Array] | None = None,
) -> None:
    """Assert that source and plain version leave the same in all arrays.

    Both start from what the arrays hold, and the arrays hold it again afterwards. Equal to the
    last bit unless a tolerance is given; NaN equals NaN, so fill outputs with NaN and elements
    that neither version writes stay so.

    Raises
    ------
    AssertionError
        If they differ.
    Fault
        As of `run`.
    """
    named = zip([p.name for p in kernel.parameters], args, strict=True)
    arrays = {name: a for name, a in named if isinstance(a, np.ndarray) and a.ndim}
    arrays |= memory or {}
    before = {name: array.copy() for name, array in arrays.items()}
    try:
        run(kernel, grid, args, T, sanitize, memory)
        found = {name: array.copy() for name, array in arrays.items()}
    finally:
        _restore(arrays, before)
    try:
        kernel.plain(*args)
        for name, array in arrays.items():
            told = f"kernel {kernel.name}, array {name!r}: the source (x), the plain version (y)"
            np.testing.assert_allclose(found[name], array, rtol, atol, err_msg=told)
    finally:
        _restore(arrays, before)


def _restore(arrays: dict[str, Array], before: dict[str, Array]) -> None:
    for name, array in arrays.items():
        if array.flags.writeable:
            array[...] = before[name]


def mutated(kernel: Kernel, old: str, new: str) -> Kernel:
    """Return the kernel with the first `old` of its source replaced by `new`."""
    assert old in kernel.source, f"kernel {kernel.name} has no {old!r}"
    return Kernel(kernel.source.replace(old, new, 1), kernel.plain, kernel.block, kernel.types)


def mutants(kernel: Kernel, changes: Iterable[tuple[str, str]]) -> list[Kernel]:
    """Return one mutant for each change (old, new)."""
    return [mutated(kernel, old, new) for old, new in changes]


def caught(mutant: Kernel, cases: Iterable[tuple[Any, ...]], **options: Any) -> bool:
    """Say whether one of the cases (grid, args, T) shows that the mutant is wrong.

    `options` are those of `check`. A mutant that does not compile is an error, not caught.
    """
    for grid, args, T in cases:
        try:
            check(mutant, grid, args, T, **options)
        except (AssertionError, Fault):
            return True
    return False


def unnoticed(
    kernel: Kernel,
    mistakes: Iterable[tuple[str, str]],
    cases: Iterable[tuple[Any, ...]],
    **options: Any,
) -> list[tuple[str, str]]:
    """Return the changes (old, new) whose mutants no case shows to be wrong."""
    cases = list(cases)
    for grid, args, T in cases:
        check(kernel, grid, args, T, **options)
    changes = list(mistakes)
    pairs = zip(changes, mutants(kernel, changes), strict=True)
    return [change for change, mutant in pairs if not caught(mutant, cases, **options)]
