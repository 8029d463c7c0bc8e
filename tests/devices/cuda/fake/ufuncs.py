"""CuPy's ufuncs: three keywords, few methods, and results that are always C-contiguous."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tests.devices.cuda import api

from . import functions, indexing
from .array import ndarray
from .launching import SCALARS, arrays_in, launch, refuse_host, unwrap


class Ufunc:
    """A universal function of the fake.

    Without ``out=`` its results are C-contiguous whatever the memory order of the operands, as
    CuPy's are and NumPy's are not.
    """

    def __init__(self, name: str) -> None:
        self.name = f"cupy_{name}"
        self.__name__ = name
        self._numpy = getattr(np, name)
        self._facts = api.UFUNCS.get(name, {"reduce": False, "accumulate": False, "at": False})
        self.nin, self.nout = self._numpy.nin, self._numpy.nout
        self.types = self._facts.get("types", [])

    def __repr__(self) -> str:
        return f"<ufunc {self.name!r}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        unknown = sorted(kwargs.keys() - api.UFUNC_KEYWORDS)
        if unknown:
            raise TypeError(f"Wrong arguments {unknown}: CuPy's ufuncs take {_KEYWORDS}")
        if not self.nin <= len(args) <= self.nin + self.nout:
            raise TypeError(f"Wrong number of arguments for {self.name}: {len(args)}")
        inputs, out = args[: self.nin], args[self.nin :] or kwargs.pop("out", None)
        for value in inputs:
            if not isinstance(value, (ndarray, *SCALARS)):
                raise TypeError(f"Unsupported type {type(value)}")
        outs = _as_outs(out)
        hosts, function = unwrap(inputs), self._numpy
        if outs is None:
            return launch(
                self.__name__,
                lambda: _ordered(function(*hosts, **kwargs)),
                [x for x in inputs if isinstance(x, ndarray)],
            )
        targets = tuple([x._host for x in outs])
        shape = np.broadcast_shapes(*(np.shape(x) for x in hosts))
        if any(target.shape != shape for target in targets):
            raise ValueError(f"Out shape is mismatched: {targets[0].shape}, not {shape}")
        launch(
            self.__name__,
            lambda: function(*hosts, out=targets, **kwargs),
            arrays_in(inputs),
            outs,
        )
        return outs[0] if len(outs) == 1 else outs

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        return self._along("reduce", args, kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Any:
        return self._along("accumulate", args, kwargs)

    def at(self, *args: Any, **kwargs: Any) -> None:
        self._check("at", args, kwargs)
        a, indices, *b = args
        parts, gathers = indexing._parts(a, indices)
        hosts, host, more = tuple(map(unwrap, parts)), a._host, unwrap(b)
        launch(
            f"{self.__name__}.at",
            lambda: self._numpy.at(host, hosts, *more),
            [*gathers, *arrays_in(b)],
            (a,),
        )

    def outer(self, A: ndarray, B: ndarray, **kwargs: Any) -> Any:
        return self(A.reshape(A.shape + (1,) * B.ndim), B, **kwargs)

    def _along(self, method: str, args: Any, kwargs: Any) -> Any:
        self._check(method, args, kwargs)
        hosts, out = unwrap(args), kwargs.get("out")
        keywords, function = unwrap(kwargs), getattr(self._numpy, method)
        writes = None if out is None else (out,)
        result = launch(
            f"{self.__name__}.{method}",
            lambda: _ordered(function(*hosts, **keywords)),
            arrays_in(args),
            writes,
        )
        return result if out is None else out

    def _check(self, method: str, args: Any, kwargs: Any) -> None:
        api.check_call(f"cupy.ufunc.{method}", args, kwargs)
        if not self._facts[method]:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")
        refuse_host((args, kwargs))


_KEYWORDS = ", ".join(sorted(api.UFUNC_KEYWORDS))


def _as_outs(out: Any) -> tuple[ndarray, ...] | None:
    if out is None:
        return None
    outs = out if isinstance(out, tuple) else (out,)
    for x in outs:
        if not isinstance(x, ndarray):
            raise TypeError(f"Output arguments type must be cupy.ndarray, found {type(x)}")
    return outs


def _ordered(result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple([_ordered(part) for part in result])
    return np.asarray(result, order="C")


@functools.cache
def ufunc(name: str) -> Ufunc:
    """Return the ufunc of that name."""
    return Ufunc(name)


_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "divmod": "divmod",
    "pow": "power",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _foreign(other: Any) -> bool:
    """Tell whether an operator is to leave the work to its other operand."""
    if isinstance(other, (ndarray, np.ndarray, *SCALARS)):
        return False
    return getattr(other, "__array_ufunc__", False) is None or hasattr(other, "__array_priority__")


def _matmul(a: Any, b: Any) -> Any:
    return NotImplemented if _foreign(a) or _foreign(b) else functions.call("matmul", a, b)


def _add_operators() -> None:
    def binary(name: str) -> Any:
        return lambda self, other: NotImplemented if _foreign(other) else ufunc(name)(self, other)

    def reflected(name: str) -> Any:
        return lambda self, other: NotImplemented if _foreign(other) else ufunc(name)(other, self)

    def in_place(name: str) -> Any:
        return lambda self, other: ufunc(name)(self, other, out=self)

    def unary(name: str) -> Any:
        return lambda self: ufunc(name)(self)

    for python, name in (_BINARY | _COMPARISONS).items():
        setattr(ndarray, f"__{python}__", binary(name))
    for python, name in _BINARY.items():
        setattr(ndarray, f"__r{python}__", reflected(name))
        if python != "divmod":
            setattr(ndarray, f"__i{python}__", in_place(name))
    for python, name in _UNARY.items():
        setattr(ndarray, f"__{python}__", unary(name))
    ndarray.__matmul__ = _matmul
    ndarray.__rmatmul__ = lambda self, other: _matmul(other, self)


_add_operators()
