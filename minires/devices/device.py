"""What a device offers: its array library `xp`, and the few kernels that may differ."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .augmentation import AugmentationKernels
from .dtypes import as_dtype, default_float
from .losses import LossKernels
from .normalization import NormalizationKernels
from .pooling import PoolingKernels
from .resampling import ResamplingKernels
from .summary import SummaryKernels
from .tally import TallyKernels
from .updates import UpdateKernels

Array = Any


class Device(
    PoolingKernels,
    ResamplingKernels,
    NormalizationKernels,
    LossKernels,
    SummaryKernels,
    UpdateKernels,
    TallyKernels,
    AugmentationKernels,
):
    """A place where arrays live and are computed with.

    Ordinary work goes through `xp` (the array library: numpy, or cupy on a GPU). What needs
    more care than a call of `xp` is a named kernel: the readable version stands in this class and
    its bases, a device overrides the few it can do better.

    Attributes
    ----------
    name : str
        What a user writes: ``"cpu"`` or ``"cuda:0"``.
    xp
        The array library.
    synchronous : bool
        Whether looking at a value costs nothing. Where it is false, computing runs ahead of
        Python, and every look waits for it and copies.
    recomputes : bool
        Whether normalised activations are computed once more on the way back rather than kept. It
        saves the traffic to memory; where each kernel has to be launched it saves no time.
    holds_values : bool
        Whether its arrays have values. Where it is false nothing is drawn to be their values.
    """

    name: str
    xp: Any
    synchronous = True
    recomputes = True
    holds_values = True

    def __repr__(self) -> str:
        return f"device({self.name!r})"

    def __reduce__(self) -> Any:
        """Copy and pickle by name: a device is a place, of which there is only one."""
        from . import get

        return get, (self.name,)

    def __str__(self) -> str:
        return self.name

    def array(self, data: Any, dtype: Any = None) -> Array:
        """Copy `data` (host array, nested list or number) to this device.

        Arrays and NumPy scalars keep their dtype; Python floats become float32.
        """
        raise NotImplementedError

    def to_numpy(self, array: Array) -> Array:
        """Return `array` on the host: itself on the CPU, a copy from elsewhere."""
        raise NotImplementedError

    def fingerprint(self, array: Array) -> int:
        """Checksum of the array's bytes, to notice that somebody wrote into it."""
        raise NotImplementedError

    def shares_memory(self, a: Array, b: Array) -> bool:
        """Tell whether writing into `a` may change `b`."""
        return bool(self.xp.may_share_memory(a, b))

    def read_only(self, array: Array) -> Array:
        """Return a view that cannot be written into, where the array library has such views."""
        return array

    def erf(self, x: Array) -> Array:
        """Error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
        raise NotImplementedError

    def quiet(self) -> AbstractContextManager[Any]:
        """Return a context in which NaN and infinity arise without a warning."""
        return nullcontext()

    def capture(self) -> AbstractContextManager[Any]:
        """Record launches in a graph; only GPUs can.

        Raises
        ------
        RuntimeError
            Everywhere else.
        """
        raise self._no_gpu("capture", "no launches that a graph could save")

    def memory(self) -> Any:
        """Tell how the memory is used; only of a GPU, as `capture`."""
        raise self._no_gpu("memory", "no memory of its own")

    def free_memory(self) -> None:
        """Give memory that no array has back to the driver; only on a GPU, as `capture`."""
        raise self._no_gpu("free_memory", "no memory of its own")

    def _no_gpu(self, asked: str, lacks: str) -> RuntimeError:
        return RuntimeError(
            f"{asked}: device {self.name!r} has {lacks}; ask a GPU, as in"
            f" mr.devices.get('cuda').{asked}()"
        )

    def is_capturing(self) -> bool:
        """Tell whether what is computed now is recorded in a graph, instead of being done."""
        return False

    def astype(self, x: Array, dtype: Any) -> Array:
        """Return x in `dtype`; x itself if it has that dtype already."""
        return x if x.dtype == dtype else x.astype(as_dtype(dtype))

    def floating(self, x: Array) -> Array:
        """Return x itself if it is floating, else x as float32."""
        return x if x.dtype.kind == "f" else x.astype(default_float)
