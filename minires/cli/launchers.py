"""Commands that `mpiexec` started several times, although one process does all they do."""

from __future__ import annotations

import typer

from minires.devices.launcher import launched


def require_one_process(advice: str) -> None:
    """Refuse to do the same thing in several processes.

    Parameters
    ----------
    advice : str
        What to do instead.

    Raises
    ------
    typer.BadParameter
        If a launcher started more than one.
    """
    if launched() > 1:
        raise typer.BadParameter(
            f"mpiexec started {launched()} processes, and each would do all of it: {advice}"
        )
