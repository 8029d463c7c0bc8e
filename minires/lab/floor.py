"""The floor of a training step: what its matrix products and its memory traffic cost alone.

The products are those of im2col, with every operand in the processor's cache. The traffic is ten
passes over all convolution outputs, forward and backward together: about what a step needs whose
layers are not fused with each other. Both are measured, not computed, on the machine and threads
at hand, and the floor is their sum. It is a mark to aim at, not a law: another algorithm
(Winograd's, wider products) may pass below it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from minires.devices import threads
from minires.models.counting import count, without_values
from minires.nn import Module

from .timing import Job

_CHUNK = 3 << 19  # bytes of columns at a time, 1.5 MiB: what stays in a core's own cache
_COPIED = 64 << 20  # bytes, beyond what caches hold
PASSES = 10


class Product(NamedTuple):
    """One matrix product of a convolution, over all rows of an image batch of one.

    Attributes
    ----------
    rows, left, right : int
        (rows, left) @ (left, right); or, if it `reduces`, (rows, left).T @ (rows, right).
    reduces : bool
        Whether it sums over the rows, as the gradient of a weight does.
    """

    rows: int
    left: int
    right: int
    reduces: bool


class Convolution(NamedTuple):
    """The shape of a convolution at work on one image.

    Attributes
    ----------
    channels, filters, taps : int
        C, O and KH * KW.
    pixels_in, pixels_out : int
        H * W and OH * OW.
    first : bool
        Whether nothing before it asks for a gradient.
    """

    channels: int
    filters: int
    taps: int
    pixels_in: int
    pixels_out: int
    first: bool

    def products(self) -> list[Product]:
        """Return the products of forward, input gradient and weight gradient, in im2col's shapes.

        Where the image keeps its size, both gradients take the columns of the output's gradient;
        elsewhere those of the input.
        """
        columns = self.taps * self.channels
        forward = Product(self.pixels_out, columns, self.filters, False)
        if self.first:
            return [forward, Product(self.pixels_out, columns, self.filters, True)]
        if self.pixels_in != self.pixels_out:
            return [
                forward,
                Product(self.pixels_out, self.filters, columns, False),
                Product(self.pixels_out, columns, self.filters, True),
            ]
        back = self.taps * self.filters
        return [
            forward,
            Product(self.pixels_in, back, self.channels, False),
            Product(self.pixels_in, self.channels, back, True),
        ]


def convolutions_of(model: Module, image: tuple[int, int, int]) -> list[Convolution]:
    """Return the convolutions that `model` makes of one image (C, H, W), in order."""
    steps = count(without_values(model), image).steps
    found = []
    for step in steps:
        if step.op == "conv2d":
            (_, _, *size_in), (o, c, *taps) = step.shapes[:2]
            pixels = math.prod(size_in), math.prod(step.output[2:])
            first = not any(steps[source].learned for source in step.passed_on)
            found.append(Convolution(c, o, math.prod(taps), *pixels, first))
    return found


def work_of(convolutions: Sequence[Convolution], batch: int) -> tuple[Counter[Product], float, int]:
    """Return a step's products and how many of each, their 10^9 operations, and its traffic.

    The traffic, in bytes, is `PASSES` passes over all convolution outputs in float32.
    """
    counted = Counter(p for each in convolutions for p in each.products())
    gigaflops = 2e-9 * batch * sum(n * math.prod(p[:3]) for p, n in counted.items())
    outputs = sum(each.filters * each.pixels_out for each in convolutions)
    return counted, gigaflops, 4 * PASSES * batch * outputs


class Floor:
    """The matrix products and the memory traffic of a training step, as jobs to be timed.

    It uses as many threads as the kernels do when it is made.

    Parameters
    ----------
    convolutions : sequence of Convolution
    batch : int
        Images per step.

    Attributes
    ----------
    gigaflops : float
        Arithmetic of the products, in 10^9 operations; a multiplication and an addition are two.
    traffic_bytes : int
        Ten passes over all convolution outputs in float32.
    """

    def __init__(self, convolutions: Sequence[Convolution], batch: int) -> None:
        number = threads.get_num_threads()
        counted, self.gigaflops, self.traffic_bytes = work_of(convolutions, batch)
        self._work = [
            [_chunked(p, count, batch * p.rows // number) for p, count in counted.items()]
            for _ in range(number)
        ]
        self._copy = Copy(number)

    def products(self) -> None:
        """Compute all matrix products of a step."""
        side_by_side([partial(_all, work) for work in self._work])

    def traffic(self) -> None:
        """Move as many bytes as ten passes do: a copy is two, for it reads and writes."""
        self._copy(self.traffic_bytes // 2)


def side_by_side(jobs: Sequence[Job]) -> None:
    """Run each job on a thread of its own, as the kernels do: BLAS is kept to one thread."""
    threads.run(_call, jobs)


def _call(job: Job) -> None:
    job()


class Copy:
    """Copies memory, more than caches hold, a part of it on each of `number` threads."""

    def __init__(self, number: int) -> None:
        floats = _COPIED // 4 // number
        self._parts = [(np.ones(floats, "f4"), np.zeros(floats, "f4")) for _ in range(number)]

    def __call__(self, size: int) -> None:
        """Copy `size` bytes in all."""
        floats = size // 4 // len(self._parts)
        side_by_side([partial(_copy, floats, *part) for part in self._parts])


def _copy(floats: int, source: np.ndarray, target: np.ndarray) -> None:
    for left in range(floats, 0, -source.size):
        np.copyto(target[:left], source[:left])


def _all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job()


def _chunked(product: Product, count: int, rows: int) -> Job:
    """Return a job: `count` products of so many rows, in chunks whose operands stay in cache."""
    _, left, right, reduces = product
    size = min(max(_CHUNK // (4 * max(left, right)), 1), max(rows, 1))
    a = np.full((size, left), 0.5, np.float32)
    b = np.full((size if reduces else left, right), 0.5, np.float32)
    out = np.empty((left if reduces else size, right), np.float32)
    whole, rest = divmod(rows, size)

    def multiply(rows: int) -> None:
        if reduces:
            np.matmul(a[:rows].T, b[:rows], out=out)
        else:
            np.matmul(a[:rows], b, out=out[:rows])

    def job() -> None:
        for _ in range(count):
            for _ in range(whole):
                multiply(size)
            if rest:
                multiply(rest)

    return job
