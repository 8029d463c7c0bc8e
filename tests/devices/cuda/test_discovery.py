"""What is said where a GPU cannot be used, and what is told of those that can."""

from __future__ import annotations

import subprocess
import sys
import types
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest

import minires as mr
from minires import devices
from minires.devices import cuda

INSUFFICIENT_DRIVER, NO_DEVICE, UNKNOWN = 35, 100, 999


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(f"error {status}")
        self.status = status


def planted(
    *,
    count: int = 1,
    status: int = 0,
    driver: int = 13020,
    version: str = "14.2.0",
    is_hip: bool = False,
) -> ModuleType:
    """A module with as much of CuPy as discovery asks for."""

    def get_device_count() -> int:
        if status:
            raise CUDARuntimeError(status)
        return count

    properties = {"name": b"Planted H1", "major": 9, "minor": 0}
    runtime = types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=get_device_count,
        getDeviceProperties=lambda index: properties,
        driverGetVersion=lambda: driver,
        runtimeGetVersion=lambda: 13020,
        memGetInfo=lambda: (3 << 30, 4 << 30),
        is_hip=is_hip,
    )
    module: Any = ModuleType("cupy")
    module.__version__ = version
    module.cuda = types.SimpleNamespace(runtime=runtime, Device=lambda index: nullcontext())
    return module


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The libraries that pathfinder finds."""
    found = {"nvrtc", "cublas"}

    class DynamicLibNotFoundError(RuntimeError):
        pass

    def load_nvidia_dynamic_lib(name: str) -> None:
        if name not in found:
            raise DynamicLibNotFoundError(name)

    package: Any = ModuleType("cuda")
    package.pathfinder = types.SimpleNamespace(
        DynamicLibNotFoundError=DynamicLibNotFoundError,
        load_nvidia_dynamic_lib=load_nvidia_dynamic_lib,
    )
    monkeypatch.setitem(sys.modules, "cuda", package)
    return found


@pytest.mark.parametrize(
    ("cupy", "told"),
    [
        (None, "CuPy is not installed; pip install 'minires[gpu]'"),
        (planted(version="13.6.0"), "CuPy 13.6.0 is too old, minires is made for 14.2"),
        (planted(is_hip=True), "built for AMD's ROCm"),
        (planted(status=INSUFFICIENT_DRIVER, driver=0), "there is no NVIDIA driver"),
        (
            planted(status=INSUFFICIENT_DRIVER, driver=12080),
            "goes up to CUDA 12.8; update the driver, or pip uninstall cupy-cuda13x;"
            " pip install 'minires[gpu-cuda12]'",
        ),
        (planted(status=INSUFFICIENT_DRIVER, driver=11040), "goes up to CUDA 11.4; update the"),
        (planted(status=NO_DEVICE), "finds no GPU"),
        (planted(count=0), "finds no GPU"),
        (planted(status=UNKNOWN), "does not work (error 999)"),
    ],
)
def test_each_lack_has_its_own_words(
    cupy: ModuleType | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(sys, "platform", "linux")

    assert told in cuda.missing()
    assert "\n" not in cuda.missing()
    assert (cuda.is_available(), cuda.device_count(), cuda.describe()) == (False, 0, [])
    with pytest.raises(RuntimeError, match="device 'cuda:0' is not available: "):
        devices.get("cuda")


def test_on_macos_nobody_is_told_to_install_what_does_not_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(sys, "platform", "darwin")

    assert "does not exist on macOS" in cuda.missing()
    assert "install" not in cuda.missing()


@pytest.mark.parametrize(("count", "told"), [(1, "one GPU, cuda:0"), (2, "cuda:0 to cuda:1")])
def test_a_gpu_that_is_not_there_is_told_by_those_that_are(
    count: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", planted(count=count))

    assert cuda.missing(count - 1) == ""
    with pytest.raises(RuntimeError, match=f"'cuda:{count}' is not available: .*{told}"):
        devices.get(f"cuda:{count}")


def test_a_process_computes_on_one_gpu_which_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cupy, used = planted(count=3), []

    class OneGpu(nullcontext[None]):
        def __init__(self, index: int) -> None:
            super().__init__()
            self.use = lambda: used.append(index)

    monkeypatch.setattr(cupy.cuda, "Device", OneGpu)
    monkeypatch.setattr(cupy, "ndarray", type("ndarray", (), {}), raising=False)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cuda, "_in_use", [])
    device = devices.get("cuda:1")
    try:
        assert used == [1]
        assert devices.of(cupy.ndarray()) is devices.get("cuda:1") is device
        with pytest.raises(RuntimeError, match=r"'cuda:2' is not available: .*cuda:1 already"):
            devices.get("cuda:2")
    finally:
        devices.unregister(device, cupy.ndarray)


@pytest.mark.parametrize("library", ["nvrtc", "cublas"])
def test_a_library_of_cuda_that_is_not_there_is_named_before_the_first_kernel(
    library: str, libraries: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", planted())
    libraries.remove(library)

    assert f"library {library}" in cuda.missing()
    assert "pip install 'minires[gpu]'" in cuda.missing()


def test_gpus_are_described_by_name_capability_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", planted(count=2))

    assert (cuda.is_available(), cuda.device_count()) == (True, 2)
    first, second = cuda.describe()
    assert first == ("cuda:0", "Planted H1", "9.0", 4 << 30, 3 << 30)
    assert second.device == "cuda:1"
    assert cuda.versions() == ("14.2.0", "13.2", "13.2")


def test_a_cupy_that_cannot_be_imported_is_not_called_missing(tmp_path: Any) -> None:
    (tmp_path / "cupy.py").write_text("raise ImportError('libcudart: cannot open\\nmore words')")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.platform = 'linux'\n"
        "from minires.devices import cuda\nprint(cuda.missing())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stdout.strip() == (
        "CuPy is installed but cannot be imported (libcudart: cannot open);"
        " pip install 'minires[gpu]'"
    )


@pytest.mark.parametrize("name", ["cuda:x", "cuda:-1", "cuda:", "gpu"])
def test_what_is_no_name_of_a_device_is_not_looked_for(name: str) -> None:
    with pytest.raises(ValueError, match="unknown device"):
        devices.get(name)


def test_pytorchs_questions_have_pytorchs_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", planted(count=2))

    assert mr.cuda is cuda
    assert (mr.cuda.is_available(), mr.cuda.device_count()) == (True, 2)
