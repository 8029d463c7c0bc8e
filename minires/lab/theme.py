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
    others : tuple of str
        Where more than these two are compared.
    """

    ground: str
    ink: str
    faint: str
    plain: str
    residual: str
    others: tuple[str, ...]

    def colour(self, number: int) -> str:
        """Return the colour of what is compared as number so, from 0; the first is the residual."""
        colours = (self.residual, self.plain, *self.others)
        return colours[number % len(colours)]

    def of(self, twin: TwinKind) -> str:
        """Return the colour of a kind of network."""
        return self.plain if twin == "plain" else self.residual


# Okabe and Ito's colours, which the colour-blind tell apart; lighter on dark ground.
LIGHT = Theme(
    ground="#ffffff",
    ink="#1c2127",
    faint="#d9dee4",
    plain="#D55E00",
    residual="#0072B2",
    others=("#009E73", "#CC79A7", "#8a6d00", "#56606b"),
)
DARK = Theme(
    ground="#171b20",
    ink="#e4e8ec",
    faint="#3b434c",
    plain="#f0813d",
    residual="#56a8e0",
    others=("#3cc79c", "#e29cc2", "#d6b84a", "#a6b0ba"),
)
