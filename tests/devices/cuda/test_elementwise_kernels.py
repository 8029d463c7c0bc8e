"""Addition and ReLU on a GPU: the CUDA source against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minires.devices.cuda.convolution import FINISH
from minires.devices.cuda.elementwise import ADD, RELU, RELU_BACKWARD
from minires.devices.cuda.kernel import Kernel
from tests.devices.cuda import host

KERNELS = [ADD, RELU, RELU_BACKWARD]
STRANGE = (0.0, -0.0, np.nan, np.inf, -np.inf, 1e-4, -1e-4)


@pytest.fixture(autouse=True)
def _compiler():
    host.needs_compiler()


def case(kernel: Kernel, T: str = "float32", count: int = 300) -> tuple[Any, ...]:
    """As many arrays as the kernel has, the last of them unset."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(count).astype(T) for p in kernel.parameters if p.is_const]
    arrays[-1][: len(STRANGE)] = STRANGE
    return kernel.grid(count), (*arrays, np.full(count, np.nan, T), count), T


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_the_source_equals_the_plain_version(kernel):
    grid, args, T = case(kernel)
    host.check(kernel, grid, args, T)


@pytest.mark.long
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("T", ["float16", "float64"])
def test_in_other_dtypes(kernel, T):
    grid, args, _ = case(kernel, T)
    host.check(kernel, grid, args, T)


def rectified(kernel: Kernel, x: np.ndarray) -> np.ndarray:
    y = np.full_like(x, np.nan)
    if kernel.name == FINISH.name:
        y = x.copy()
        args: tuple[Any, ...] = y, None, None, True, x.size, x.size
    else:
        args = x, y, x.size
    host.run(kernel, 1, args, "float32")
    return y


@pytest.mark.parametrize("kernel", [RELU, FINISH], ids=str)
def test_the_zero_of_a_relu_is_never_negative_and_nan_stays(kernel):
    x = np.array(STRANGE, "float32").reshape(1, 1, 1, -1)
    y = rectified(kernel, x)
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    assert not np.signbit(y[~np.isnan(y)]).any()
    wrong = rectified(host.mutated(kernel, "value <= 0", "value < 0"), x)
    assert np.signbit(wrong[~np.isnan(wrong)]).any()


@pytest.mark.long
@pytest.mark.parametrize(
    ("kernel", "mistakes"),
    [
        (ADD, [("i < count", "i <= count"), ("+ (A)b", "- (A)b"), ("b[i]", "a[i]")]),
        (RELU, [("i >= count", "i > count"), ("value <= 0", "!(value > 0)")]),
        (RELU, [("* BLOCK", "* (BLOCK - 1)"), ("value <= 0", "value >= 0")]),
        (RELU_BACKWARD, [("<= 0", "< 0"), ("(A)output[i] <= 0", "!((A)output[i] > 0)")]),
        (RELU_BACKWARD, [("i < count", "i <= count"), ("(A)g[i]", "(A)output[i]")]),
    ],
    ids=str,
)
def test_mistakes_are_noticed(kernel, mistakes):
    assert host.unnoticed(kernel, mistakes, [case(kernel)]) == []
