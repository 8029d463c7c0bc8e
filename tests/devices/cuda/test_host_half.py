"""The host's half holds what NumPy's float16 holds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.devices.cuda import host
from tests.devices.cuda.samples import kernel


@pytest.fixture(autouse=True)
def compiler():
    host.needs_compiler()


HALVES = np.arange(65536, dtype=np.uint16).view(np.float16)


def converted(source: str, target: str, x: np.ndarray) -> np.ndarray:
    """What C++ makes of `x`: `source` and `target` are letters, of half or its accumulator."""
    convert = kernel(
        f"int i = blockIdx.x * BLOCK + threadIdx.x;\nif (i < count) y[i] = ({target})x[i];",
        f"const {source}* x, {target}* y, int count",
        block=256,
    )
    y = np.zeros(x.size, np.float16 if target == "T" else np.float32)
    host.run(convert, convert.grid(x.size), (x, y, x.size), "float16")
    return y


@pytest.mark.long
def test_every_half_becomes_the_float_that_numpy_makes_of_it():
    np.testing.assert_array_equal(converted("T", "A", HALVES), HALVES.astype(np.float32))


@pytest.mark.long
def test_floats_become_the_halves_that_numpy_makes_of_them():
    exact = HALVES.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        # Every half, both neighbours of it, and what lies midway to the next.
        near = [exact, np.nextafter(exact, np.float32(9e9)), np.nextafter(exact, np.float32(-9e9))]
        midway = (exact[:-1].astype(np.float64) + exact[1:]) / 2
        x = np.concatenate([*near, midway.astype(np.float32), np.float32([65519.9, 65520, 1e30])])
        np.testing.assert_array_equal(converted("A", "T", x), x.astype(np.float16))


@pytest.mark.long
def test_half_has_no_arithmetic_of_its_own():
    with pytest.raises(host.DoesNotCompile, match="deleted"):
        host.compiled(kernel("y[0] = x[0] + x[1];", "const T* x, T* y"), "float16")
