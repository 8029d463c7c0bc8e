"""One sample of PyTorch's op database, computed by PyTorch and by minires, and held side by side.

The samples are PyTorch's own (`torch.testing._internal`, OpInfo): nobody here chose them.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import torch
from hypothesis import settings

import minires as mr

# The dtypes whose samples are run; gradients belong to the first alone.
DTYPES = (torch.float64, torch.int64, torch.bool)

# How minires refuses what it does not take.
REFUSALS = (TypeError, ValueError, IndexError, NotImplementedError)


# Tensors of a sample by identity, each with its copy in minires.
Twins = dict[int, tuple[torch.Tensor, mr.Tensor]]


class DisagreementError(AssertionError):
    """minires' answer is not PyTorch's."""


@dataclass(frozen=True)
class Sample:
    """Arguments of one call, as the op database gives them."""

    dtype: torch.dtype
    input: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        given = [_told(value) for value in (self.input, *self.args)]
        given += [f"{name}={_told(value)}" for name, value in self.kwargs.items()]
        return f"{_name(self.dtype)}: ({', '.join(given)})"


@dataclass(frozen=True)
class Agreement:
    """What was found equal: values always, gradients where there are any."""

    gradients: bool
    second_order: bool


@functools.cache
def database() -> dict[tuple[str, str], Any]:
    """PyTorch's op database, by name and name of variant."""
    # Its import is not always quiet, and makes every test after it follow PyTorch's own profile.
    settings.register_profile("before PyTorch", settings.default)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    settings.load_profile("before PyTorch")
    return {(info.name, info.variant_test_name): info for info in op_db}


def samples_of(info: Any) -> Iterator[Sample]:
    """All samples of an op, the same ones on every run."""
    from torch.testing._internal import common_utils

    # The database looks for the test that asks, in the source of every caller: most of the time.
    no_search = mock.patch.object(common_utils, "extract_test_fn", return_value=None)
    for dtype in DTYPES:
        if dtype not in info.dtypes:
            continue
        common_utils.set_rng_seed(0)
        wants_gradient = dtype == torch.float64 and info.supports_autograd
        options = {"requires_grad": wants_gradient, "set_seed": False}
        with warnings.catch_warnings(), no_search:
            warnings.simplefilter("ignore")
            every = list(info.sample_inputs("cpu", dtype, **options))
        for given in every:
            yield Sample(dtype, given.input, tuple(given.args), dict(given.kwargs))


