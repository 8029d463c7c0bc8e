"""The machine's side of a measurement: versions, processor, threads."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np

from minires.devices import cpu, threads


def environment() -> dict[str, str | int]:
    """Describe where a measurement was taken, without the names of hosts, users or folders.

    Returns
    -------
    dict
        Versions, system, processor type, number of processors, the library behind NumPy's matrix
        products with its number of threads, and minires' kernels with theirs.
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


def _blas() -> dict[str, str | int]:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    for library in threadpool_info():
        if library["user_api"] == "blas":
            name = f"{library['internal_api']} {library['version']}"
            return {"blas": name, "blas_threads": library["num_threads"]}
    return {}
