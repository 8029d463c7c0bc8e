"""Numerical derivatives, memory layouts and an onlooker, shared by the tests."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import pytest

import minires as mr

Function = Callable[..., Any]


def leaves(*arrays: Any) -> list[mr.Tensor]:
    """Tensors that require a gradient."""
    return [mr.tensor(array, requires_grad=True) for array in arrays]


def random_like(array: Any, seed: int) -> np.ndarray:
    """A cotangent or a direction: normal random numbers, never all ones."""
    return np.random.default_rng(seed).standard_normal(np.shape(array))


def value_of(function: Function, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """The function's value, unrecorded."""
    with mr.no_grad():
        return function(*(mr.tensor(x) for x in inputs)).numpy()


def vjp_of(function: Function, inputs: Sequence[np.ndarray], cotangent: Any) -> list[np.ndarray]:
    """The gradients that ``backward()`` leaves in the inputs."""
    tensors = leaves(*inputs)
    function(*tensors).backward(mr.tensor(cotangent))
    return [x.grad.numpy() for x in tensors]


def numerical_vjp(
    function: Function, inputs: Sequence[np.ndarray], cotangent: np.ndarray, step: float = 1e-6
) -> list[np.ndarray]:
    """Central differences of <cotangent, function(inputs)>, element by element."""
    gradients = []
    for position, x in enumerate(inputs):
        gradient = np.zeros_like(x)
        for index in np.ndindex(x.shape):
            sides = []
            for shift in (step, -step):
                moved = x.copy()
                moved[index] += shift
                changed = [*inputs[:position], moved, *inputs[position + 1 :]]
                sides.append(value_of(function, changed).astype("float64"))
            gradient[index] = ((sides[0] - sides[1]) * cotangent).sum() / (2 * step)
        gradients.append(gradient)
    return gradients


def along(inputs: Sequence[np.ndarray], directions: Sequence[np.ndarray], t: float) -> list:
    """The inputs, moved by t along the directions."""
    return [x + t * u for x, u in zip(inputs, directions, strict=True)]


def assert_close(found: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    """Equal shapes, and values equal up to the error of a central difference."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


LAYOUTS = ("F", "last axis first", "reversed", "sliced")


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another memory order."""
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "last axis first":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -1, 0)), 0, -1)
    if layout == "reversed":
        return np.flip(np.flip(array).copy())
    roomy = np.full([2 * n + 1 for n in array.shape], np.nan, array.dtype)
    view = roomy[(slice(1, None, 2),) * array.ndim]
    view[...] = array
    return view


def share_memory(*arrays: np.ndarray) -> bool:
    """Whether any two of the arrays overlap."""
    return any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


class Onlooker(mr.autograd.EngineHook):
    """Notes what the engine did."""

    def __init__(self) -> None:
        self.ops: list[str] = []
        self.vjps: list[str] = []
        self.meetings: list[tuple[Any, list[tuple[Any, str, np.ndarray]], np.ndarray]] = []

    def op_ran(self, op: Any, inputs: Any, output: Any, node: Any) -> None:
        self.ops.append(op.name)

    def vjp_ran(self, node: Any, g: Any, contributions: Any) -> None:
        self.vjps.append(node.name)

    def contributions_met(self, node: Any, contributions: Any, total: Any) -> None:
        parts = [(c.consumer, c.edge, _host(c.value).copy()) for c in contributions]
        self.meetings.append((node, parts, _host(total).copy()))

    def met_at(self, tensor: mr.Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What met at a value: its contributions by edge, and their total."""
        ((_, parts, total),) = [m for m in self.meetings if m[0] is tensor._node]
        return {edge: value for _, edge, value in parts}, total


def _host(value: Any) -> np.ndarray:
    return value.numpy() if isinstance(value, mr.Tensor) else np.asarray(value)


def cube_of_constant_slope():
    """An op whose gradient is right, but whose gradient's own gradient is cut off."""

    @mr.op(name="planted_cube")
    def cube(x):
        return x * x * x

    @cube.vjp
    def _(g, x):
        constant = x.detach() if isinstance(x, mr.Tensor) else x
        return 3 * constant * constant * g

    return cube


def missing_browser(what: str) -> NoReturn:
    """Skip a test that needs a browser; with MINIRES_REQUIRE_BROWSER=1, fail it."""
    if os.environ.get("MINIRES_REQUIRE_BROWSER", "") not in ("", "0"):
        pytest.fail(f"MINIRES_REQUIRE_BROWSER is set, but {what}")
    pytest.skip(what)
