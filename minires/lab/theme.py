"""The colours of pictures and pages, on light and on dark ground."""

from __future__ import annotations

from dataclasses import dataclass

from .run import TwinKind


@dataclass(frozen=True)
class Theme:
    """Colours, as #rrggbb.

    Attributes
    ----------
    ground : str
        Behind everything.
    ink : str
        Text and axes.
    faint : str
        Grid lines and borders.
    plain, residual : str
        The two kinds of network, everywhere.
    """

    ground: str
    ink: str
    faint: str
    plain: str
    residual: str

    def of(self, twin: TwinKind) -> str:
        """Return the colour of a kind of network."""
        return self.plain if twin == "plain" else self.residual


# Orange and blue of Okabe and Ito, which the colour-blind tell apart; lighter on dark ground.
LIGHT = Theme(ground="#ffffff", ink="#1c2127", faint="#d9dee4", plain="#D55E00", residual="#0072B2")
DARK = Theme(ground="#171b20", ink="#e4e8ec", faint="#3b434c", plain="#f0813d", residual="#56a8e0")
