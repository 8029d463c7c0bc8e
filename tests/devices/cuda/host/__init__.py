"""Kernels on the host: their CUDA source, compiled by g++, checked, and run on NumPy arrays.

A test asks for `needs_compiler()`, then holds `check(kernel, grid, args, T)`: the source leaves in
all arrays what the plain version leaves. `caught(mutated(kernel, old, new), cases)` shows that the
cases would notice a wrong source.

Every pointer of the source becomes one that knows its array, and every ``__shared__`` array one
that knows who touched it. So it is an error to go out of bounds, to touch an element that another
thread writes with no barrier between, to read shared memory that the block has not written, and to
wait at a barrier that not all threads reach. `sanitize="thread"` asks g++'s ThreadSanitizer, on
real threads, and `sanitize="address"` watches the threads' own arrays too.

Not understood: ``auto`` for what a written array's element is, references to arrays, structures as
elements of arrays, several pointers in one declaration.
"""

from __future__ import annotations

from .comparison import caught, check, mutants, mutated, unnoticed
from .compiler import available, compiled, needs_compiler
from .faults import (
    Diverged,
    DoesNotCompile,
    Fault,
    OutOfBounds,
    Race,
    Uninitialised,
    Unsanitary,
)
from .launch import run

__all__ = [
    "Diverged",
    "DoesNotCompile",
    "Fault",
    "OutOfBounds",
    "Race",
    "Uninitialised",
    "Unsanitary",
    "available",
    "caught",
    "check",
    "compiled",
    "mutants",
    "mutated",
    "needs_compiler",
    "run",
    "unnoticed",
]
