"""What else decides the bits of a result: threads, kernels, versions, and the data themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minires.training.machine import environment

from .errors import CheckpointError

__all__ = ["DATA", "circumstances", "differences", "refuse_other_data"]

DATA = "data_sha256"


def circumstances(device: str, data_digest: str, ranks: int = 1) -> dict[str, Any]:
    """Return what is recorded with every checkpoint; no names of hosts, users or folders.

    Parameters
    ----------
    device : str
        What it is computed on.
    data_digest : str
        See `minires.data.Split`.
    ranks : int
    """
    return {**environment(device), "device": device, "ranks": ranks, DATA: data_digest}


def refuse_other_data(was: str, found: str) -> None:
    """Raise CheckpointError if data, by their SHA-256, are not those that a run learns from."""
    if was != found:
        raise CheckpointError(
            "the data set is not the one that the run began with (its SHA-256 is"
            f" {found[:12]}..., and was {was[:12]}...); bring the files back, or begin a new run"
        )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say what is no longer as it was when a checkpoint was written.

    Each is a warning: from here on, bits may differ from those of an uninterrupted run.

    Examples
    --------
    >>> differences({"threads": 2, "numpy": "2.4.0"}, {"threads": 1, "numpy": "2.4.0"})
    ['threads: was 2, is now 1']
    """
    return [
        f"{name}: was {before[name]}, is now {now.get(name, 'gone')}"
        for name in before
        if before[name] != now.get(name)
    ]
