"""How a kernel reaches CuPy: what is compiled, how often, and what it is started with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minires.devices.cuda.cuda_device import CudaDevice
from minires.devices.cuda.kernel import Kernel
from minires.devices.cuda.launching import Launching
from tests.devices.cuda import api
from tests.devices.cuda.samples import SCALE


class RawModule:
    """CuPy's, as far as it can be had without a GPU: it notes what it is asked."""

    made: list[RawModule]

    def __init__(self, **options: Any) -> None:
        api.check_call("cupy.RawModule", (), options)
        self.options = options
        self.started: list[tuple[Any, ...]] = []
        self.made.append(self)

    def get_function(self, name: str) -> Any:
        assert f"{name}(" in self.options["code"]
        return lambda grid, block, args: self.started.append((grid, block, args))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> CudaDevice:
    monkeypatch.setattr(RawModule, "made", [], raising=False)
    return CudaDevice(SimpleNamespace(RawModule=RawModule), 0)


def launch(device: CudaDevice, dtype: str, grid: Any = 3) -> None:
    x = np.ones(70, dtype)
    device.launch(SCALE, grid, x, np.empty_like(x), 70, 2.5, T=x.dtype)


def test_a_kernel_is_compiled_once_for_each_dtype_as_the_c_plus_plus_that_it_is_tested_as(
    device: CudaDevice,
) -> None:
    for dtype in ("float32", "float64", "float32"):
        launch(device, dtype)

    assert [made.options["code"] for made in RawModule.made] == [
        SCALE.code("float32"),
        SCALE.code("float64"),
    ]
    assert all(made.options["options"] == ("--std=c++17",) for made in RawModule.made)
    assert [len(made.started) for made in RawModule.made] == [2, 1]


def test_it_is_started_with_numbers_of_the_types_that_its_source_declares(
    device: CudaDevice,
) -> None:
    launch(device, "float16")
    launch(device, "float16", (2, 3))

    (grid, block, args), (other, *_) = RawModule.made[0].started
    assert (grid, block, other) == ((3,), (SCALE.block,), (2, 3))
    # CuPy hands a Python number over as int64 or float64, whatever the kernel reads.
    assert [type(number) for number in args[2:]] == [np.int32, np.float32]


@pytest.mark.parametrize("grid", [0, (2, 0)])
def test_no_blocks_are_no_launch_which_cuda_would_refuse(device: CudaDevice, grid: Any) -> None:
    launch(device, "float32", grid)

    assert not any(made.started for made in RawModule.made)


BOX = np.dtype([("width", "i4"), ("height", "i4")])
SOURCE = r"""
struct Box { int width, height; };
extern "C" __global__ void fill(T* y, A value, bool twice, Box box, const T* more) {}
"""
FILL = Kernel(SOURCE, plain=lambda *args: None, types={"Box": BOX})


class Recording(Launching):
    """Launches on a CuPy that writes down what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[Any, ...]] = []
        function = SimpleNamespace(
            get_function=lambda name: lambda *given: self.given.append(given)
        )
        self.xp = SimpleNamespace(RawModule=lambda code, options: function)
        self._functions = {}


def test_numbers_have_cs_types_and_structures_are_bytes_without_a_name():
    device, y = Recording(), np.zeros(3, "float16")
    box = np.array((3, 4), BOX)
    device.launch(FILL, 2, y, 1.5, True, box, None, T=y.dtype)

    ((grid, block, (first, value, twice, structure, more)),) = device.given
    assert (grid, block) == ((2,), (256,))
    assert first is y
    assert (type(value), type(twice)) == (np.float32, np.bool_)
    assert more is None
    # CuPy reads the address from __array_interface__, which for named fields lists all of them.
    assert structure.dtype == "V8"
    assert structure.dtype.names is None
    assert structure.shape == ()
    assert np.shares_memory(structure, box)
