"""Dtypes by their usual names, and the promotion rules of PyTorch.

NumPy turns ``int64 + float32`` into float64; a learner who asked for float32 would silently pay
double. PyTorch's rule is followed instead: the *kind* of number decides first (bool < integer <
float), then arrays with dimensions outrank 0-d arrays, and those outrank Python numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

float16 = np.dtype("float16")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
bool_ = np.dtype("bool")

default_float = float32

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


def as_dtype(
    name: Any, otherwise: str = "is no dtype; use for example mr.float32 or 'float64'"
) -> np.dtype[Any]:
    """Return the dtype called `name` (``"float32"``, ``mr.float32``, ``np.float32``, ``float``).

    Parameters
    ----------
    name
    otherwise : str
        What to say of a name that is no dtype.

    Raises
    ------
    TypeError
        If `name` is no dtype, or one that minires does not compute with (complex, text, objects).
    """
    if name is float:
        return default_float
    try:
        dtype: np.dtype[Any] = np.dtype(name)
    except TypeError as error:
        raise TypeError(f"{name!r} {otherwise}") from error
    # Of the dtypes that other packages add to NumPy, some (a float8) call themselves floats.
    if dtype.kind not in _KINDS or dtype.isbuiltin == 2:
        raise TypeError(f"dtype {dtype} is not supported; minires computes with bool, int, float")
    return dtype


def is_float(dtype: np.dtype[Any]) -> bool:
    """Tell whether `dtype` is a floating dtype, the only ones that can carry gradients."""
    return dtype.kind == "f"


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which to sum values of `dtype`: float16 has too few digits for it."""
    return float32 if dtype == float16 else dtype


def _promote(dtypes: list[np.dtype[Any]]) -> np.dtype[Any] | None:
    """Join dtypes of equal rank: the highest kind decides, narrower kinds do not widen it."""
    if not dtypes:
        return None
    top = max(_KINDS[dtype.kind] for dtype in dtypes)
    joined: np.dtype[Any] = np.result_type(*(d for d in dtypes if _KINDS[d.kind] == top))
    return joined


def result_dtype(*operands: Any) -> np.dtype[Any]:
    """Return the dtype in which an operation on `operands` is computed.

    Parameters
    ----------
    *operands
        Arrays (any shape), or Python numbers, which never widen an array's dtype.

    Examples
    --------
    >>> result_dtype(np.ones(2, "int64"), np.ones(2, "float32"))
    dtype('float32')
    >>> result_dtype(np.ones(2, "float32"), 1.5)
    dtype('float32')
    >>> result_dtype(np.ones(2, "int64"), 1.5)
    dtype('float32')
    """
    ranks: tuple[list[np.dtype[Any]], ...] = ([], [], [])
    for operand in operands:
        # NumPy's float64 scalars are Python floats as well: whoever has a dtype is an array.
        if hasattr(operand, "dtype"):
            ranks[0 if operand.ndim else 1].append(operand.dtype)
        elif isinstance(operand, bool):
            ranks[2].append(bool_)
        else:
            ranks[2].append(int64 if isinstance(operand, int) else default_float)
    result: np.dtype[Any] | None = None
    for dtypes in ranks:
        candidate = _promote(dtypes)
        if candidate is not None and (
            result is None or _KINDS[candidate.kind] > _KINDS[result.kind]
        ):
            result = candidate
    assert result is not None, "an operation needs at least one operand"
    return result
