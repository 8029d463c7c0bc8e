"""A GPU: CuPy, and the kernels that do better than CuPy alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Array, Device
from ..dtypes import as_dtype, default_float
from .augmentation import CudaAugmentation
from .blas import CudaBlas
from .convolution import CudaConvolution
from .elementwise import CudaElementwise
from .graph import CudaGraphs
from .losses import CudaLosses
from .memory import CudaMemory
from .normalization import CudaNormalization
from .pooling import CudaPooling
from .scatter import CudaScatter
from .summary import CudaSummary
from .tally import CudaTally
from .updates import CudaUpdates


class CudaDevice(
    CudaAugmentation,
    CudaElementwise,
    CudaPooling,
    CudaConvolution,
    CudaBlas,
    CudaNormalization,
    CudaLosses,
    CudaScatter,
    CudaSummary,
    CudaTally,
    CudaUpdates,
    CudaGraphs,
    CudaMemory,
    Device,
):
    """Arrays in the memory of one GPU.

    Parameters
    ----------
    xp
        CuPy.
    index : int
        The GPU's number.
    """

    synchronous = False
    recomputes = False

    def __init__(self, xp: Any, index: int = 0) -> None:
        self.xp = xp
        self.index = index
        self.name = f"cuda:{index}"
        self._functions = {}

    def array(self, data: Any, dtype: Any = None) -> Array:
        """Copy `data`, keeping an array's memory order; Python floats become float32."""
        if isinstance(data, self.xp.ndarray):
            return data.astype(data.dtype if dtype is None else as_dtype(dtype), order="K")
        self.refuse_upload()
        typed = isinstance(data, (np.ndarray, np.generic))
        host = np.asarray(data)
        if dtype is None and not typed and host.dtype.kind == "f":
            dtype = default_float
        host = host.astype(as_dtype(host.dtype if dtype is None else dtype), copy=False)
        # CuPy keeps no memory order but C's and Fortran's.
        order = sorted(range(host.ndim), key=lambda axis: -abs(host.strides[axis]))
        dense = np.asarray(host.transpose(order), order="C")
        return self.xp.asarray(dense).transpose(np.argsort(order).tolist())

    def to_numpy(self, array: Array) -> Array:
        """Return a copy on the host; it waits for everything that was launched."""
        return array.get() if isinstance(array, self.xp.ndarray) else np.asarray(array)

    def fingerprint(self, array: Array) -> int:
        """Return the digest of the array; it waits for everything that was launched."""
        return int(self.to_numpy(self.digest(array))[0])

    def erf(self, x: Array) -> Array:
        """Error function, by CuPy's SciPy."""
        from cupyx.scipy.special import erf

        return erf(x).astype(x.dtype, copy=False)
