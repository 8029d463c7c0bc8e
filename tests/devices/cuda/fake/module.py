"""What stands in for the module `cupy`: names that CuPy 14.2 has, and none other."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.devices.cuda import api

from . import array, creation, cuda, functions, launching, memory, random
from .ufuncs import ufunc


class Room:
    """A module of the fake: its own things first, then functions that NumPy computes."""

    def __init__(self, path: str, **own: Any) -> None:
        self.__name__ = path
        self.__dict__.update(own)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} (a fake)>"

    def __getattr__(self, name: str) -> Any:
        path = self.__name__
        if name.startswith("__") or name not in api.names(path):
            raise AttributeError(f"module {path!r} has no attribute {name!r}")
        found = _numpy_backed(path.removeprefix("cupy").removeprefix("."), name)
        self.__dict__[name] = found
        return found


def _numpy_backed(room: str, name: str) -> Any:
    if not room and name in api.UFUNCS:
        return ufunc(name)
    owner: Any = functools.reduce(getattr, filter(None, room.split(".")), np)
    found = getattr(owner, name, None)
    if found is None:
        raise NotImplementedError(f"CuPy has {name!r}, but the fake has not: NumPy lacks it")
    if name in functions.HOST:
        return lambda *args, **kwargs: _answer(name, found, args, kwargs)
    if isinstance(found, type) or not callable(found):
        return found  # dtypes, pi, nan, newaxis
    return functools.partial(functions.call, f"{room}.{name}" if room else name)


def _answer(name: str, function: Any, args: Any, kwargs: Any) -> Any:
    if isinstance(function, type):
        return function(*args, **kwargs)
    api.check_call(f"cupy.{name}", args, kwargs)
    if name == "may_share_memory":
        launching.refuse_host(args)
    return function(*launching.unwrap(args), **launching.unwrap(kwargs))


def _check(path: str, function: Any) -> Any:
    """Return `function`, called only as CuPy's function at `path` may be."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        api.check_call(path, args, kwargs)
        return function(*args, **kwargs)

    return checked


_OWN = {
    name: _check(f"cupy.{name}", getattr(room, name))
    for room, names in {
        creation: (
            "empty", "empty_like", "zeros", "zeros_like", "ones", "ones_like", "full", "full_like",
            "ascontiguousarray",
        ),
        functions: ("asarray", "array", "asnumpy"),
    }.items()
    for name in names
}  # fmt: skip

module = Room(
    "cupy",
    __version__=api.VERSION,
    ndarray=array.ndarray,
    asanyarray=_OWN["asarray"],
    cuda=cuda,
    random=random.MODULE,
    linalg=Room("cupy.linalg"),
    lib=Room(
        "cupy.lib",
        stride_tricks=Room(
            "cupy.lib.stride_tricks",
            as_strided=functions.as_strided,
            sliding_window_view=functions.sliding_window_view,
        ),
    ),
    is_available=lambda: True,
    get_default_memory_pool=lambda: memory.DEFAULT_POOL,
    get_default_pinned_memory_pool=lambda: cuda.DEFAULT_PINNED_POOL,
    **_OWN,
)
module.get_array_module = lambda *args: module if launching.arrays_in(args) else np
cupyx = SimpleNamespace(__name__="cupyx", empty_pinned=creation.empty_pinned, errstate=np.errstate)
