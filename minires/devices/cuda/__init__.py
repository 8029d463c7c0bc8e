"""GPUs by NVIDIA, through CuPy."""

from __future__ import annotations

from ..device import Device


def load(index: int) -> Device:
    """Return the GPU with this number, and make it known.

    Raises
    ------
    RuntimeError
        If CuPy, the driver or the GPU is missing; it says which, and what to do.
    """
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            f"device 'cuda:{index}': CuPy is not installed; install it with"
            " pip install 'minires[gpu]', or go on with device 'cpu'"
        ) from error
    from .. import get, register
    from .cuda_device import CudaDevice

    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            f"device 'cuda:{index}': CuPy finds no driver ({error}); go on with device 'cpu'"
        ) from error
    if index >= count:
        raise RuntimeError(f"device 'cuda:{index}': there are {count} GPUs, numbered from 0")
    device = CudaDevice(cupy, index)
    register(device, cupy.ndarray, lambda array: get(f"cuda:{array.device.id}"))
    return device
