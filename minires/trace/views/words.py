"""Numbers and marks in few letters, for a terminal that may know no more than ASCII."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple


class Glyphs(NamedTuple):
    """The marks that a picture of characters is made of.

    Attributes
    ----------
    lines : dict of frozenset of str to str
        A line's piece by the directions in which it leads: "u", "d", "l", "r".
    dashed : str
        An upright piece of a shortcut.
    arrow, step, join, here : str
        The end of an arc; a step; a step that adds; where the stepper stands.
    times, none, dots, minus : str
        Between lengths of a shape; for what is not there; for what was cut; before a negative
        number.
    micro : str
        For a millionth.
    eighths : str
        Pieces of a bar, from one eighth of a letter to a whole one.
    """

    lines: dict[frozenset[str], str]
    dashed: str
    arrow: str
    step: str
    join: str
    here: str
    times: str
    none: str
    dots: str
    minus: str
    micro: str
    eighths: str


def _lines(pieces: str) -> dict[frozenset[str], str]:
    ways = ("ud", "lr", "dr", "ur", "dl", "ul", "udr", "udl", "dlr", "ulr", "udlr")
    return {frozenset(way): piece for way, piece in zip(ways, pieces, strict=True)}


UNICODE = Glyphs(
    _lines("│─╭╰╮╯├┤┬┴┼"), "┆", "→", "●", "⊕", "▶", "×", "–", "…", "−", "µ", "▏▎▍▌▋▊▉█"
)
ASCII = Glyphs(_lines("|-.'.'++..+"), ":", ">", "o", "+", ">", "x", "-", "~", "-", "u", "#")


def glyphs_for(encoding: str | None = None) -> Glyphs:
    """Choose the marks that an encoding has; by default that of the standard output."""
    name = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "".join([*UNICODE.lines.values(), *UNICODE[1:]]).encode(name)
    except (UnicodeError, LookupError):
        return ASCII
    return UNICODE


def number(value: float | None, marks: Glyphs = UNICODE) -> str:
    """Write a number with three digits.

    Examples
    --------
    >>> number(0.01234), number(123.4), number(1.5e-9), number(float("nan")), number(None)
    ('0.0123', '123', '1.50e-9', 'NaN', '–')
    """
    if value is None:
        return marks.none
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:#.3g}".partition("e")
    return mantissa.removesuffix(".") + (f"e{int(exponent)}" if exponent else "")


def percent(share: float | None, marks: Glyphs = UNICODE) -> str:
    """Write a share as a percentage; it may be negative, or above 100.

    Examples
    --------
    >>> percent(0.614), percent(-0.2), percent(-2e9), percent(None)
    ('61%', '−20%', '−2.00e9×', '–')
    """
    if share is None or not math.isfinite(share):
        return marks.none
    if abs(share) > 1e6:
        return f"{marks.minus if share < 0 else ''}{number(abs(share))}{marks.times}"
    whole = round(100 * share)
    return f"{marks.minus if whole < 0 else ''}{abs(whole)}%"


def shape(lengths: Sequence[int], marks: Glyphs = UNICODE) -> str:
    """Write a shape.

    Examples
    --------
    >>> shape((8, 16, 32)), shape(())
    ('8×16×32', 'scalar')
    """
    return marks.times.join(map(str, lengths)) or "scalar"


def amount(value: float, unit: str, marks: Glyphs = UNICODE) -> str:
    """Write an amount with a prefix to its unit, in thousands.

    Examples
    --------
    >>> amount(653248, "B"), amount(7, "B"), amount(1.2e9, "FLOP"), amount(0.00031, "s")
    ('653 kB', '7 B', '1.2 GFLOP', '310 µs')
    """
    if value == 0:
        return f"0 {unit}"
    small = unit == "s"
    power = min(4, max(-2 if small else 0, math.floor(math.log10(abs(value)) / 3)))
    scaled = value / 1000**power
    text = f"{scaled:.0f}" if abs(scaled) >= 99.5 else f"{scaled:.2g}"
    prefix = (marks.micro, "m", "", "k", "M", "G", "T")[power + 2]
    return f"{text} {prefix}{unit}"


# Beyond them a power of ten is zero, infinite or no longer exact, and so would be an axis's end.
_DECADES = (-307, 307)


def decade(norm: float) -> float:
    """Return the decimal logarithm of a positive number, at most that of a usable axis.

    Examples
    --------
    >>> decade(100.0), decade(5e-324), decade(1.7e308)
    (2.0, -307.0, 307.0)
    """
    low, high = _DECADES
    return min(float(high), max(float(low), math.log10(norm)))


class Scale(NamedTuple):
    """A logarithmic scale for bars, from 10 to the power of `low` to 10 to the power of `high`."""

    low: int
    high: int

    def fraction(self, norm: float) -> float:
        """Place a positive number on the scale, from 0 to 1; what lies beyond stands at its end."""
        return min(1.0, max(0.0, (decade(norm) - self.low) / (self.high - self.low)))

    def bar(self, norm: float | None, width: int, marks: Glyphs = UNICODE) -> str:
        """Draw a bar of at most `width` letters; the least is a thin one, zero and NaN are none."""
        if norm is None or not math.isfinite(norm) or norm <= 0:
            return ""
        pieces = len(marks.eighths)
        eighths = max(1, round(self.fraction(norm) * width * pieces))
        whole, rest = divmod(eighths, pieces)
        return marks.eighths[-1] * whole + (marks.eighths[rest - 1] if rest else "")

    def __str__(self) -> str:
        return f"{10.0**self.low:g} to {10.0**self.high:g}"


def decades(sizes: Sequence[float | None]) -> tuple[int, int] | None:
    """Find the powers of ten that hold all positive, finite sizes; None where there is none.

    Examples
    --------
    >>> decades([0.02, 3.0, 0.0, None]), decades([5e-324, 1.7e308])
    ((-2, 1), (-307, 307))
    """
    logs = [decade(n) for n in sizes if n is not None and math.isfinite(n) and n > 0]
    return (math.floor(min(logs)), math.ceil(max(logs))) if logs else None


def scale_of(norms: Sequence[float | None]) -> Scale | None:
    """Find the scale that holds all positive norms; None where there is none."""
    found = decades(norms)
    if found is None:
        return None
    low, high = found
    if low == high:
        low, high = (low - 1, high) if low > _DECADES[0] else (low, high + 1)
    return Scale(low, high)


def spoken(count: int, what: str, plural: str = "") -> str:
    """Count things: ``1 step``, ``2 steps``."""
    return f"{count} {what if count == 1 else plural or what + 's'}"


def only(text: Any) -> str:
    """Make a foreign text safe to print: what could steer a terminal becomes visible."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in str(text)
    )
