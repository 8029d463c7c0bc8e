"""minires: a from-scratch deep-learning framework that shows how gradients travel.

Names are loaded on first use, so that importing minires costs no more than needed:
``import minires as mr``, then for example ``mr.tensor``, ``mr.nn.Conv2d``, ``mr.models``.

PYTEST_DONT_REWRITE: pytest rewrites the packages of its plugins, of which minires has one, and
would warn where a program imports minires before it runs pytest.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# The public names by the submodule that they come from; `__init__.pyi` declares the same.
_PUBLIC = {
    "autograd": ("AutogradError", "Tensor", "enable_grad", "expand", "grad", "no_grad", "op"),
    "checking": ("gradcheck", "gradcheck_module"),
    "data": (),
    "devices": (
        "cuda",
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "bool_",
        *("get_num_threads", "set_num_threads"),
    ),
    "devices.determinism": (
        "are_deterministic_algorithms_enabled",
        "use_deterministic_algorithms",
    ),
    "devices.precision": ("get_float32_matmul_precision", "set_float32_matmul_precision"),
    "devices.random": ("manual_seed",),
    "lab": (),
    "models": (),
    "nn": (),
    "ops": (
        *("tensor", "zeros", "ones", "full", "arange", "eye", "randn", "rand"),
        *("zeros_like", "ones_like", "where", "maximum", "minimum", "clip", "einsum", "matmul"),
        *("cat", "concatenate", "stack", "flatten", "exp", "log", "sqrt", "abs", "sin", "cos"),
        *("tanh", "relu", "sigmoid", "softmax", "sum", "mean", "var", "std", "max", "min"),
        *("argmax", "argmin"),
    ),
    "optim": (),
    "serialize": ("load", "save"),
    "trace": (),
    "training": ("Trainer",),
}

_SUBMODULES = {home for home in _PUBLIC if "." not in home}
_HOMES = {name: home for home, names in _PUBLIC.items() for name in names}

__all__ = ["__version__", *sorted(_SUBMODULES), *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        # A Tensor gets its operators when the ops are loaded, whatever is asked for first.
        importlib.import_module(f"{__name__}.ops")
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
