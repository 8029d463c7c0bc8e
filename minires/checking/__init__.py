"""The numerical gradient checker: whether a gradient is right, and if not, where it is wrong."""

from __future__ import annotations

from .check import gradcheck, gradcheck_module
from .report import Entry, GradcheckReport, InputReport

__all__ = ["Entry", "GradcheckReport", "InputReport", "gradcheck", "gradcheck_module"]
