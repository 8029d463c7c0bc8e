"""The floor of a training step on a GPU, and the speeds that it stands on.

It is the floor of `minires.lab.floor` for a device that takes a whole batch at once: every product
of im2col is one call, and the traffic is the same ten passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .floor import Convolution, work_of
from .timing import Job, finished, interleaved

if TYPE_CHECKING:
    from minires.devices.cuda.cuda_device import CudaDevice

# More than the caches of a GPU hold.
_COPIED = 256 << 20


class DeviceFloor:
    """The matrix products and the memory traffic of a training step, as jobs to be timed.

    Parameters
    ----------
    convolutions : sequence of Convolution
    batch : int
        Images per step.
    device : CudaDevice

    Attributes
    ----------
    gigaflops : float
        Arithmetic of the products, in 10^9 operations; a multiplication and an addition are two.
    traffic_bytes : int
        Ten passes over all convolution outputs in float32.
    """

    def __init__(self, convolutions: Sequence[Convolution], batch: int, device: CudaDevice) -> None:
        counted, self.gigaflops, self.traffic_bytes = work_of(convolutions, batch)
        xp = device.xp
        large = max(batch * p.rows * max(p.left, p.right) for p in counted)
        small = max(p.left * p.right for p in counted)
        # All products share their memory; none reads what another wrote, which would grow.
        columns, given, images = (xp.full(large, 0.5, "float32") for _ in range(3))
        weight, gradient = (xp.full(small, 0.5, "float32") for _ in range(2))
        self._products: list[Job] = []
        for (rows, left, right, reduces), count in counted.items():
            a = columns[: left * batch * rows].reshape(left, batch * rows)
            dy, y = (m[: right * batch * rows].reshape(right, -1) for m in (given, images))
            w, dw = (m[: left * right].reshape(right, left) for m in (weight, gradient))
            product = (
                partial(device.gemm, dy, a.T, dw) if reduces else partial(device.gemm, w, a, y)
            )
            self._products += [product] * count
        self._copy = _Copy(device)

    def products(self) -> None:
        """Compute all matrix products of a step."""
        for product in self._products:
            product()

    def traffic(self) -> None:
        """Move as many bytes as ten passes do: a copy is two, for it reads and writes."""
        self._copy(self.traffic_bytes // 2)


class _Copy:
    """Copies memory of a device within it."""

    def __init__(self, device: CudaDevice) -> None:
        self._xp = device.xp
        self._source, self._target = (device.xp.zeros(_COPIED // 4, "float32") for _ in range(2))

    def __call__(self, size: int) -> None:
        for left in range(size // 4, 0, -self._source.size):
            self._xp.copyto(self._target[:left], self._source[:left])


def device_speed(device: CudaDevice, side: int = 8192, size: int = 4 << 30) -> dict[str, float]:
    """Measure the peak of matrix products and of copying on a device, the best of five.

    Parameters
    ----------
    device : CudaDevice
    side : int
        Of the matrices, float32.
    size : int
        Bytes to copy.

    Returns
    -------
    dict
        ``"sgemm_gflops"``, 10^9 operations a second, in the device's precision of the moment; and
        ``"copy_gbps"``, 10^9 bytes a second, read or written.
    """
    a, b, out = (device.xp.ones((side, side), "float32") for _ in range(3))
    jobs: dict[str, Any] = {
        "product": partial(device.gemm, a, b, out),
        "copy": partial(_Copy(device), size),
    }
    measured = interleaved(
        {name: finished(job, device) for name, job in jobs.items()}, rounds=5, warm_up=2
    )
    return {
        "sgemm_gflops": 2e-9 * side**3 / min(measured.wall["product"]),
        "copy_gbps": 2e-9 * size / min(measured.wall["copy"]),
    }
