"""The option --device, the same for every command that runs a network."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[
    str, typer.Option(help="Where to compute: cpu, or cuda (the first GPU), or cuda:1, ...")
]


class MissingDevice(typer.BadParameter):
    """A device that is not there, about which the help of a command knows nothing."""

    remedy = "See also: minires info"


def require(device: str) -> None:
    """Make sure of a device before any work begins.

    Raises
    ------
    typer.BadParameter
        If there is none of that name.
    MissingDevice
        If something that it needs is missing.
    """
    from minires import devices

    try:
        found = devices.get(device)
    except ValueError as error:
        raise typer.BadParameter(f"--device: {error}") from None
    except RuntimeError as error:
        raise MissingDevice(f"--device: {error}") from None
    if not found.holds_values:
        raise typer.BadParameter(
            f"--device: on {device!r} there are no values to compute with; there are cpu and cuda"
        )
