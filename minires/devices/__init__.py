"""Devices: arrays, and the few kernels that differ between them.

A `Device` has an array library `xp` and some named kernels, in readable form. The NumPy device
overrides those that it can do faster, and so does the CUDA device, whose `xp` is CuPy; it is loaded
when somebody asks for it. The device "meta" has arrays without values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from . import cuda, random
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
from .without_values import MetaArray, MetaDevice, NoValuesError

cpu = NumpyDevice()
meta = MetaDevice()

# The classes of arrays, of all devices that were ever asked for.
ARRAY_TYPES: set[type] = {type(cpu.xp.empty(0))}

_devices: dict[str, Device] = {"cpu": cpu, "numpy": cpu}
# For each class of arrays but NumPy's, what tells the device of one of them.
_finders: dict[type, Callable[[Array], Device]] = {}

_default: ContextVar[Device] = ContextVar("minires_default_device", default=cpu)


def get(device: str | Device | None = None) -> Device:
    """Return the device called `device`; None stands for the CPU, or for that of `default`.

    Parameters
    ----------
    device : str or Device, optional
        ``"cpu"``; ``"cuda:0"``, or ``"cuda"``, which is the first GPU; or ``"meta"``, whose arrays
        hold no values.

    Raises
    ------
    ValueError
        If there is no device of that name.
    RuntimeError
        If it is a GPU, and CuPy, its driver or the GPU itself is missing; it says which.
    """
    if device is None:
        return _default.get()
    if isinstance(device, Device):
        return device
    known = _devices.get(device) if isinstance(device, str) else None
    if known is not None:
        return known
    kind, _, number = device.partition(":") if isinstance(device, str) else (device, "", "")
    if kind == "cuda" and (number.isdecimal() or device == "cuda"):
        index = int(number or 0)
        found = get(f"cuda:{index}") if device == "cuda" else cuda.load(index)
        _devices[device] = found
        return found
    raise ValueError(
        f"unknown device {device!r}; there are 'cpu', 'cuda' and 'cuda:0', 'cuda:1', ..., and"
        " 'meta', whose arrays hold no values"
    )


@contextmanager
def default(device: str | Device | None) -> Iterator[None]:
    """Make Tensors on `device` inside the block, where no other one is asked for.

    None leaves the default as it is.

    Examples
    --------
    >>> import minires as mr
    >>> with mr.devices.default("meta"):
    ...     layer = mr.nn.Linear(100_000, 100_000)
    >>> layer.weight.shape, layer.weight.device
    ((100000, 100000), device('meta'))
    """
    token = _default.set(get(device))
    try:
        yield
    finally:
        _default.reset(token)


def of(array: Array) -> Device:
    """Return the device on which `array` lives; numbers and lists live on the CPU."""
    finder = _finders.get(array.__class__)
    return cpu if finder is None else finder(array)


def register(device: Device, array_type: type, finder: Callable[[Array], Device]) -> None:
    """Make a device known by its name, and its arrays by their class.

    Parameters
    ----------
    device : Device
    array_type : type
        The class of its arrays.
    finder : callable
        Returns the device of such an array, for several devices may share the class.
    """
    _devices[device.name] = device
    _finders[array_type] = finder
    ARRAY_TYPES.add(array_type)


def unregister(device: Device, array_type: type) -> None:
    """Forget a device and its class of arrays."""
    for name in [name for name, known in _devices.items() if known is device]:
        del _devices[name]
    _finders.pop(array_type, None)
    ARRAY_TYPES.discard(array_type)


register(meta, MetaArray, lambda _: meta)


__all__ = [
    "ARRAY_TYPES",
    "Array",
    "Device",
    "NoValuesError",
    "Normalizer",
    "NumpyDevice",
    "Window",
    "accumulator",
    "as_dtype",
    "bool_",
    "cpu",
    "cuda",
    "default",
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
    "meta",
    "of",
    "random",
    "register",
    "result_dtype",
    "set_num_threads",
    "uint8",
    "unregister",
]
