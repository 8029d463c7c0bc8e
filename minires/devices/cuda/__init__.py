"""GPUs by NVIDIA, through CuPy: which there are, and what is missing where there are none.

CuPy is imported when somebody asks, never before. It is enough that a CUDA device is named for it
to be looked for; all else of minires works without.

How it computes can be read in this order:

=============================== ==================================================================
kernel, layout, launching       what a kernel is, how images lie in memory, how a kernel is started
sliding, convolution, pooling   windows: each kernel beside its plain version, and what calls it
blocks, moments, batch_norm,    sums that many threads share, and batch normalisation: its kernels,
batch_norm_backward,            then what calls them
normalization
losses, elementwise, scatter,   a kernel or two each; in any order
tally, augmentation, summary
update_tables, sgd, adam,       many parameters in one launch
updates
cublas, blas                    matrix products, by C functions
graph, memory                   recording launches; who has how much memory
cuda_device                     the device, made of all that
=============================== ==================================================================
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .cuda_device import CudaDevice

# What the names and keywords that minires uses were recorded from, and what it is tested with.
TESTED = (14, 2)
# cudaErrorInsufficientDriver and cudaErrorNoDevice.
_DRIVER_TOO_OLD, _NO_DEVICE = 35, 100
_WHEELS = {13: "gpu", 12: "gpu-cuda12"}
# The number of the GPU that this process computes on, once one was asked for.
_in_use: list[int] = []


class Gpu(NamedTuple):
    """A GPU, as `describe` tells of it.

    Attributes
    ----------
    device : str
        Its name in minires: ``"cuda:0"``.
    name : str
        Its maker's name for it.
    compute_capability : str
        Such as ``"9.0"``.
    total_memory, free_memory : int
        In bytes.
    """

    device: str
    name: str
    compute_capability: str
    total_memory: int
    free_memory: int


class Versions(NamedTuple):
    """What computes on the GPUs: CuPy, its CUDA, and the CUDA that the driver goes up to."""

    cupy: str
    runtime: str
    driver: str


def load(index: int = 0) -> CudaDevice:
    """Return the CUDA device with this number, and make it known to `minires.devices`.

    It becomes CUDA's current GPU in this thread: that is where CuPy allocates and launches. To
    change it back and forth at every op would take time, so a process has one GPU.

    Raises
    ------
    RuntimeError
        If it cannot be used; the message says what is missing and what to do.
    """
    if reason := missing(index) or _other_in_use(index):
        raise RuntimeError(f"device 'cuda:{index}' is not available: {reason}")
    from .. import register
    from .cuda_device import CudaDevice

    cupy = _cupy()
    cupy.cuda.Device(index).use()
    device = CudaDevice(cupy, index)
    _in_use[:] = [index]
    register(device, cupy.ndarray, lambda array: device)
    return device


def is_available() -> bool:
    """Tell whether there is a GPU to compute on; `missing` says what it lacks.

    Examples
    --------
    >>> import minires as mr
    >>> device = "cuda" if mr.cuda.is_available() else "cpu"
    """
    return not missing()


def device_count() -> int:
    """Return how many GPUs there are to compute on: ``"cuda:0"``, ``"cuda:1"``, ..."""
    return 0 if missing() else int(_cupy().cuda.runtime.getDeviceCount())


def missing(index: int = 0) -> str:
    """Say what the CUDA device with this number lacks, and what to do; "" if it lacks nothing."""
    if sys.platform == "darwin":
        return "CUDA does not exist on macOS; everything runs on device 'cpu'"
    try:
        cupy = _cupy()
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return (
                "CuPy is not installed; pip install 'minires[gpu]' (CUDA 13), or"
                " 'minires[gpu-cuda12]' (CUDA 12)"
            )
        return _unusable(error)
    except (ImportError, OSError) as error:
        return _unusable(error)
    return (
        _wrong_cupy(cupy)
        or _missing_driver(cupy)
        or _missing_gpu(cupy, index)
        or _missing_library()
    )


def describe() -> list[Gpu]:
    """Tell of the GPUs that can be used; none where something is `missing`."""
    if missing():
        return []
    cupy = _cupy()
    found = []
    for index in range(cupy.cuda.runtime.getDeviceCount()):
        told = cupy.cuda.runtime.getDeviceProperties(index)
        with cupy.cuda.Device(index):
            free, total = cupy.cuda.runtime.memGetInfo()
        name = told["name"].decode()
        capability = f"{told['major']}.{told['minor']}"
        found.append(Gpu(f"cuda:{index}", name, capability, total, free))
    return found


def versions() -> Versions | None:
    """Return the versions of CuPy, CUDA and the driver; None where CuPy is not installed."""
    try:
        cupy = _cupy()
    except (ImportError, OSError):
        return None
    runtime = cupy.cuda.runtime
    numbers = (runtime.runtimeGetVersion(), runtime.driverGetVersion())
    return Versions(cupy.__version__, *map(_dotted, numbers))


def _cupy() -> Any:
    import cupy

    return cupy


def _unusable(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return f"CuPy is installed but cannot be imported ({first}); pip install 'minires[gpu]'"


def _wrong_cupy(cupy: Any) -> str:
    if cupy.cuda.runtime.is_hip:
        return "this CuPy is built for AMD's ROCm; minires' kernels are for NVIDIA's CUDA"
    if _numbers(cupy.__version__) < TESTED:
        wanted = ".".join(map(str, TESTED))
        return (
            f"CuPy {cupy.__version__} is too old, minires is made for {wanted} and newer;"
            " pip install --upgrade 'minires[gpu]'"
        )
    return ""


def _missing_driver(cupy: Any) -> str:
    runtime = cupy.cuda.runtime
    try:
        runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if error.status == _NO_DEVICE:
            return _NO_GPU
        if error.status != _DRIVER_TOO_OLD:
            return f"the NVIDIA driver does not work ({error}); does nvidia-smi?"
        supported = runtime.driverGetVersion()
        if not supported:
            return (
                "there is no NVIDIA driver; install one, and try it with nvidia-smi (in a"
                " container, start that with GPUs)"
            )
        wheel = runtime.runtimeGetVersion() // 1000
        reason = f"CuPy is built for CUDA {wheel}, and the NVIDIA driver goes up to CUDA "
        reason += f"{_dotted(supported)}; update the driver"
        other = _WHEELS.get(supported // 1000)
        if other:
            reason += f", or pip uninstall cupy-cuda{wheel}x; pip install 'minires[{other}]'"
        return reason
    return ""


_NO_GPU = (
    "the NVIDIA driver finds no GPU; nvidia-smi lists them, and the environment variable"
    " CUDA_VISIBLE_DEVICES may hide them"
)


def _missing_gpu(cupy: Any, index: int) -> str:
    count = cupy.cuda.runtime.getDeviceCount()
    if index < count:
        return ""
    if count == 0:
        return _NO_GPU
    return f"there is {'one GPU, cuda:0' if count == 1 else f'cuda:0 to cuda:{count - 1}'}"


def _other_in_use(index: int) -> str:
    if not _in_use or _in_use == [index]:
        return ""
    return (
        f"this process computes on cuda:{_in_use[0]} already, and a process has one GPU; use that,"
        " or start another process"
    )


def _missing_library() -> str:
    """Look for what CuPy finds only when the first kernel or matrix product needs it."""
    from cuda import pathfinder  # comes with CuPy

    for name, purpose in (("nvrtc", "compiles kernels"), ("cublas", "multiplies matrices")):
        try:
            pathfinder.load_nvidia_dynamic_lib(name)
        except pathfinder.DynamicLibNotFoundError:
            return (
                f"CUDA's library {name}, which {purpose}, is not found;"
                " pip install 'minires[gpu]' brings it"
            )
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Read the first two numbers of a version: (14, 2) of "14.2.0rc1"."""
    return tuple(int(part) for part in version.split(".")[:2])


def _dotted(version: int) -> str:
    """Write CUDA's 13020 as "13.2"."""
    return f"{version // 1000}.{version % 1000 // 10}" if version else "none"