# NumPy tells of a nan, such as that of a negative number's root, which PyTorch has without a word.
@np.errstate(invalid="ignore")
def compare(info: Any, sample: Sample, call: Callable[..., Any], drawn: bool = False) -> Agreement:
    """Compute a sample both ways; of `drawn` numbers only shape and dtype are compared.

    Raises
    ------
    DisagreementError
        If anything differs: a value, a shape, a dtype, what was written into an argument, a
        gradient, or a gradient's gradient.
    """
    twins: Twins = {}
    convert = functools.partial(_converted, twins=twins)
    inputs, args = convert(sample.input), convert(sample.args)
    found = _outputs(call(inputs, *args, **convert(sample.kwargs)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = _outputs(info(sample.input, *sample.args, **sample.kwargs))

    if len(found) != len(expected):
        raise DisagreementError(f"{len(found)} results instead of {len(expected)}")
    for mine, theirs in zip(found, expected, strict=True):
        if drawn:
            _hold_alike("value", _array(mine), _array(theirs))
        else:
            _hold_equal("value", mine, theirs, *_precision(theirs))
    if drawn:
        return Agreement(gradients=False, second_order=False)
    for theirs, mine in twins.values():
        _hold_equal("argument, after the call,", mine, theirs, 1e-12, 1e-14)
    return _compare_gradients(found, expected, [t for t in twins.values() if t[0].requires_grad])


def _compare_gradients(
    found: list[Any], expected: list[Any], inputs: list[tuple[torch.Tensor, mr.Tensor]]
) -> Agreement:
    outputs = [i for i, y in enumerate(expected) if getattr(y, "requires_grad", False)]
    if not outputs or not inputs:
        return Agreement(gradients=False, second_order=False)
    rng = np.random.default_rng(0)
    theirs, mine = ([pair[side] for pair in inputs] for side in (0, 1))
    loss, my_loss = torch.zeros(()), mr.zeros(())
    for i in outputs:
        cotangent = rng.standard_normal(expected[i].shape)
        loss = loss + (expected[i] * torch.tensor(cotangent)).sum()
        my_loss = my_loss + (found[i] * mr.tensor(cotangent)).sum()
    gradients = torch.autograd.grad(loss, theirs, create_graph=True, allow_unused=True)
    my_gradients = _gradients(my_loss, mine)
    for my_gradient, gradient, x in zip(my_gradients, gradients, theirs, strict=True):
        _hold_equal("gradient", my_gradient, _zeros_for(gradient, x), 1e-9, 1e-11)

    slope, my_slope = torch.zeros(()), mr.zeros(())
    for my_gradient, gradient, x in zip(my_gradients, gradients, theirs, strict=True):
        direction = rng.standard_normal(x.shape)
        if gradient is not None:
            slope = slope + (gradient * torch.tensor(direction)).sum()
        if my_gradient is not None:
            my_slope = my_slope + (my_gradient * mr.tensor(direction)).sum()
    seconds = [None for _ in theirs]
    if slope.requires_grad:
        seconds = torch.autograd.grad(slope, theirs, allow_unused=True)
    for my_second, second, x in zip(_gradients(my_slope, mine), seconds, theirs, strict=True):
        _hold_equal("second derivative", my_second, _zeros_for(second, x), 1e-8, 1e-9)
    return Agreement(gradients=True, second_order=slope.requires_grad)


def _gradients(loss: mr.Tensor, inputs: list[mr.Tensor]) -> tuple[Any, ...]:
    """minires' gradients, differentiable once more; None where nothing depends on an input."""
    if not loss.requires_grad:
        return (None,) * len(inputs)
    return mr.grad(loss, inputs, create_graph=True, allow_unused=True)


def _zeros_for(gradient: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x) if gradient is None else gradient


def _hold_equal(what: str, mine: Any, theirs: Any, rtol: float, atol: float) -> None:
    """Hold that shape, dtype and values are equal; None stands for a gradient of zeros."""
    expected = _array(theirs)
    found = np.zeros_like(expected) if mine is None else _array(mine)
    _hold_alike(what, found, expected)
    try:
        np.testing.assert_allclose(found, expected, rtol, atol)
    except AssertionError as error:
        raise DisagreementError(f"{what}: {error}") from error


def _hold_alike(what: str, found: np.ndarray, expected: np.ndarray) -> None:
    for quality in ("shape", "dtype"):
        mine, theirs = getattr(found, quality), getattr(expected, quality)
        if mine != theirs:
            raise DisagreementError(f"{what}: {quality} {mine} instead of {theirs}")


def _array(value: Any) -> np.ndarray:
    """Return a Tensor of either side, or a Python number, as an array."""
    if isinstance(value, torch.Tensor):
        # Some of PyTorch's zeros have no memory until they are forced to.
        return value.detach().numpy(force=True)
    return value.detach().numpy() if isinstance(value, mr.Tensor) else np.asarray(value)


def _precision(theirs: Any) -> tuple[float, float]:
    """Tolerances (relative, absolute) for a value; integers turned to float give float32."""
    single = isinstance(theirs, torch.Tensor) and theirs.dtype == torch.float32
    return (1e-6, 1e-7) if single else (1e-10, 1e-12)


def _outputs(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _converted(value: Any, twins: Twins) -> Any:
    """Return an argument as minires takes it, in memory of its own; remember Tensors' twins."""
    if isinstance(value, torch.Tensor):
        if id(value) not in twins:
            array = value.detach().numpy()
            twins[id(value)] = value, mr.tensor(array, requires_grad=value.requires_grad)
        return twins[id(value)][1]
    if isinstance(value, torch.dtype):
        return _name(value)
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, (tuple, list)):
        kind = tuple if isinstance(value, tuple) else list
        return kind(_converted(part, twins) for part in value)
    if isinstance(value, dict):
        return {name: _converted(part, twins) for name, part in value.items()}
    return value


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _told(value: Any) -> str:
    """Return an argument for a message: a Tensor by its shape."""
    if isinstance(value, torch.Tensor):
        return f"{_name(value.dtype)}{list(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_told, value))})"
    return repr(value)
