"""Joining Tensors, and framing one with padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .indexing import getitem
from .operands import axis_of, device_of, same_dtype
from .shapes import unsqueeze


@op
def _concatenate(*arrays: Array, dim: int) -> Array:
    return device_of(*arrays).concatenate(same_dtype(*arrays), dim)


@_concatenate.vjp
def _(g: Array, shapes: Any, dim: int) -> Any:
    parts = []
    start = 0
    for shape in shapes:
        stop = start + shape[dim]
        parts.append(getitem(g, (slice(None),) * dim + (slice(start, stop),)))
        start = stop
    return tuple(parts)


def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join Tensors along an axis that they have.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of equal shape, but for the length along `dim`.
    dim : int

    Raises
    ------
    ValueError
        If there are none, or the shapes do not fit.

    Examples
    --------
    >>> import minires as mr
    >>> mr.concatenate([mr.ones(2), mr.zeros(1)])
    tensor([1., 1., 0.])
    """
    shapes = [tuple(t.shape) for t in tensors]
    if not shapes or not shapes[0]:
        raise ValueError(located(f"concatenate: needs Tensors with an axis, found {shapes}"))
    axis = axis_of(dim, len(shapes[0]), "concatenate")
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(others) != 1 or len({len(shape) for shape in shapes}) != 1:
        raise ValueError(
            located(f"concatenate: shapes {shapes} differ in more than the length along dim {dim}")
        )
    return _concatenate(*tensors, dim=axis)


cat = concatenate  # torch's usual name of it


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join Tensors of equal shape along a new axis.

    Raises
    ------
    ValueError
        If there are none, or the shapes differ.
    """
    shapes = {tuple(t.shape) for t in tensors}
    if len(shapes) != 1:
        raise ValueError(located(f"stack: needs Tensors of one shape, found {sorted(shapes)}"))
    return concatenate([unsqueeze(t, dim) for t in tensors], dim)


@op
def _pad(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    xp = devices.of(x).xp
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, widths, strict=True))
    framed = xp.full_like(x, value, shape=shape)
    framed[_inside(x.shape, widths)] = x
    return framed


def _inside(shape: tuple[int, ...], widths: Any) -> tuple[slice, ...]:
    """Where in the frame the framed values lie."""
    return tuple(slice(before, before + n) for n, (before, _) in zip(shape, widths, strict=True))


@_pad.vjp
def _(g: Array, shapes: Any, widths: Any) -> Array:
    return getitem(g, _inside(shapes[0], widths))


def _mirrored(i: int, n: int) -> int:
    """Place i of an axis of n values that runs to and fro beyond its ends, which stand once."""
    return n - 1 - abs(n - 1 - i % max(2 * (n - 1), 1))


_SOURCES: dict[str, Callable[[int, int], int]] = {
    "reflect": _mirrored,
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "circular": lambda i, n: i % n,
}


def _framed_by_itself(input: Tensor, widths: Any, mode: str) -> Tensor:
    """Frame the input, axis by axis, by values of its own."""
    for axis, (before, after) in enumerate(widths):
        n = input.shape[axis]
        wanted = max(before, after)
        most = {"reflect": max(n - 1, 0), "circular": n}.get(mode, wanted)
        if wanted > most or (wanted > 0 and n == 0):
            raise ValueError(
                located(
                    f"pad: an axis of length {n} has not enough values to frame it by"
                    f" {(before, after)} in mode {mode!r}"
                )
            )
        if before or after:
            source = [_SOURCES[mode](i, n) for i in range(-before, n + after)]
            input = getitem(input, (slice(None),) * axis + (source,))
    return input


def _taken_away(input: Tensor, widths: Any) -> tuple[Tensor, Any]:
    """Return what negative widths leave of the input, and the widths to frame that by."""
    kept = zip(input.shape, widths, strict=True)
    left = getitem(input, tuple(slice(max(-b, 0), n + min(a, 0)) for n, (b, a) in kept))
    return left, tuple((max(before, 0), max(after, 0)) for before, after in widths)


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Frame the last axes, in torch's order.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        Widths before and after the *last* axis, then the one before it, and so on:
        ``(left, right, top, bottom, front, back)``. A negative width takes away so much.
    mode : {"constant", "reflect", "replicate", "circular"}
        What to add: `value`; or the values mirrored at the border one, which is not repeated; or
        the border value; or the values from the other end.
    value : float, optional
        By default 0.

    Raises
    ------
    ValueError
        If the number of widths is odd or too large, more is taken away than there is, the mode is
        unknown, or an axis has too few values to be framed by them.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.pad(mr.ones(2), (1, 2))
    tensor([0., 1., 1., 0., 0.])
    >>> mr.ops.pad(mr.arange(3), (2, 1), mode="reflect")
    tensor([2, 1, 0, 1, 2, 1])
    """
    if mode != "constant" and mode not in _SOURCES:
        raise ValueError(
            located(f"pad: mode must be 'constant' or one of {sorted(_SOURCES)}, found {mode!r}")
        )
    shape = tuple(input.shape)
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ValueError(
            located(f"pad: needs up to {len(shape)} pairs of widths, found {tuple(pad)}")
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = ((0, 0),) * (len(shape) - len(pairs)) + tuple(reversed(pairs))
    if any(n + min(b, 0) + min(a, 0) < 0 for n, (b, a) in zip(shape, widths, strict=True)):
        raise ValueError(located(f"pad: {tuple(pad)} takes away more than shape {shape} has"))
    # As in PyTorch, a border that is taken away is still mirrored and replicated.
    if min(pad, default=0) < 0 and mode in ("constant", "circular"):
        input, widths = _taken_away(input, widths)
    if mode != "constant":
        return _framed_by_itself(input, widths, mode)
    return _pad(input, widths=widths, value=0.0 if value is None else value)
