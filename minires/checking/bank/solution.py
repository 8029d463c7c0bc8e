"""What the bank holds: a function, somebody's gradient of it, and the geometries to try it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Rng = np.random.Generator

_STREAM = 1512


class Geometry(NamedTuple):
    """One way to call a function: the shapes of its inputs, and its options.

    Attributes
    ----------
    shapes : tuple of shape
        One per input.
    options : mapping of str to value
        Keyword arguments, such as a stride, of both the function and its gradient.
    """

    shapes: tuple[tuple[int, ...], ...]
    options: Mapping[str, Any] = MappingProxyType({})


def at(*shapes: tuple[int, ...], **options: Any) -> Geometry:
    """Return the geometry of these shapes and options."""
    return Geometry(shapes, MappingProxyType(options))


class Case(NamedTuple):
    """A solution in one geometry at some inputs: ``gradcheck((case.forward, case.vjp), inputs)``.

    Attributes
    ----------
    forward : callable
        ``forward(*inputs)``, one array or a tuple of them; computes in complex numbers, too.
    vjp : callable
        ``vjp(g, *inputs)``, one gradient or a tuple of one per input.
    inputs : list of array, float64
    """

    forward: Callable[..., Any]
    vjp: Callable[..., Any]
    inputs: list[Array]


def normal(rng: Rng, geometry: Geometry) -> list[Array]:
    """Draw every input from the normal distribution."""
    return [np.asarray(rng.standard_normal(shape)) for shape in geometry.shapes]


def away_from_zero(array: Array, distance: float = 0.5) -> Array:
    """Move every entry away from zero, for what is divided by or would hide what it multiplies."""
    return np.asarray(array + np.copysign(distance, array))


@dataclass(frozen=True, repr=False)
class Solution:
    """A function and a gradient written for it, right or wrong.

    Attributes
    ----------
    id : str
        The mistake's number, such as ``"C5"``; empty for right solutions and further mistakes.
    function : str
        What is differentiated: ``"convolution"``.
    name : str
        What was done wrong, or how it was done.
    forward, vjp : callable
        ``forward(*inputs, **options)`` and ``vjp(g, *inputs, **options)``.
    geometries : tuple of Geometry
        Where to try it: for a wrong solution only such in which its gradient is wrong.
    sample : callable
        Draws the inputs: ``sample(rng, geometry)``.
    """

    id: str
    function: str
    name: str
    forward: Callable[..., Any] = field(repr=False)
    vjp: Callable[..., Any] = field(repr=False)
    geometries: tuple[Geometry, ...]
    sample: Callable[[Rng, Geometry], list[Array]] = normal

    @property
    def title(self) -> str:
        """The function and the name: ``"convolution: overlaps assigned, not added"``."""
        return f"{self.function}: {self.name}"

    def __repr__(self) -> str:
        return f"<{self.id} {self.title}>" if self.id else f"<{self.title}>"

    def case(self, seed: int) -> Case:
        """Return the case of a seed: it draws the inputs; successive ones take turns in geometry.

        Parameters
        ----------
        seed : int

        Returns
        -------
        Case
        """
        geometry = self.geometries[seed % len(self.geometries)]
        # A stream of its own: a checker that draws g from default_rng(seed) would get the inputs.
        inputs = self.sample(np.random.default_rng([seed, _STREAM]), geometry)
        if not geometry.options:
            return Case(self.forward, self.vjp, inputs)
        forward, vjp = (partial(f, **geometry.options) for f in (self.forward, self.vjp))
        return Case(forward, vjp, inputs)

    def but(
        self,
        id: str,
        name: str,
        vjp: Callable[..., Any],
        where: Callable[[Geometry], bool] = lambda geometry: True,
    ) -> Solution:
        """Return another gradient of the same function, for those geometries that `where` takes."""
        return replace(
            self, id=id, name=name, vjp=vjp, geometries=tuple(filter(where, self.geometries))
        )


def swap(
    vjp: Callable[..., tuple[Array, ...]], number: int, other: Callable[..., Any]
) -> Callable[..., Any]:
    """Return `vjp` with one of its gradients replaced by ``other(gradient, g, *inputs)``."""

    def swapped(g: Array, *inputs: Array, **options: Any) -> tuple[Array, ...]:
        gradients = list(vjp(g, *inputs, **options))
        gradients[number] = other(gradients[number], g, *inputs, **options)
        return tuple(gradients)

    return swapped
