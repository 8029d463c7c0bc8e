"""What can be checked: functions of Tensors, pairs of NumPy functions, modules with a loss.

Each is brought to one form: `forward` from float64 arrays to output arrays, and `vjp` from the
same inputs and one cotangent per output to one gradient per input (None where there is none).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from minires.autograd import EngineHook, Node, Tensor, enable_grad, grad
from minires.devices import float64

from .report import Finding

Array = np.ndarray[Any, Any]


class Subject(Protocol):
    """A function and its vector-Jacobian product."""

    def forward(self, inputs: list[Array]) -> list[Array]:
        """Return the outputs."""

    def vjp(self, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """Return one gradient per input."""


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


class NumpyPair:
    """Two functions of arrays, ``forward(*inputs)`` and ``vjp(g, *inputs)``."""

    def __init__(self, forward: Callable[..., Any], vjp: Callable[..., Any]) -> None:
        self._forward = forward
        self._vjp = vjp

    def forward(self, inputs: list[Array]) -> list[Array]:
        """Return the outputs."""
        return [np.asarray(output) for output in _listed(self._forward(*inputs))]

    def vjp(self, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """Return one gradient per input; `g` is a tuple if there are several outputs."""
        g = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        gradients = _listed(self._vjp(g, *inputs))
        if len(gradients) != len(inputs):
            raise Finding(
                "wrong", f"the vjp returned {len(gradients)} gradients for {len(inputs)} inputs"
            )
        return [None if value is None else np.asarray(value) for value in gradients]


class TensorFunction:
    """A function of Tensors, differentiated by the engine."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def leaves(self, inputs: list[Array]) -> list[Tensor]:
        """Return the Tensors whose gradients are wanted; they hold `inputs`, uncopied."""
        return [Tensor(array).requires_grad_() for array in inputs]

    def forward(self, inputs: list[Array]) -> list[Array]:
        """Return the outputs."""
        with enable_grad():  # the function may itself differentiate
            outputs = _listed(self.function(*self.leaves(inputs)))
        for output in outputs:
            if not isinstance(output, Tensor):
                raise TypeError(
                    "gradcheck: the function must return a Tensor or a tuple of Tensors, found"
                    f" {type(output).__name__}; a pair of NumPy functions is passed as"
                    " (forward, vjp)"
                )
        return [output.detach().numpy() for output in outputs]

    def vjp(self, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """Return one gradient per input."""
        with enable_grad(), _GradientDtypes():
            leaves = self.leaves(inputs)
            outputs = _listed(self.function(*leaves))
            gradients = _gradients(outputs, leaves, [Tensor(array) for array in cotangents])
        return [None if value is None else value.detach().numpy() for value in gradients]


class ModuleLoss(TensorFunction):
    """A loss as the function of a module's parameters."""

    def __init__(self, loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> None:
        super().__init__(lambda *parameters: loss())
        self.parameters = list(parameters)

    def leaves(self, inputs: list[Array]) -> list[Tensor]:
        """Put the arrays into the parameters, and return these."""
        for parameter, array in zip(self.parameters, inputs, strict=True):
            parameter.data = array
        return self.parameters


def gradient_function(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Return the gradient of `function` as a function of its `count` inputs and the cotangents.

    To check that one's gradient is to check the second order.
    """

    def gradients(*values: Tensor) -> tuple[Tensor, ...]:
        inputs, cotangents = list(values[:count]), list(values[count:])
        found = _gradients(_listed(function(*inputs)), inputs, cotangents, create_graph=True)
        return tuple(value for value in found if value is not None)

    return gradients


def _gradients(
    outputs: list[Tensor],
    leaves: list[Tensor],
    cotangents: list[Tensor],
    create_graph: bool = False,
) -> Sequence[Tensor | None]:
    pairs = zip(outputs, cotangents, strict=True)
    connected = [(output, g) for output, g in pairs if output.requires_grad]
    if not connected:
        return [None] * len(leaves)
    roots, starts = zip(*connected, strict=True)
    return grad(roots, leaves, starts, create_graph=create_graph, allow_unused=True)


class _GradientDtypes(EngineHook):
    """Notice a VJP that answers in another dtype, before the engine casts it back."""

    def vjp_ran(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        for slot, (parent, value) in enumerate(zip(node.parents, contributions, strict=True)):
            wanted = parent is not None and value is not None and parent.dtype == float64
            if wanted and value.dtype != float64:
                assert node.op is not None
                raise Finding(
                    "wrong",
                    f"the VJP of {node.where()} returned a {value.dtype} gradient for its float64"
                    f" input {node.op.input_name(slot)!r}; compute in the dtype of the inputs",
                )
