"""A strict stand-in for CuPy, for tests of device purity without a GPU.

`module` takes the place of `cupy`. Its `ndarray` refuses what CuPy refuses, with the same types of
errors, and some things that CuPy does in silence (see `errors`). `counting()` counts launches and
transfers, `strict()` lets hidden synchronisation raise, `installed()` makes it minires' "cuda:0".

>>> import numpy as np
>>> from tests.devices.cuda import fake
>>> with fake.counting() as counts:
...     x = fake.module.asarray(np.ones(3, "float32"))
...     y = (x * 2).sum()
>>> len(counts.launches), len(counts.uploads), len(counts.downloads)
(2, 1, 0)
"""

from __future__ import annotations

from .array import ndarray
from .counts import Counts, counting, strict
from .device import installed
from .errors import (
    HiddenUploadError,
    OutOfRangeError,
    OutsideMemoryError,
    PurityError,
    RepeatedIndexError,
    StrayNumpyError,
    SynchronizedError,
    UndefinedCastError,
)
from .launching import launch
from .module import cupyx, module

__all__ = [
    "Counts",
    "HiddenUploadError",
    "OutOfRangeError",
    "OutsideMemoryError",
    "PurityError",
    "RepeatedIndexError",
    "StrayNumpyError",
    "SynchronizedError",
    "UndefinedCastError",
    "counting",
    "cupyx",
    "installed",
    "launch",
    "module",
    "ndarray",
    "strict",
]
