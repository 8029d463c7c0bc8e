"""`minires check`: whether gradients are right, the user's or those of minires' own ops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Each paragraph in one line, which the terminal breaks; after \b lines stay as they are.
HELP = (
    "Check gradients numerically: yours, in a file of Python, or those of minires' own ops.\n\n"
    "FILE.py::NAME names one of: a function without parameters that returns (fn, inputs); a"
    " function of Tensors, or a module, which is checked at random inputs; a pair (forward, vjp) of"
    " NumPy functions; or, with --vjp, the forward of such a pair.\n\n"
    "`ops`, perhaps followed by names, checks the ops of minires: first and second order, in every"
    " order of memory.\n\n"
    "The exit code is 0 if the gradients are right, 1 if not, or if that cannot be told, and 2"
    " after wrong usage.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires check my_ops.py::case\n"
    "minires check my_ops.py::cube --shape 3,4 --order 2\n"
    "minires check my_ops.py::forward --vjp backward --shape 3,4 --shape 4\n"
    "minires check ops conv2d batch_norm\n"
)


def run_check(
    target: Annotated[str, typer.Argument(metavar="FILE.py::NAME | ops", show_default=False)],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[OP]...", help="With `ops`: which of them.")
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help="Of an input drawn at random, once per input: 3,4.",
            show_default="3,4 for each parameter",
        ),
    ] = None,
    vjp: Annotated[
        str | None,
        typer.Option(
            help="The gradient of a NumPy forward: its name in the file, vjp(g, *inputs)."
        ),
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(help="2 checks second derivatives as well.", show_default="1; for ops, 2"),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            help="full: entry by entry; random: in random directions.", show_default="auto"
        ),
    ] = None,
    eps: Annotated[
        float | None, typer.Option(help="Step of the differences.", show_default="6e-6")
    ] = None,
    rtol: Annotated[
        float | None, typer.Option(help="Relative error allowed.", show_default="1e-6")
    ] = None,
    atol: Annotated[
        float | None, typer.Option(help="Absolute error allowed.", show_default="1e-8")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of all that is random.", show_default="0", min=0)
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="How many random directions.", show_default="4", min=1)
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(help="Draw the worst gradient into this file, if it is wrong."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    given = {"order": order, "mode": mode, "eps": eps, "rtol": rtol, "atol": atol}
    given |= {"seed": seed, "samples": samples}
    options = {name: value for name, value in given.items() if value is not None}
    if target == "ops":
        from .check_ops import check_all

        for name in (
            *options,
            *[n for n, v in (("shape", shape), ("vjp", vjp), ("png", png)) if v],
        ):
            if name != "order":
                raise typer.BadParameter(
                    f"--{name} has no place with `ops`, whose cases and tolerances are fixed"
                )
        right = check_all(names or (), 2 if order is None else order, json)
    else:
        if names:
            raise typer.BadParameter(f"{names[0]!r}: one FILE.py::NAME is checked at a time")
        sizes = [_lengths(text) for text in shape or []]
        if png is not None:
            _drawable(png)
        from .check_file import check_file

        right = check_file(target, sizes, vjp, options, png, json)
    raise typer.Exit(0 if right else 1)


def _lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = tuple(int(part) for part in text.strip("()").replace(",", " ").split())
    except ValueError:
        lengths = (-1,)
    if min(lengths, default=0) < 0:
        raise typer.BadParameter(f"--shape: expected lengths, such as 3,4; found {text!r}")
    return lengths


def _drawable(png: Path) -> None:
    """Say before a long check that its picture could not be written."""
    if png.suffix.lower() != ".png":
        raise typer.BadParameter(f"--png: expected the name of a .png file, found {str(png)!r}")
    if not png.parent.is_dir():
        raise typer.BadParameter(f"--png: there is no folder {str(png.parent)!r}")
    if png.is_dir():
        raise typer.BadParameter(f"--png: {str(png)!r} is a folder")
