"""The numerical gradient checker: whether a gradient is right, and if not, where it is wrong.

Names are loaded on first use: pytest imports this package, for its plugin, in every run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .all_ops import OpRow, check_ops
    from .check import gradcheck
    from .module import gradcheck_module
    from .report import Entry, GradcheckReport, InputReport, Kink

_HOMES = {
    "OpRow": "all_ops",
    "check_ops": "all_ops",
    "gradcheck": "check",
    "gradcheck_module": "module",
    "Entry": "report",
    "GradcheckReport": "report",
    "InputReport": "report",
    "Kink": "report",
}

__all__ = [
    "Entry",
    "GradcheckReport",
    "InputReport",
    "Kink",
    "OpRow",
    "check_ops",
    "gradcheck",
    "gradcheck_module",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
