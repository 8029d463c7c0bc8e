"""Several numbers in one option, as in --depths 8,20,56."""

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
