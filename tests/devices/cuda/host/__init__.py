"""Kernels on the host: their CUDA source, compiled by g++, checked, and run on NumPy arrays."""

from __future__ import annotations

from .comparison import caught, check, mutants, mutated
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
]
