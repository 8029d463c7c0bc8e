"""`minires docs`: build the documentation, and serve it on this machine."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from .refusals import refuse

_NEEDED = ("sphinx", "myst_nb", "pydata_sphinx_theme", "sphinx_design", "jupytext", "babel")

# After \b lines stay as they are.
HELP = (
    "Build the documentation site, and serve it on this machine.\n\n"
    "The tutorials come with the outputs that were recorded, so nothing is trained, and nothing is"
    " fetched from a network. Needs minires' source, and the extra docs.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires docs\n"
    "minires docs --port 9000\n"
    "minires docs --no-serve --out site\n"
)


def run_docs(
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write the site.",
            show_default="build/site of the source",
            file_okay=False,
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve it, until Ctrl-C; or build it only.")
    ] = True,
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8000,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.tutorials.catalogue import root

    try:
        source = root()
    except FileNotFoundError as error:
        refuse(error)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        refuse(
            ImportError(
                f"the site needs {missing[0]}, which is not installed:"
                " python -m pip install -e '.[docs]'"
            )
        )
    folder = (source / "build" / "site" if out is None else out).resolve()
    if not serve:
        _build(source, folder)
        typer.echo(folder / "index.html")
        return
    handler = functools.partial(_Quiet, directory=str(folder))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        refuse(OSError(f"port {port} cannot be used ({error.strerror}); try --port 0"))
    with server:
        _build(source, folder)
        _serve(server)


def _build(source: Path, folder: Path) -> None:
    typer.echo("building the site; this takes half a minute", err=True)
    command = [sys.executable, "-m", "docs.build", "--out", str(folder)]
    if code := subprocess.run(command, cwd=source, check=False).returncode:
        raise typer.Exit(code)


def _serve(server: http.server.HTTPServer) -> None:
    """Serve to this machine alone, until Ctrl-C."""
    typer.echo(f"http://127.0.0.1:{server.server_port}/  (Ctrl-C ends)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        typer.echo()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Does not tell of every page that was asked for."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
