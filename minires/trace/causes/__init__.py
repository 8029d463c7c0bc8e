"""Why a gradient is as it is: named causes, each measured from the records of a trace."""

from __future__ import annotations

from .cause import Cause
from .find import causes_of
from .ways import Stage, Ways

__all__ = ["Cause", "Stage", "Ways", "causes_of"]
