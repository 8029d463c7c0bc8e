"""minires' CUDA device on the fake: everything but the launch of a kernel is the real code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minires import devices
from minires.devices.cuda.cuda_device import CudaDevice
from minires.devices.cuda.kernel import Kernel

from .array import ndarray
from .cublas import FakeCublas
from .errors import OutsideMemoryError
from .launching import launch, unwrap
from .memory import MemoryPointer, allocation
from .module import module


class FakeCudaDevice(CudaDevice):
    """A CudaDevice whose kernels run on the host, one counted launch each.

    Parameters
    ----------
    kernels : {"plain", "host"}
        Whether a launch runs the kernel's plain version, or its source compiled for the host.
    """

    def __init__(self, kernels: str = "plain") -> None:
        assert kernels in ("plain", "host"), kernels
        super().__init__(module, 0)
        self.kernels = kernels

    def _compiled(self, kernel: Kernel, T: Any) -> Callable[..., None]:
        arrays = [p for p in kernel.parameters if p.is_array]

        def start(grid: Any, block: Any, args: tuple[Any, ...]) -> None:
            given = [
                (p, x) for p, x in zip(kernel.parameters, args, strict=True) if p in arrays and
                x is not None
            ]  # fmt: skip
            for p, x in given:
                if not isinstance(x, ndarray):
                    raise TypeError(
                        f"kernel {kernel.name}: array {p.name!r} is {type(x)}, which has no address"
                        " on the device"
                    )
            hosts = unwrap(tuple(args))
            tables = [x for x in hosts if getattr(x, "dtype", None) in kernel.types.values()]
            launch(
                kernel.name,
                lambda: self._execute(kernel, grid, hosts, T),
                [x for p, x in given if p.is_const],
                [x for p, x in given if not p.is_const] + pointed_to(kernel, tables),
            )

        return start

    def _execute(self, kernel: Kernel, grid: Any, hosts: tuple[Any, ...], T: Any) -> None:
        if self.kernels == "plain":
            kernel.plain(*hosts)
            return
        from tests.devices.cuda import host

        host.run(kernel, grid, hosts, T)

    def _cublas_library(self) -> FakeCublas:
        return FakeCublas()

    def erf(self, x: Any) -> Any:
        # cupyx.scipy.special.erf, one elementwise kernel
        from scipy.special import erf

        given = x._host
        return launch("erf", lambda: erf(given).astype(given.dtype).copy("C"), (x,))


def pointed_to(kernel: Kernel, tables: list[Any]) -> list[ndarray]:
    """Return what stands for the memory that addresses in structures lead to, which must live."""
    found = []
    for table in tables:
        for name in [name for name in table.dtype.names if table.dtype[name].base == "uint64"]:
            for address in table[name][(table["size"] != 0) & (table[name] != 0)].tolist():
                memory = allocation(address)
                if memory is None:
                    raise OutsideMemoryError(
                        f"kernel {kernel.name}: {name} has the address {address:#x}, where nothing"
                        " is allocated"
                    )
                found.append(ndarray(memory.nbytes, "uint8", MemoryPointer(memory, 0)))
    return found


@contextmanager
def installed(kernels: str = "plain") -> Iterator[FakeCudaDevice]:
    """Register a FakeCudaDevice as "cuda:0" (and "cuda") of minires, and yield it.

    Parameters
    ----------
    kernels : {"plain", "host"}
        What a launch of a CUDA kernel runs: its plain version, or its source compiled for the host.
        Where there is no compiler, "host" skips the test.
    """
    if kernels == "host":
        from tests.devices.cuda import host

        host.needs_compiler()
    device = FakeCudaDevice(kernels)
    devices.register(device, ndarray, lambda array: device)
    try:
        yield device
    finally:
        devices.unregister(device, ndarray)
