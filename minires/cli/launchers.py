"""Commands that `mpiexec` started several times, although one process does all they do."""

from __future__ import annotations

import typer


def require_one_process(advice: str) -> None:
    """Refuse to do the same thing in several processes; the first of them says why.

    Parameters
    ----------
    advice : str
        What to do instead.

    Raises
    ------
    typer.BadParameter, typer.Exit
        If a launcher started more than one.
    """
    from minires.training.mpi import is_first, launched

    if launched() > 1:
        if is_first():
            raise typer.BadParameter(
                f"mpiexec started {launched()} processes, and each would do all of it: {advice}"
            )
        raise typer.Exit(2)
