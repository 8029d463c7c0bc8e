"""Where the `minires` command begins, and how it ends: exit codes and messages of one line."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from . import (
    assignment,
    bench,
    check,
    classroom,
    compare,
    data,
    docs,
    evaluate,
    info,
    lab,
    lr_find,
    models,
    predict,
    step,
    summary,
    sweep,
    trace,
    train,
    tutorial,
    weights,
)
from .unheard import unheard_is_no_error


class _Commands(TyperGroup):
    """Lets `main` hear of a Ctrl-C, which some versions of Typer turn into a silent exit."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


# Users' mistakes are told in one line by `main`; a traceback means a mistake of minires.
app = typer.Typer(
    name="minires",
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("compare", help=compare.HELP)(compare.run_compare)
app.command("train", help=train.HELP)(train.run_train)
app.command("evaluate", help=evaluate.HELP)(evaluate.run_evaluate)
app.command("sweep", help=sweep.HELP)(sweep.run_sweep)
app.command("lr-find", help=lr_find.HELP)(lr_find.run_lr_find)
app.command("trace", help=trace.HELP)(trace.run_trace)
app.command("step", help=step.HELP)(step.run_step)
app.command("check", help=check.HELP)(check.run_check)
app.command("models", help=models.HELP)(models.run_models)
app.command("summary", help=summary.HELP)(summary.run_summary)
app.command("predict", help=predict.HELP)(predict.run_predict)
app.add_typer(lab.app)
app.add_typer(data.app)
app.add_typer(weights.app)
app.add_typer(assignment.app)
app.add_typer(classroom.app)
app.command("tutorial", help=tutorial.HELP)(tutorial.run_tutorial)
app.command("docs", help=docs.HELP)(docs.run_docs)
app.command("bench", help=bench.HELP)(bench.run_bench)
app.command("info", help=info.HELP)(info.run_info)


def _print_version(wanted: bool) -> None:
    if wanted:
        from minires import __version__

        typer.echo(f"minires {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _minires(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Deep learning from scratch, for seeing how residual networks learn.

    Begin with: minires compare
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0: done. 1: something outside went wrong, such as a full disk or a missing file. 2: wrong
        usage; nothing was done, but by `predict` for the images that it could read. 130: stopped by
        Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console may lack a letter of a file's name
    with unheard_is_no_error():
        return _exit_code(arguments)


def _exit_code(arguments: Sequence[str] | None) -> int:
    try:
        code = app(
            args=None if arguments is None else list(arguments),
            prog_name="minires",
            standalone_mode=False,
        )
    except (KeyboardInterrupt, typer.Abort):
        return _complain_once("stopped", 130)
    except OSError as error:
        return _complain(str(error), 1)
    except MemoryError as error:
        return _complain(f"there is not enough memory: {error or 'take less at a time'}", 1)
    except RuntimeError as error:
        if not _is_of_an_image(error):
            raise
        return _complain(str(error), 1)
    except Exception as error:
        # Typer's usage errors; their base class has no public name in all versions of it.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        command = getattr(context, "command_path", "minires")
        message = " ".join(error.format_message().split()).removeprefix("Invalid value: ")
        stop = "" if message.endswith((".", "?")) else "."
        remedy = getattr(error, "remedy", f"Help: {command} --help")
        # All processes of mpiexec are used wrongly alike.
        return _complain_once(f"{message}{stop} {remedy}", 2)
    return code if isinstance(code, int) else 0


def _is_of_an_image(error: RuntimeError) -> bool:
    """Tell whether a loader met an image that cannot be read, or be brought to its size."""
    from minires.data import WorkerError

    of_one = isinstance(error, WorkerError) and error.sample is not None
    return of_one and isinstance(error.__cause__, (OSError, ValueError))


def _complain_once(message: str, code: int) -> int:
    """Let the first process of mpiexec speak for all."""
    from minires.devices.launcher import is_first

    return _complain(message, code) if is_first() else code


def _complain(message: str, code: int) -> int:
    typer.echo(f"minires: {message}", err=True)
    return code
