"""The numerical gradient checker: whether a gradient is right, and if not, where it is wrong."""

from __future__ import annotations

from .check import gradcheck
from .module import gradcheck_module
from .report import Entry, GradcheckReport, InputReport, Kink

__all__ = ["Entry", "GradcheckReport", "InputReport", "Kink", "gradcheck", "gradcheck_module"]
