"""Where a step's time goes on a GPU: the kernels that ran, sorted into phases.

PyTorch's profiler sees every kernel of the process, whoever launched it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

# Parts of kernels' names, in which cuBLAS, CUTLASS and cuDNN call what multiplies matrices.
_PRODUCTS = ("gemm", "cutlass", "xmma", "nvjet", "conv", "wgrad", "dgrad", "fprop", "winograd")
_COPIES = ("memcpy", "memset")
# minires' own kernels that only move columns have a convolution's name, but multiply nothing.
_MOVERS = ("im2col", "col2im", "convert", "nchwto", "nhwcto")


class Ran(NamedTuple):
    """A kernel that ran, and its microseconds."""

    name: str
    microseconds: float


def phase_of(kernel: str) -> str:
    """Return what a kernel does, by its name: products, memory-bound work, or a copy.

    >>> phase_of("sm80_xmma_gemm_f32f32_tf32"), phase_of("im2col"), phase_of("Memcpy DtoH")
    ('products', 'memory-bound', 'copies')
    """
    name = kernel.lower()
    if any(part in name for part in _COPIES):
        return "copies"
    if any(part in name for part in _MOVERS):
        return "memory-bound"
    return "products" if any(part in name for part in _PRODUCTS) else "memory-bound"


def told(ran: Iterable[Ran], steps: int, step_ms: float) -> dict[str, Any]:
    """Return launches and copies per step, and the milliseconds of each phase.

    Parameters
    ----------
    ran : iterable of Ran
        All kernels of `steps` steps.
    steps : int
    step_ms : float
        What a step takes by the clock: in what the kernels leave of it the GPU waits.

    Returns
    -------
    dict
        ``"launches"``, ``"copies"``, and ``"ms"`` of the phases and of ``"waiting"``.
    """
    counts = {"products": 0, "memory-bound": 0, "copies": 0}
    spent = dict.fromkeys(counts, 0.0)
    for kernel in ran:
        phase = phase_of(kernel.name)
        counts[phase] += 1
        spent[phase] += 1e-3 * kernel.microseconds / steps
    busy = sum(spent.values())
    return {
        "launches": (counts["products"] + counts["memory-bound"]) / steps,
        "copies": counts["copies"] / steps,
        "ms": spent | {"waiting": max(step_ms - busy, 0.0)},
    }


def profiled(job: Callable[[], object]) -> list[Ran]:
    """Do the job and return every kernel that ran on the GPU; needs PyTorch for CUDA."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        job()
        torch.cuda.synchronize()
    return [
        Ran(event.name, event.device_time)
        for event in seen.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
