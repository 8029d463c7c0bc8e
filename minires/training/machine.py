"""The machine's side of a measurement: versions, processor, threads."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from minires.devices import Device, cpu, cuda, threads


def environment(device: str | Device = "cpu") -> dict[str, str | int]:
    """Describe where a measurement was taken, without the names of hosts, users or folders.

    Parameters
    ----------
    device : str or Device
        What it is computed on.

    Returns
    -------
    dict
        Versions, system, processor type, number of processors, the library behind NumPy's matrix
        products with its number of threads, and minires' kernels with theirs; of a GPU its name,
        CuPy, and the versions of CUDA.
    """
    return {
        "minires": version("minires"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count() or 1,
        **_blas(),
        "kernels": getattr(cpu, "kernels", "numpy"),
        "threads": threads.get_num_threads(),
        **(_gpu(str(device)) if str(device).startswith("cuda") else {}),
    }


def _processor() -> str:
    """Return the processor's type, such as "Intel Xeon E5-2670", as far as the system tells it."""
    name = platform.processor() or platform.machine()
    try:
        if platform.system() == "Linux":
            told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
            name = re.findall(r"^model name\s*: *(.+)$", told, re.MULTILINE)[0]
        elif platform.system() == "Darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, IndexError, subprocess.CalledProcessError):
        pass  # ARM's Linux tells no name; the architecture is better than nothing
    return " ".join(re.sub(r"\((R|TM)\)|\bCPU\b|@.*", " ", name).split())


def _gpu(device: str) -> dict[str, str | int]:
    versions = cuda.versions()
    names = {gpu.device: gpu.name for gpu in cuda.describe()}
    told = {} if versions is None else versions._asdict()
    return {
        "gpu": names.get("cuda:0" if device == "cuda" else device, "none"),
        **{f"cuda_{name}" if name != "cupy" else name: value for name, value in told.items()},
    }


def _blas() -> dict[str, str | int]:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not libraries:
        return {}
    # SciPy brings another one, and which of them comes first hangs on what was imported first.
    own = next((library for library in libraries if _is_numpys(library)), libraries[0])
    name = f"{own['internal_api']} {own['version']}"
    return {"blas": name, "blas_threads": own["num_threads"]}


def _is_numpys(library: dict[str, Any]) -> bool:
    """Tell whether a library lies in ``numpy`` or in ``numpy.libs``, as wheels bring it."""
    return any(part.split(".")[0] == "numpy" for part in Path(library["filepath"]).parts)
