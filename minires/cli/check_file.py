"""`minires check FILE.py::NAME`: a gradient of the user's, checked and told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from minires.checking import gradcheck

from .check_target import target_in
from .heat_maps import print_heat_map
from .user_code import UserCodeError, loaded, users_turn

if TYPE_CHECKING:
    from minires.checking import GradcheckReport


def check_file(
    target: str,
    sizes: list[tuple[int, ...]],
    vjp: str | None,
    options: dict[str, Any],
    png: Path | None,
    json: bool,
) -> bool:
    """Check what the target names, print what was found, and tell whether it is right.

    Raises
    ------
    typer.BadParameter
        If there is no such target, or it cannot be checked so.
    """
    file, name = _split(target)
    try:
        with loaded(file) as module:
            what = target_in(module, file, name, vjp, sizes, options.get("seed", 0))
            with users_turn(file, "checking it"):
                report = gradcheck(what.fn, what.inputs, **options)
    except UserCodeError as error:
        # The checker's own complaints are about what it was asked.
        own = str(error.__cause__)
        if own.startswith("gradcheck: "):
            mistake = own.removeprefix("gradcheck: ")
            raise typer.BadParameter(f"{target}: {mistake}") from None
        typer.echo(f"minires check: {error}", err=True)
        return False
    typer.echo(f"checked: {what.about}", err=True)
    if json:
        from minires.serialize.json_text import to_json

        told = {**report.to_dict(), "target": target, "checked": what.about}
        typer.echo(to_json(told), nl=False)
    else:
        _print(report)
    if png is not None:
        typer.echo(_drawn(report, png), err=True)
    return bool(report)


def _split(target: str) -> tuple[Path, str]:
    path, separator, name = target.rpartition("::")
    if not separator or not path or not name:
        raise typer.BadParameter(
            f"{target!r}: name a file and what to check in it, FILE.py::NAME, or say `ops`"
        )
    if not Path(path).is_file():
        hint = f"; did you mean {path}.py::{name}?" if Path(f"{path}.py").is_file() else ""
        raise typer.BadParameter(f"{path}: there is no such file{hint}")
    return Path(path), name


def _drawn(report: GradcheckReport, png: Path) -> str:
    if report.worst is None:
        return "no picture: no gradient was found wrong, so there is nothing to draw"
    try:
        return f"picture  {report.save_png(png)}"
    except ValueError as error:
        return f"no picture: {str(error).removeprefix('save_png: ')}"


def _print(report: GradcheckReport) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    headline, _, rest = report.explain(heat_map=False).partition("\n")
    console.print(Text(headline, "bold green" if report else "bold red"))
    if rest:
        console.print(Text(rest))
    drawn = report.heat_map(min(console.width, 100) if console.is_terminal else 72)
    if drawn is not None:
        console.print()
        print_heat_map(console, drawn.lines)
