"""Devices: arrays, and the few kernels that differ between them.

The NumPy device is complete; a CUDA device through CuPy takes the same seam: a `Device` whose
`xp` is cupy and which overrides the kernels it can do better.
"""

from __future__ import annotations

from . import random
from .device import Array, Device
from .dtypes import (
    accumulator,
    as_dtype,
    bool_,
    default_float,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    is_float,
    result_dtype,
    uint8,
)
from .normalization import Normalizer
from .numpy_device import NumpyDevice
from .threads import get_num_threads, set_num_threads
from .windows import Window

cpu = NumpyDevice()


def get(device: str | Device | None = None) -> Device:
    """Return the device called `device`; None stands for the CPU.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if device is None:
        return cpu
    if isinstance(device, Device):
        return device
    if device in ("cpu", "numpy"):
        return cpu
    if isinstance(device, str) and device.split(":")[0] == "cuda":
        raise ValueError(
            f"device {device!r} is not available: this version of minires computes on the CPU only"
            " (device 'cpu'); a CUDA device through CuPy is planned"
        )
    raise ValueError(f"unknown device {device!r}; the devices of this version: 'cpu'")


def of(array: Array) -> Device:
    """Return the device on which `array` lives."""
    return cpu


__all__ = [
    "Array",
    "Device",
    "Normalizer",
    "NumpyDevice",
    "Window",
    "accumulator",
    "as_dtype",
    "bool_",
    "cpu",
    "default_float",
    "float16",
    "float32",
    "float64",
    "get",
    "get_num_threads",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_float",
    "of",
    "random",
    "result_dtype",
    "set_num_threads",
    "uint8",
]
