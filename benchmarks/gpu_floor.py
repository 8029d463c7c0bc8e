"""What bounds a training step on a GPU, by arithmetic: bytes, operations and launches.

Activations are written and read once where a fused step has to, in float32. With explicit columns
an im2col kernel writes them, two products read them (one of them in the backward pass), and the
gradient of the columns is written once and read once. An implicit product makes them on the fly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minires.lab.floor import Convolution

_FLOAT = 4
# Kernels of a convolution with its batch norm, ReLU and update; and of what a network has once.
_PER_CONVOLUTION = {"explicit": 9, "implicit": 7}
_ONCE = 11


class Work(NamedTuple):
    """What a training step has to do at least.

    Attributes
    ----------
    gigaflops : float
        10^9 operations of the products; a multiplication and an addition are two.
    columns : int
        Bytes of the columns of all layers.
    explicit, implicit : int
        Bytes that the convolutions move, with columns in memory and without.
    normalisation : int
        Bytes that batch norm moves, with ReLU and addition in the same kernels.
    """

    gigaflops: float
    columns: int
    explicit: int
    implicit: int
    normalisation: int


def work_of(convolutions: Sequence[Convolution], batch: int) -> Work:
    """Count what a step of a CIFAR network does, whose every second convolution ends a block."""
    multiplications = columns = explicit = implicit = normalisation = 0
    for number, layer in enumerate(convolutions):
        x, y = layer.channels * layer.pixels_in, layer.filters * layer.pixels_out
        taken = layer.channels * layer.taps * layer.pixels_out
        products = 2 if layer.first else 3
        multiplications += products * taken * layer.filters
        columns += taken
        # x and y forward, x and dy for the weight; dy and dx where a gradient goes on.
        implicit += 2 * (x + y) + (0 if layer.first else x + y)
        explicit += 3 * taken + x + 2 * y + (0 if layer.first else 2 * taken + x + y)
        # Forward: x for the statistics, x and y to apply them. Backward: x and dy, twice, and dx.
        # The end of a block reads a shortcut, too, and writes its gradient.
        ends_block = number > 0 and number % 2 == 0
        normalisation += (10 if ends_block else 8) * y
    sizes = (_FLOAT * batch * count for count in (columns, explicit, implicit, normalisation))
    return Work(2e-9 * batch * multiplications, *sizes)


def floors(work: Work, copy_gbps: float, gflops: float) -> dict[str, float]:
    """Return the milliseconds that the work takes at a device's measured speeds.

    Parameters
    ----------
    work : Work
    copy_gbps : float
        10^9 bytes a second, read or written.
    gflops : float
        10^9 operations a second in matrix products, in the precision of the step.
    """
    per_byte = 1e-6 / copy_gbps
    return {
        "memory, explicit columns": (work.explicit + work.normalisation) * per_byte,
        "memory, implicit": (work.implicit + work.normalisation) * per_byte,
        "arithmetic": 1e3 * work.gigaflops / gflops,
    }


def expected_launches(convolutions: int) -> dict[str, int]:
    """Return how many kernels a fused step launches, with explicit columns and without."""
    return {kind: each * convolutions + _ONCE for kind, each in _PER_CONVOLUTION.items()}
