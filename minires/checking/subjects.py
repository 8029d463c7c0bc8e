"""What can be checked: functions of Tensors, modules, and pairs of NumPy functions.

Each is brought to one form: `forward` from float64 arrays to output arrays, and `vjp` from the
same inputs and one cotangent per output to one gradient per input (None where there is none).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from minires.autograd import Tensor

from .engines import MINIRES, Engine
from .report import Finding
from .winners import Winners, winners_of_numpy

Array = np.ndarray[Any, Any]


class Subject(Protocol):
    """A function and its vector-Jacobian product."""

    def forward(self, inputs: list[Array]) -> list[Array]:
        """Return the outputs."""

    def vjp(self, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """Return one gradient per input."""

    def winners(self, inputs: list[Array]) -> Winners | None:
        """Return what won in every choice of the forward pass; None where that is not seen."""

    def complex_forward(self, inputs: list[Array]) -> list[Array] | None:
        """Return the outputs for complex inputs; None if the function has none."""


def listed(value: Any) -> list[Any]:
    """Return several outputs or gradients, or the only one, as a list."""
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _views(arrays: list[Array]) -> list[Array]:
    """Return views, whose flags and shapes others may change."""
    return [array.view() for array in arrays]


class NumpyPair:
    """Two functions of arrays, ``forward(*inputs)`` and ``vjp(g, *inputs)``."""

    def __init__(self, forward: Callable[..., Any], vjp: Callable[..., Any]) -> None:
        self._forward = forward
        self._vjp = vjp

    def forward(self, inputs: list[Array]) -> list[Array]:
        """Return the outputs."""
        outputs = listed(self._forward(*_views(inputs)))
        for number, output in enumerate(outputs):
            if not isinstance(output, (np.ndarray, np.generic, float)):
                raise Finding(
                    "unfit",
                    f"output {number} of the forward function is a {type(output).__name__}; return"
                    " an array or a tuple of arrays"
                    + (
                        " (a function of Tensors is passed alone)"
                        if isinstance(output, Tensor)
                        else ""
                    ),
                )
        return [np.asarray(output) for output in outputs]

    def vjp(self, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """Return one gradient per input; `g` is a tuple if there are several outputs."""
        g = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
        gradients = listed(self._vjp(g, *_views(inputs)))
        if len(gradients) != len(inputs):
            raise Finding(
                "wrong", f"the vjp returned {len(gradients)} gradients for {len(inputs)} inputs"
            )
        return [None if value is None else np.asarray(value) for value in gradients]

    def winners(self, inputs: list[Array]) -> Winners | None:
        """Return what won in every choice of the forward pass; None where that is not seen."""
        return winners_of_numpy(self._forward, inputs)

    def complex_forward(self, inputs: list[Array]) -> list[Array] | None:
        """Return the outputs for complex inputs; None if the function takes none."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # to drop an imaginary part is only a warning
            try:
                outputs = [np.asarray(output) for output in listed(self._forward(*inputs))]
            except Exception:
                return None
        return outputs if all(output.dtype.kind == "c" for output in outputs) else None


class TensorFunction:
    """A function of Tensors, differentiated by an engine: that of minires, or another one.

    Its inputs are the function's, and after them the values of `parameters`: Tensors that it uses
    besides.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parameters: Sequence[Any] = (),
        engine: Engine = MINIRES,
    ) -> None:
        self.function = function
        self.parameters = list(parameters)
        self.engine = engine

    def leaves(self, inputs: list[Array]) -> list[Any]:
        """Return the Tensors whose gradients are wanted; they hold `inputs`, uncopied."""
        own = len(inputs) - len(self.parameters)
        for parameter, array in zip(self.parameters, inputs[own:], strict=True):
            self.engine.put(parameter, array)
        return [*map(self.engine.leaf, inputs[:own]), *self.parameters]

    def run(self, leaves: list[Any]) -> list[Any]:
        """Return the outputs, Tensors."""
        outputs = listed(self.function(*leaves[: len(leaves) - len(self.parameters)]))
        for output in outputs:
            if not self.engine.is_tensor(output):
                raise Finding(
                    "unfit",
                    "the function must return a Tensor or a tuple of Tensors, found"
                    f" {type(output).__name__}; a pair of NumPy functions is passed as"
                    " (forward, vjp)",
                )
        return outputs

    def forward(self, inputs: list[Array]) -> list[Array]:
        """Return the outputs."""
        with self.engine.recording():  # the function may itself differentiate
            return [self.engine.array(output) for output in self.run(self.leaves(inputs))]

    def vjp(self, inputs: list[Array], cotangents: list[Array]) -> list[Array | None]:
        """Return one gradient per input."""
        with self.engine.recording(), self.engine.watching():
            leaves = self.leaves(inputs)
            given = [self.engine.leaf(array) for array in cotangents]
            gradients = self.gradients(self.run(leaves), leaves, given)
        return [None if value is None else self.engine.array(value) for value in gradients]

    def winners(self, inputs: list[Array]) -> Winners | None:
        """Return what won in every choice of the forward pass; None where that is not seen."""
        with self.engine.recording():
            leaves = self.leaves(inputs)
            return self.engine.winners(lambda: self.run(leaves))

    def complex_forward(self, inputs: list[Array]) -> list[Array] | None:
        """Return None: Tensors hold real numbers."""
        return None

    def gradients(
        self,
        outputs: list[Any],
        leaves: list[Any],
        cotangents: list[Any],
        create_graph: bool = False,
    ) -> Sequence[Any]:
        """Return the gradients of the leaves; None for those that no output depends on."""
        pairs = zip(outputs, cotangents, strict=True)
        connected = [(output, g) for output, g in pairs if output.requires_grad]
        if not connected:
            return [None] * len(leaves)
        roots, starts = zip(*connected, strict=True)
        return self.engine.grad(roots, leaves, starts, create_graph)


class GradientOf(TensorFunction):
    """The gradient of a function, as a function of its `count` inputs and of the cotangents.

    To check that one's gradient is to check the second order.
    """

    def __init__(self, first: TensorFunction, count: int) -> None:
        super().__init__(first.function, engine=first.engine)
        self.first = first
        self.count = count

    def leaves(self, inputs: list[Array]) -> list[Any]:
        """Return the leaves of the function, and the cotangents."""
        cotangents = map(self.engine.leaf, inputs[self.count :])
        return [*self.first.leaves(inputs[: self.count]), *cotangents]

    def run(self, leaves: list[Any]) -> list[Any]:
        """Return the gradients."""
        inputs, cotangents = leaves[: self.count], leaves[self.count :]
        outputs = self.first.run(inputs)
        found = self.first.gradients(outputs, inputs, cotangents, create_graph=True)
        return [value for value in found if value is not None]
