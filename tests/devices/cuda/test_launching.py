"""What a kernel is handed, between minires and CuPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from minires.devices.cuda.kernel import Kernel
from minires.devices.cuda.launching import Launching

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
