"""The gradient, split by how many residual branches it crossed; and without one of them.

A network of L residual blocks is a sum over 2^L paths, for each block around it or through it
(Veit et al. 2016, arXiv 1605.06431). A backward pass is linear in the incoming gradient, so the
2^L terms need not be computed one by one: all that crossed k branches travel on together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from minires import devices
from minires.devices import Array

from .places import value_at
from .records import Forward, Spectrum, Value
from .replay import replay
from .statistics import norm_of, shares_of
from .structure import block_added_in, crosses_branch

if TYPE_CHECKING:
    from .trace import Trace


@dataclass(frozen=True)
class PathSpectrum:
    """The gradient of one value by the number of residual branches that it crossed.

    Attributes
    ----------
    at : str
        Name of the value.
    parts : tuple of array
        ``parts[k]`` crossed k branches; each has the value's shape. Arrays are on the host.
    total : array
        The engine's gradient, bit for bit. The parts add up to it, to rounding.
    norms : tuple of float
        Of the parts. They do not add up, for parts point in different directions.
    shares : tuple of float or None
        <part, total> / <total, total>, which add up to 1; None where the total is zero.
    paths : tuple of int
        How many ways through the residual blocks cross k branches.
    """

    at: str
    parts: tuple[Array, ...]
    total: Array
    norms: tuple[float, ...]
    shares: tuple[float | None, ...]
    paths: tuple[int, ...]

    @property
    def distribution(self) -> tuple[float, ...]:
        """Each part's norm over the sum of all norms: where most gradient comes from."""
        whole = math.fsum(self.norms)
        return tuple([norm / whole if whole else math.nan for norm in self.norms])

    @property
    def per_path(self) -> tuple[float, ...]:
        """Each part's norm over its number of paths: how much a single path carries."""
        both = zip(self.norms, self.paths, strict=True)
        # 2^1100 paths are more than a float can count.
        return tuple([float(Fraction(norm) / paths) if paths else 0.0 for norm, paths in both])

    @property
    def residual(self) -> float:
        """Largest difference of the parts' sum from the total, over the largest sum of |parts|."""
        xp = devices.of(self.total).xp
        summed, sizes = xp.zeros_like(self.total), xp.zeros_like(self.total)
        for part in self.parts:
            summed, sizes = summed + part, sizes + abs(part)
        largest = float(sizes.max()) if sizes.size else 0.0
        return float(abs(summed - self.total).max()) / largest if largest else 0.0

    def __repr__(self) -> str:
        lines = [f"path spectrum at {self.at}: gradient of norm {norm_of(self.total):.4g}"]
        lines.append("branches      paths       norm    share")
        for k, (norm, share, paths) in enumerate(
            zip(self.norms, self.shares, self.paths, strict=True)
        ):
            told = "      -" if share is None else f"{share:7.1%}"
            lines.append(f"{k:8d} {Decimal(paths):10.4g} {norm:10.4g} {told:>8}")
        lines.append(f"the parts add up to the gradient to {self.residual:.1g} of their size")
        return "\n".join(lines)


def path_spectrum(trace: Trace, at: Any = None) -> PathSpectrum:
    """Split a gradient by branches crossed; see `Trace.path_spectrum`."""
    value = value_at(trace, at)
    saved = _saved(trace, value) if trace.tape is None else None
    if saved is not None:
        return saved
    found = replay(trace, value.index, _count_branches).on_host()
    paths = _paths(trace, value)
    length = max([*found.parts, *paths], default=0) + 1
    zero = devices.of(found.total).xp.zeros_like(found.total)
    parts = tuple([found.parts.get(k, zero) for k in range(length)])
    spectrum = PathSpectrum(
        value.name,
        parts,
        found.total,
        tuple([norm_of(part) for part in parts]),
        tuple(shares_of(parts, found.total)),
        tuple([paths.get(k, 0) for k in range(length)]),
    )
    _keep(trace, value, spectrum)
    return spectrum


def _count_branches(step: Forward, slot: int, crossed: Hashable) -> tuple[Hashable, ...]:
    assert isinstance(crossed, int)
    return (crossed + crosses_branch(step, slot),)


