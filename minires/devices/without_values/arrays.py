"""An array of which only shape and dtype are known.

NumPy says what they are, in two ways. For whatever moves values it is given a *phantom*: an array
of the shape whose elements are all one and the same byte, so that there is nothing to move. For
the dtype of what is computed element by element it is given one element of each operand.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Shape = tuple[int, ...]

_BYTE = b"\1"


def phantom(shape: Shape) -> np.ndarray:
    """Return an array of this shape that takes one byte, not to be looked at."""
    return np.ndarray(shape, np.bool_, _BYTE, 0, (0,) * len(shape))


@functools.lru_cache(4096)
def broadcast(*shapes: Shape) -> Shape:
    """Return the shape that arrays of these shapes have together, or raise ValueError."""
    return np.broadcast_shapes(*shapes)


@functools.lru_cache(4096, typed=True)
def _dtype_of(compute: Callable[..., Any], *operands: Any) -> np.dtype[Any]:
    """Return the dtype of a function's values; a dtype stands for an array of ones."""
    with np.errstate(all="ignore"):
        ones = (np.ones(1, x) if isinstance(x, np.dtype) else x for x in operands)
        return compute(*ones).dtype  # type: ignore[no-any-return]


def elementwise(compute: Callable[..., Any], *operands: Any) -> MetaArray:
    """Return what NumPy's function `compute` makes of arrays and numbers, element by element.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.
    TypeError
        If the function does not know the dtypes, or an operand is an array with values.
    """
    shapes, kinds = [], []
    for x in operands:
        if x.__class__ is MetaArray:
            shapes.append(x.shape)
            kinds.append(x.dtype)
        elif isinstance(x, np.ndarray):
            raise TypeError("an array with values meets one without; move it to 'meta' first")
        else:
            kinds.append(x)
    first = shapes[0]
    alike = all(shape == first for shape in shapes)
    return MetaArray(first if alike else broadcast(*shapes), _dtype_of(compute, *kinds))


class NoValuesError(RuntimeError):
    """Somebody asked for values where there are none."""


def no_values(asked: str, array: Any) -> NoValuesError:
    """Return the error that says that there are no values to look at."""
    return NoValuesError(
        f"{asked}: an array of shape {array.shape}, {array.dtype}, on the device 'meta' has a shape"
        " and a dtype, but no values; make it, or the network that computes it, on a device that"
        " holds values, as in device='cpu'. Where a network is run without values to be counted,"
        " let its forward look only if `x.device.holds_values`"
    )


def _operator(compute: Callable[[Any, Any], Any]) -> Callable[[MetaArray, Any], MetaArray]:
    return lambda self, other: elementwise(compute, self, other)


def _reflected(compute: Callable[[Any, Any], Any]) -> Callable[[MetaArray, Any], MetaArray]:
    return lambda self, other: elementwise(compute, other, self)


def _in_place(compute: Callable[[Any, Any], Any]) -> Callable[[MetaArray, Any], MetaArray]:
    def change(self: MetaArray, other: Any) -> MetaArray:
        shape = elementwise(compute, self, other).shape
        if shape != self.shape:
            raise ValueError(f"an array of shape {self.shape} cannot take on values of {shape}")
        return self

    return change


def _unary(compute: Callable[[Any], Any]) -> Callable[[MetaArray], MetaArray]:
    return lambda self: elementwise(compute, self)


def _reduction(name: str) -> Callable[..., MetaArray]:
    """Return what NumPy's method of this name is here; `ddof` changes neither shape nor dtype."""
    method = operator.methodcaller(name)

    def reduce(
        self: MetaArray, axis: Any = None, dtype: Any = None, keepdims: bool = False, ddof: Any = 0
    ) -> MetaArray:
        gone = _axes(axis, self.ndim)
        lengths = enumerate(self.shape)
        shape = tuple(1 if i in gone else n for i, n in lengths if keepdims or i not in gone)
        if dtype is None:
            dtype = _dtype_of(method, self.dtype)
        return MetaArray(shape, np.dtype(dtype))

    return reduce


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(i % max(ndim, 1) for i in (axis if isinstance(axis, tuple) else (axis,)))


def _looking(asked: str) -> Callable[..., Any]:
    def refuse(self: MetaArray, *_: Any, **__: Any) -> Any:
        raise no_values(asked, self)

    return refuse


