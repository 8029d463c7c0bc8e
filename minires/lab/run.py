"""What is recorded of one trained twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .learning import Learned

TwinKind = Literal["plain", "residual"]
TWINS: tuple[TwinKind, TwinKind] = ("plain", "residual")


@dataclass
class Run(Learned):
    """The record of one twin's training.

    Attributes
    ----------
    depth : int
    twin : {"plain", "residual"}
    """

    depth: int
    twin: TwinKind

    @property
    def name(self) -> str:
        """Such as ``"plain-56"``."""
        return f"{self.twin}-{self.depth}"