def _paths(trace: Trace, value: Value) -> dict[int, int]:
    """Count the ways through residual blocks to a value, by branches crossed.

    Uses that differ in their roles at additions are different ways; within a branch, or within an
    op that is spelled out, there is one, however many uses it is made of.
    """
    records, roles = trace.records, trace.structure.roles
    run = [visit.run for visit in records.backward if visit.value == value.index][-1]
    counts: dict[int, dict[int, int]] = {}
    for visit in records.backward:
        if visit.run != run:
            continue
        ways: dict[Hashable, dict[int, int]] = {}
        for place, part in enumerate(visit.parts):
            if part.consumer is None:
                ways[place] = {0: 1}
                continue
            step = records.forward[part.consumer]
            further = crosses_branch(step, part.slot)
            way = ways.setdefault(frozenset(roles.get((part.consumer, part.slot), ())), {})
            for crossed, paths in counts.get(step.output, {}).items():
                way[crossed + further] = max(way.get(crossed + further, 0), paths)
        here = counts.setdefault(visit.value, {})
        for way in ways.values():
            for crossed, paths in way.items():
                here[crossed] = here.get(crossed, 0) + paths
    return counts.get(value.index, {})


def _keep(trace: Trace, value: Value, found: PathSpectrum) -> None:
    """Note a spectrum in the records, so that a saved trace contains it; its arrays if they fit."""
    arrays, budget, spectra = trace.arrays, trace.records.budget, trace.records.spectra
    spectra[:] = [spectrum for spectrum in spectra if spectrum.value != value.index]
    total = norm_of(found.total)
    spectra.append(Spectrum(value.name, value.index, found.norms, found.shares, total, found.paths))
    named = {_array_name(value, k): part for k, part in enumerate(found.parts)}
    named[_array_name(value, "total")] = found.total
    size = sum(array.nbytes for name, array in named.items() if name not in arrays)
    if budget.arrays + budget.replay + size > budget.limit:
        budget.left_out += len(named)
        return
    budget.arrays += size
    arrays.update(named)


def _array_name(value: Value, part: int | str) -> str:
    return f"spectrum/{value.index}/{part}"


def _saved(trace: Trace, value: Value) -> PathSpectrum | None:
    """Return a spectrum that was computed before the trace was saved, if its arrays are there."""
    for spectrum in trace.records.spectra:
        if spectrum.value == value.index:
            names = [_array_name(value, k) for k in (*range(len(spectrum.norms)), "total")]
            if all(name in trace.arrays for name in names):
                *parts, total = (trace.arrays[name] for name in names)
                figures = spectrum.norms, spectrum.shares, spectrum.paths
                return PathSpectrum(value.name, tuple(parts), total, *figures)
    return None


@dataclass(frozen=True)
class Omission:
    """What a gradient would be if one branch sent none back, the forward pass unchanged.

    Attributes
    ----------
    block : str
        Module of the residual addition.
    gradient : array
        Without what crossed this branch; on the host.
    norm : float
        Of that gradient.
    cosine : float or None
        With the whole gradient.
    change : float or None
        Norm of what is missing, over the norm of the whole gradient.
    """

    block: str
    gradient: Array = field(repr=False)
    norm: float
    cosine: float | None
    change: float | None


def leave_one_out(trace: Trace, at: Any = None, block: str | None = None) -> list[Omission]:
    """Leave out each branch in turn; see `Trace.leave_one_out`."""
    value = value_at(trace, at)
    forward = trace.records.forward
    joins = trace.structure.joins
    if block is not None:
        joins = [join for join in joins if block_added_in(forward[join]) == block]
        if not joins:
            known = sorted({block_added_in(forward[join]) for join in trace.structure.joins})
            raise KeyError(f"no residual addition ran in {block!r}; there are: {known}")
    counted = set(joins)

    def route(step: Forward, slot: int, name: Hashable) -> tuple[Hashable, ...]:
        # Part 0 is the whole gradient; what crosses a branch also goes on as that branch's part.
        begins = name == 0 and step.index in counted and crosses_branch(step, slot)
        return (0, _Through(step.index)) if begins else (name,)

    found = replay(trace, value.index, route).on_host()
    return [
        _omission(block_added_in(forward[join]), found.total, found.parts[_Through(join)])
        for join in joins
        if _Through(join) in found.parts  # else the gradient never comes by this block
    ]


class _Through(NamedTuple):
    """Names the part that crossed the branch of an addition."""

    join: int


def _omission(block: str, total: Array, through: Array) -> Omission:
    xp = devices.of(total).xp
    rest = total - through
    norm, whole = norm_of(rest), norm_of(total)
    cosine = change = None
    if whole > 0 and math.isfinite(whole):
        change = norm_of(through) / whole
        if norm > 0:
            unit = rest.astype(xp.float64) / norm
            cosine = float((unit * (total.astype(xp.float64) / whole)).sum())
    return Omission(block, rest, norm, cosine, change)
