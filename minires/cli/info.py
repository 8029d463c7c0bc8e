"""`minires info`: what is installed, and what it computes with."""

from __future__ import annotations

import os
from typing import Annotated

import typer

HELP = "Tell the versions, the machine, and the kernels and threads that minires computes with."

_LABELS = {
    "blas": "BLAS",
    "blas_threads": "BLAS threads",
    "kernels": "minires' kernels",
    "threads": "minires' threads",
}


def run_info(
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.lab.machine import environment

    told = environment()
    if json:
        from minires.lab import to_json

        typer.echo(to_json({"schema": "minires.info/1", **told}), nl=False)
        return
    for name, value in told.items():
        typer.echo(f"{_LABELS.get(name, name):<18}{value}")
    if told["kernels"] == "numpy":
        if os.environ.get("MINIRES_KERNELS"):
            typer.echo("\nThe environment variable MINIRES_KERNELS=numpy leaves Numba aside.")
        else:
            typer.echo("\nFaster kernels: pip install 'minires[fast]' (Numba)")
