"""`minires check`: whether gradients are right, the user's or those of minires' own ops."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from types import ModuleType

    from minires.checking import GradcheckReport

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

_DEFAULT_SHAPE = (3, 4)


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
        right = check_all(names, 2 if order is None else order, json)
    else:
        if names:
            raise typer.BadParameter(f"{names[0]!r}: one FILE.py::NAME is checked at a time")
        right = _check_file(target, shape, vjp, options, png, json)
    raise typer.Exit(0 if right else 1)


def _check_file(
    target: str,
    shapes: list[str] | None,
    vjp: str | None,
    options: dict[str, Any],
    png: Path | None,
    json: bool,
) -> bool:
    from minires.checking import gradcheck

    from .user_code import UserCodeError, loaded, users_turn

    path, separator, name = target.rpartition("::")
    file = Path(path)
    if not separator or not path or not name:
        raise typer.BadParameter(
            f"{target!r}: name a file and what to check in it, FILE.py::NAME, or say `ops`"
        )
    if not file.is_file():
        raise typer.BadParameter(f"{path}: there is no such file")
    sizes = [_lengths(text) for text in shapes or []]
    try:
        with loaded(file) as module:
            value = _found(module, name, file)
            if vjp is not None:
                value = value, _found(module, vjp, file)
            if _is_case(value):
                if sizes:
                    raise typer.BadParameter(
                        f"--shape: {name}() returns its inputs itself, as (fn, inputs)"
                    )
                with users_turn(file, f"{name}()"):
                    value = value()
                fn, inputs = _case(value, name)
            else:
                fn, inputs = value, _drawn(value, name, sizes, options.get("seed", 0))
            with users_turn(file, "checking it"):
                report = gradcheck(fn, inputs, **options)
    except UserCodeError as error:
        # The checker's own complaints are about what it was asked.
        own = str(error.__cause__)
        if own.startswith("gradcheck: "):
            mistake = own.removeprefix("gradcheck: ")
            raise typer.BadParameter(f"{target}: {mistake}") from None
        typer.echo(f"minires check: {error}", err=True)
        return False
    if json:
        from minires.lab import to_json

        typer.echo(to_json({**report.to_dict(), "target": target}), nl=False)
    else:
        _print(report)
    if png is not None and report.worst is not None:
        typer.echo(f"picture  {report.save_png(png)}", err=True)
    return bool(report)


_STYLES = {
    "below": "dodger_blue2",
    "far below": "reverse dodger_blue2",
    "above": "dark_orange3",
    "far above": "reverse dark_orange3",
    "worst": "bold reverse red",
    "not finite": "bold red",
    "unknown": "dim",
    "right": "dim",
}


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
        for line in drawn.lines:
            console.print(Text.assemble(*((text, _STYLES.get(kind, "")) for text, kind in line)))


def _lengths(text: str) -> tuple[int, ...]:
    try:
        lengths = tuple(int(part) for part in text.strip("()").replace(",", " ").split())
    except ValueError:
        lengths = (-1,)
    if min(lengths, default=0) < 0:
        raise typer.BadParameter(f"--shape: expected lengths, such as 3,4; found {text!r}")
    return lengths


def _found(module: ModuleType, name: str, file: Path) -> Any:
    import difflib

    if not hasattr(module, name):
        own = [
            n for n, value in vars(module).items() if callable(value) or isinstance(value, tuple)
        ]
        near = difflib.get_close_matches(name, own, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise typer.BadParameter(f"{file}: there is no {name!r} in it{hint}")
    return getattr(module, name)


def _required(function: Any) -> list[str] | None:
    """Return the names of the positional parameters without a default; None where it is open."""
    from minires.nn import Module

    function = function.forward if isinstance(function, Module) else function
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    wanted = [p.name for p in plain if p.default is p.empty]
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return None if several and not wanted else wanted


def _is_case(value: Any) -> bool:
    """Tell whether it is a function without parameters, which says itself what to check."""
    return inspect.isfunction(value) and not inspect.signature(value).parameters


def _case(value: Any, name: str) -> tuple[Any, Any]:
    if not (isinstance(value, tuple) and len(value) == 2) or callable(value[1]):
        raise typer.BadParameter(
            f"{name}() has no parameters, so it should return what to check as (fn, inputs); it"
            f" returned {type(value).__name__}"
        )
    return value


def _drawn(fn: Any, name: str, sizes: list[tuple[int, ...]], seed: int) -> list[Any]:
    """Draw inputs for the function from a normal distribution."""
    import numpy as np

    pair = isinstance(fn, tuple) and len(fn) == 2 and all(map(callable, fn))
    if not pair and (not callable(fn) or inspect.isclass(fn)):
        what = f"the class {name}" if inspect.isclass(fn) else f"a {type(fn).__name__}"
        raise typer.BadParameter(
            f"{name} is {what}; what can be checked is a function, a module (an instance), or a"
            " pair (forward, vjp)"
        )
    required = _required(fn[0] if pair else fn)
    if not sizes:
        if not required:
            raise typer.BadParameter(f"{name}: how many inputs it takes is not plain; give --shape")
        sizes = [_DEFAULT_SHAPE] * len(required)
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.standard_normal(size)) for size in sizes]
