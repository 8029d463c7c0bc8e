"""The machine's side of a measurement: versions, processor, threads."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np


def environment() -> dict[str, str | int]:
    """Describe where a measurement was taken, without the names of hosts, users or folders.

    Returns
    -------
    dict
        Versions, system, processor type, number of processors, and the library behind NumPy's
        matrix products with its number of threads.
    """
    return {
        "minires": version("minires"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count() or 1,
        **_blas(),
    }


def _blas() -> dict[str, str | int]:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    for library in threadpool_info():
        if library["user_api"] == "blas":
            name = f"{library['internal_api']} {library['version']}"
            return {"blas": name, "blas_threads": library["num_threads"]}
    return {}


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute matrix products on one thread inside the block.

    The products of these small networks take microseconds. Sharing one out costs more than it
    saves, and threads that wait for each other on a busy machine make it many times slower.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
