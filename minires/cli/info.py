"""`minires info`: what is installed, and what it computes with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from minires.devices.cuda import Gpu

HELP = (
    "Tell the versions, the machine and its GPUs, and the kernels and threads that minires computes"
    " with."
)

_LABELS = {
    "blas": "BLAS",
    "blas_threads": "BLAS threads",
    "kernels": "minires' kernels",
    "threads": "minires' threads",
}


def run_info(
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.devices import cuda
    from minires.devices.precision import get_float32_matmul_precision
    from minires.training.machine import environment

    told = environment()
    precision = get_float32_matmul_precision()
    gpus, missing, versions = cuda.describe(), cuda.missing(), cuda.versions()
    if json:
        from minires.serialize.json_text import to_json

        of_cuda = {
            "missing": missing or None,
            "float32_matmul_precision": precision,
            "versions": versions and versions._asdict(),
            "devices": [gpu._asdict() for gpu in gpus],
        }
        typer.echo(to_json({"schema": "minires.info/1", **told, "cuda": of_cuda}), nl=False)
        return
    for name, value in told.items():
        _line(_LABELS.get(name, name), value)
    if versions:
        driver = f"the driver goes up to {versions.driver}" if versions.driver else "no driver"
        _line("CuPy", f"{versions.cupy}, for CUDA {versions.runtime}; {driver}")
    for gpu in gpus:
        _line(gpu.device, _about(gpu))
    if gpus:
        _line("float32 products", f"{precision} precision")
    if missing:
        _line("cuda", f"not available: {missing}")
    if told["kernels"] == "numpy":
        if os.environ.get("MINIRES_KERNELS"):
            typer.echo("\nThe environment variable MINIRES_KERNELS=numpy leaves Numba aside.")
        else:
            typer.echo("\nFaster kernels: pip install 'minires[fast]' (Numba)")


def _line(label: str, value: Any) -> None:
    typer.echo(f"{label:<18}{value}")


def _about(gpu: Gpu) -> str:
    free, total = (size / 2**30 for size in (gpu.free_memory, gpu.total_memory))
    capability = f"compute capability {gpu.compute_capability}"
    return f"{gpu.name}, {capability}, {free:.1f} of {total:.1f} GiB free"
