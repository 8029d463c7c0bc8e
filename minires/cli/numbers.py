"""Numbers in options: several in one, as in --depths 8,20,56; a share or a count."""

from __future__ import annotations

from typing import TypeVar

import typer

Number = TypeVar("Number", int, float)


def numbers(option: str, text: str, kind: type[Number], example: str) -> tuple[Number, ...]:
    """Read numbers that commas or spaces separate.

    Raises
    ------
    typer.BadParameter
        If one is none; it names the option, and gives an example.

    Examples
    --------
    >>> numbers("milestones", "0.5,0.75", float, "0.5,0.75")
    (0.5, 0.75)
    """
    try:
        return tuple(kind(part) for part in text.replace(",", " ").split())
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise typer.BadParameter(
            f"--{option}: expected {what} separated by commas, such as {example}; found {text!r}"
        ) from None


def number(option: str, text: str | None) -> float | int | None:
    """Read a share or a number of images, as 0.1 or 5000; None stays as it is.

    Raises
    ------
    typer.BadParameter
        If it is none; it names the option.

    Examples
    --------
    >>> number("val-split", "0.1"), number("val-split", "5000")
    (0.1, 5000)
    """
    if text is None:
        return None
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        raise typer.BadParameter(f"--{option}: expected a number, found {text!r}") from None
