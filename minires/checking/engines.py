"""The engines whose functions can be checked: minires' own, and PyTorch's where it is installed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from minires import devices
from minires.autograd import EngineHook, Node, Tensor, enable_grad, grad
from minires.devices import Device, float64
from minires.nn import Module

from .report import Finding
from .winners import Winners, winners_of_ops

Array = np.ndarray[Any, Any]


class Engine(Protocol):
    """What a check needs of an engine."""

    def is_tensor(self, value: Any) -> bool:
        """Tell whether it is one of the engine's Tensors."""

    def leaf(self, array: Array) -> Any:
        """Return a Tensor with the values of `array` that requires a gradient."""

    def array(self, tensor: Any) -> Array:
        """Return the values of a Tensor."""

    def put(self, parameter: Any, array: Array) -> None:
        """Let a parameter hold the values of `array`."""

    def doubled(self, module: Any) -> Any:
        """Return a copy of a module, in float64."""

    def grad(self, roots: Any, leaves: Any, starts: Any, create_graph: bool) -> Sequence[Any]:
        """Differentiate; None for leaves that the roots do not depend on."""

    def recording(self) -> AbstractContextManager[None]:
        """Switch recording on."""

    def watching(self) -> AbstractContextManager[Any]:
        """Look on for what the engine mends without a word."""

    def winners(self, run: Callable[[], Any]) -> Winners | None:
        """Return what won in every choice that `run()` made."""


class Minires:
    """minires, on one of its devices.

    Parameters
    ----------
    device : Device
        Where functions are computed, and so where their Tensors are.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    def is_tensor(self, value: Any) -> bool:
        """Tell whether it is a Tensor of minires'."""
        return isinstance(value, Tensor)

    def _placed(self, array: Array) -> Any:
        """Return an array on the device: itself on the CPU, a copy elsewhere."""
        return array if self._device is devices.cpu else self._device.array(array)

    def leaf(self, array: Array) -> Tensor:
        """Return a Tensor that requires a gradient; on the CPU on the memory of `array`."""
        return Tensor(self._placed(array)).requires_grad_()

    def array(self, tensor: Tensor) -> Array:
        """Return the values of a Tensor."""
        array: Array = tensor.detach().numpy()
        return array

    def put(self, parameter: Tensor, array: Array) -> None:
        """Let a parameter hold the values of `array`."""
        parameter.data = self._placed(array)

    def doubled(self, module: Module) -> Module:
        """Return a copy of a module, in float64."""
        return copy.deepcopy(module).to(float64)

    def grad(self, roots: Any, leaves: Any, starts: Any, create_graph: bool) -> Sequence[Any]:
        """Differentiate; None for leaves that the roots do not depend on."""
        return grad(roots, leaves, starts, create_graph=create_graph, allow_unused=True)

    def recording(self) -> AbstractContextManager[None]:
        """Switch recording on."""
        return enable_grad()

    def watching(self) -> AbstractContextManager[Any]:
        """Look on for gradients of another dtype, before the engine casts them back."""
        return _GradientDtypes()

    def winners(self, run: Callable[[], Any]) -> Winners | None:
        """Return what won in every choice that `run()` made."""
        return winners_of_ops(run)


MINIRES = Minires(devices.cpu)


class _GradientDtypes(EngineHook):
    """Notice a VJP that answers in another dtype, before the engine casts it back."""

    keeps_fused = True

    def vjp_ran(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        for slot, (parent, value) in enumerate(zip(node.parents, contributions, strict=True)):
            if parent is None or value is None or parent.dtype != float64:
                continue
            # The gradient of a cast to float32 is itself a float32 one, and rightly so.
            if g.dtype == float64 and value.dtype != float64:
                assert node.op is not None
                raise Finding(
                    "wrong",
                    f"the VJP of {node.where()} returned a {value.dtype} gradient for its float64"
                    f" input {node.op.input_name(slot)!r}; compute in the dtype of the inputs",
                )


class Torch:
    """PyTorch; to make one is to import it."""

    def __init__(self) -> None:
        import torch

        self._torch = torch

    def is_tensor(self, value: Any) -> bool:
        """Tell whether it is a torch.Tensor."""
        return isinstance(value, self._torch.Tensor)

    def leaf(self, array: Array) -> Any:
        """Return a torch.Tensor that requires a gradient, on the memory of `array`."""
        return self._torch.from_numpy(array).requires_grad_()

    def array(self, tensor: Any) -> Array:
        """Return the values of a torch.Tensor."""
        array: Array = tensor.detach().numpy()
        return array

    def put(self, parameter: Any, array: Array) -> None:
        """Let a parameter hold `array`, uncopied."""
        parameter.data = self._torch.from_numpy(array)

    def doubled(self, module: Any) -> Any:
        """Return a copy of a module, in float64."""
        return copy.deepcopy(module).double()

    def grad(self, roots: Any, leaves: Any, starts: Any, create_graph: bool) -> Sequence[Any]:
        """Differentiate by torch.autograd."""
        found: Sequence[Any] = self._torch.autograd.grad(
            roots, leaves, starts, create_graph=create_graph, allow_unused=True
        )
        return found

    def recording(self) -> AbstractContextManager[None]:
        """Switch recording on."""
        mode: AbstractContextManager[None] = self._torch.enable_grad()
        return mode

    def watching(self) -> AbstractContextManager[Any]:
        """Do nothing: PyTorch casts gradients of another dtype where nobody can look."""
        return nullcontext()

    def winners(self, run: Callable[[], Any]) -> Winners | None:
        """Return what won in every choice that `run()` made."""
        from torch.utils._python_dispatch import TorchDispatchMode

        log: list[tuple[str, bytes]] = []

        class Choices(TorchDispatchMode):  # type: ignore[no-untyped-call]
            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                result = func(*args, **(kwargs or {}))
                name = func.__name__.partition(".")[0]
                outputs = result if isinstance(result, (tuple, list)) else [result]
                chosen = [v for v in outputs if not (v is None or v.is_floating_point())]
                if name in {"relu", "leaky_relu", "abs"}:
                    chosen = [args[0].sign()]
                elif name in {"clamp", "hardtanh"}:
                    chosen = [(args[0] - result).sign()]
                elif name in {"maximum", "minimum"}:
                    chosen = [(args[0] - args[1]).sign()]
                log.extend((name, value.detach().numpy().tobytes()) for value in chosen)
                return result

        with Choices():  # type: ignore[no-untyped-call]
            run()
        return tuple(log)
