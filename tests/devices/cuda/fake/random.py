"""`cupy.random`: other streams than NumPy's for the same seed, and a poorer Generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.devices.cuda import api

from . import counts
from .functions import tidy
from .launching import launch, refuse_host, unwrap


class Generator:
    """CuPy's Generator: no `normal`, `permutation`, `shuffle` or `choice`."""

    def __init__(self, seed: Any = None) -> None:
        # Another stream than np.random.default_rng(seed) has, as cuRAND's is.
        self._numpy = np.random.Generator(np.random.MT19937(seed))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in api.names("cupy.random.Generator"):
            raise AttributeError(f"'Generator' object has no attribute {name!r}")
        return lambda *args, **kwargs: _draw("Generator.", name, self._numpy, args, kwargs)


class _Module:
    __name__ = "cupy.random"
    Generator = Generator
    default_rng = staticmethod(Generator)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in api.names("cupy.random"):
            raise AttributeError(f"module 'cupy.random' has no attribute {name!r}")
        return lambda *args, **kwargs: _draw("", name, _STATE, args, kwargs)


def _draw(owner: str, name: str, numpy: Any, args: Any, kwargs: Any) -> Any:
    api.check_call(f"cupy.random.{owner}{name}", args, kwargs)
    refuse_host((args, kwargs))
    if counts.Watch.recorder is not None:
        counts.Watch.recorder.transfer("random numbers", name)
    keywords = {key: value for key, value in kwargs.items() if key not in ("dtype", "out")}
    if name in ("random", "standard_normal", "integers") and "dtype" in kwargs:
        keywords["dtype"] = kwargs["dtype"]
    function, hosts, out = getattr(numpy, name), unwrap(args), kwargs.get("out")
    if out is not None:
        target = out._host
        launch(name, lambda: np.copyto(target, function(*hosts, size=out.shape)), (), (out,))
        return out
    result = function(*hosts, **keywords)
    if result is None:  # seed, shuffle
        return None
    return launch(name, lambda: tidy(result))


_STATE = np.random.RandomState(np.random.MT19937(7))
MODULE = _Module()
