"""Making the fake the device "cuda:0" of minires, for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def installed(kernels: str = "plain") -> Iterator[Any]:
    """Register a FakeCudaDevice as "cuda:0" (and "cuda") and yield it.

    Parameters
    ----------
    kernels : {"plain", "host"}
        What a launch of a CUDA kernel runs: its plain version, or its source compiled for the host.
    """
    from .device import FakeCudaDevice, registered

    device = FakeCudaDevice(kernels)
    with registered(device):
        yield device
