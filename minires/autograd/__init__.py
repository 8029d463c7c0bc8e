"""The engine: Tensors, the tape, and the backward pass. It knows no op by name."""

from __future__ import annotations

from .context import (
    EngineHook,
    enable_grad,
    expand,
    is_grad_enabled,
    located,
    looked_on,
    module_path,
    no_grad,
    twin_of,
)
from .errors import AutogradError, OverwriteError
from .node import Node
from .operation import Arithmetic, Op, op, registry, set_arithmetic
from .tape import Contribution, grad
from .tensor import Tensor

__all__ = [
    "Arithmetic",
    "AutogradError",
    "Contribution",
    "EngineHook",
    "Node",
    "Op",
    "OverwriteError",
    "Tensor",
    "enable_grad",
    "expand",
    "grad",
    "is_grad_enabled",
    "located",
    "looked_on",
    "module_path",
    "no_grad",
    "op",
    "registry",
    "set_arithmetic",
    "twin_of",
]