class MetaArray:
    """An array that has a shape and a dtype, and no values.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    """

    __slots__ = ("__weakref__", "dtype", "shape")

    # NumPy's own arrays leave arithmetic with this one to it.
    __array_ufunc__ = None

    def __init__(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"MetaArray(shape={self.shape}, dtype={self.dtype})"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def T(self) -> MetaArray:  # noqa: N802
        """The array with its axes in reverse order."""
        return MetaArray(self.shape[::-1], self.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def astype(self, dtype: Any, copy: bool = True) -> MetaArray:
        """Return the array in another dtype."""
        return MetaArray(self.shape, np.dtype(dtype))

    def copy(self, order: str = "C") -> MetaArray:
        """Return another array of the same shape and dtype."""
        return MetaArray(self.shape, self.dtype)

    def reshape(self, *shape: Any) -> MetaArray:
        """Return the array in another shape."""
        return MetaArray(phantom(self.shape).reshape(*shape).shape, self.dtype)

    def transpose(self, *axes: Any) -> MetaArray:
        """Return the array with its axes in another order."""
        return MetaArray(phantom(self.shape).transpose(*axes).shape, self.dtype)

    def __getitem__(self, index: Any) -> MetaArray:
        parts = index if isinstance(index, tuple) else (index,)
        if any(part.__class__ is MetaArray for part in parts):
            return MetaArray(self._picked(parts), self.dtype)
        return MetaArray(phantom(self.shape)[index].shape, self.dtype)

    def __setitem__(self, index: Any, value: Any) -> None:
        place, shape = self[index].shape, getattr(value, "shape", ())
        fits = len(shape) <= len(place) and all(
            n in (1, m) for n, m in zip(reversed(shape), reversed(place), strict=False)
        )
        if not fits:
            raise ValueError(f"could not broadcast input array from shape {shape} into {place}")

    def _picked(self, parts: tuple[Any, ...]) -> Shape:
        """Return the shape of what an index with arrays of positions among its parts picks.

        The axes of those arrays stand where the arrays stood, or in front if they stood apart.
        """
        # NumPy checks the other parts, and that there are not too many.
        phantom(self.shape)[tuple(slice(None) if hasattr(x, "dtype") else x for x in parts)]
        named = sum(part is not None and part is not ... for part in parts)
        rest = (slice(None),) * (self.ndim - named)
        at = next((i for i, part in enumerate(parts) if part is ...), len(parts))
        # An ellipsis stays: arrays on both sides of it stand apart even where it is nothing.
        parts = (*parts[: at + 1], *rest, *parts[at + 1 :])
        lengths, shape, positions, places = iter(self.shape), [], [], []
        for place, part in enumerate(parts):
            if part is None:
                shape.append(1)
            elif part is ...:
                continue
            elif isinstance(part, slice):
                shape.append(len(range(*part.indices(next(lengths)))))
            else:
                if getattr(part, "dtype", None) == np.bool_:
                    raise no_values("an index by truth values picks where they are true", part)
                next(lengths)
                positions.append(getattr(part, "shape", ()))
                places.append((place, len(shape)))
        together = places[-1][0] - places[0][0] == len(places) - 1
        start = places[0][1] if together else 0
        try:
            return (*shape[:start], *broadcast(*positions), *shape[start:])
        except ValueError as error:
            raise IndexError(str(error)) from None

    __hash__ = None  # type: ignore[assignment]
    __add__, __radd__ = _operator(operator.add), _reflected(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _reflected(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _reflected(operator.mul)
    __truediv__, __rtruediv__ = _operator(operator.truediv), _reflected(operator.truediv)
    __floordiv__, __rfloordiv__ = _operator(operator.floordiv), _reflected(operator.floordiv)
    __mod__, __rmod__ = _operator(operator.mod), _reflected(operator.mod)
    __pow__, __rpow__ = _operator(operator.pow), _reflected(operator.pow)
    __and__, __rand__ = _operator(operator.and_), _reflected(operator.and_)
    __or__, __ror__ = _operator(operator.or_), _reflected(operator.or_)
    __xor__, __rxor__ = _operator(operator.xor), _reflected(operator.xor)
    __iadd__, __isub__ = _in_place(operator.iadd), _in_place(operator.isub)
    __imul__, __itruediv__ = _in_place(operator.imul), _in_place(operator.itruediv)
    __eq__, __ne__ = _operator(operator.eq), _operator(operator.ne)  # type: ignore[assignment]
    __lt__, __le__ = _operator(operator.lt), _operator(operator.le)
    __gt__, __ge__ = _operator(operator.gt), _operator(operator.ge)
    __neg__, __abs__, __invert__ = _unary(operator.neg), _unary(abs), _unary(operator.invert)

    sum, mean, var = _reduction("sum"), _reduction("mean"), _reduction("var")
    max, min = _reduction("max"), _reduction("min")
    argmax, argmin = _reduction("argmax"), _reduction("argmin")
    all, any = _reduction("all"), _reduction("any")

    item, tolist = _looking("item()"), _looking("tolist()")
    __bool__, __float__ = _looking("its truth value"), _looking("its value")
    __int__ = __index__ = _looking("its value")
    __array__, tobytes = _looking("its values"), _looking("its values")
