"""Which branch a function took: what won in every comparison, maximum and ReLU that it ran.

Two probes with different winners lie on different sides of a kink, even where the slopes of both
sides happen to agree, as in relu(x) - relu(-x) at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minires.autograd import EngineHook, Node, Op, Tensor, expand, registry

Array = np.ndarray[Any, Any]
Winners = tuple[tuple[str, bytes], ...]

# Fused ops that choose inside: their twins choose where it is seen.
CHOOSING = ("max_pool2d", "batch_norm_relu", "batch_norm_relu_conv2d", "conv2d_relu")


def _among_equals(x: Array, output: Array, node: Node | None) -> Array:
    assert node is not None
    dim = node.constants["dim"]
    kept = tuple(1 if axis in dim else n for axis, n in enumerate(x.shape))
    return np.equal(x, output.reshape(kept))


# From the arrays of an op's inputs, its output and its node to what won.
_CHOICES: dict[str, Callable[[list[Any], Array, Any], Array]] = {
    "relu": lambda inputs, output, node: inputs[0] > 0,
    "relu6": lambda inputs, output, node: np.sign(inputs[0] - output),
    "leaky_relu": lambda inputs, output, node: inputs[0] > 0,
    "abs": lambda inputs, output, node: np.sign(inputs[0]),
    "clip": lambda inputs, output, node: np.sign(inputs[0] - output),
    "maximum": lambda inputs, output, node: np.sign(np.subtract(*inputs)),
    "minimum": lambda inputs, output, node: np.sign(np.subtract(*inputs)),
    "where": lambda inputs, output, node: np.asarray(inputs[0]),
    "amax": lambda inputs, output, node: _among_equals(inputs[0], output, node),
    "amin": lambda inputs, output, node: _among_equals(inputs[0], output, node),
    "sign": lambda inputs, output, node: output,
    "floor_div": lambda inputs, output, node: output,
    "remainder": lambda inputs, output, node: np.round((inputs[0] - output) / inputs[1]),
    "gather": lambda inputs, output, node: np.asarray(node.constants["index"]),
}


class WinnerLog(EngineHook):
    """Write down every choice of the ops that run inside its ``with`` block.

    Attributes
    ----------
    entries : list of (str, bytes)
        The op's name, and what won.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[str, bytes]] = []

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Note an op that gives no real numbers, or that is known to choose."""
        array = output.detach().numpy()
        if array.dtype.kind != "f":
            self.entries.append((op.name, array.tobytes()))
        elif op.name in _CHOICES and (node is not None or not op.differentiable):
            arrays = [v.detach().numpy() if isinstance(v, Tensor) else v for v in inputs]
            choice = _CHOICES[op.name](arrays, array, node)
            self.entries.append((op.name, np.ascontiguousarray(choice).tobytes()))


def winners_of_ops(run: Callable[[], Any]) -> Winners:
    """Return the choices that the ops of `run()` made."""
    present = [name for name in CHOOSING if name in registry]
    with expand(*present), WinnerLog() as log:
        run()
    return tuple(log.entries)


_COMPARING = {
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "signbit"),
    *("sign", "floor", "ceil", "rint", "trunc", "floor_divide"),
}
_CHOOSING_ONE = {"maximum", "minimum", "fmax", "fmin", "heaviside"}


class _Watched(np.ndarray[Any, Any]):
    """An array that writes down what wins in NumPy's comparisons, maxima and argmaxes."""

    log: list[tuple[str, bytes]]

    def __array_finalize__(self, source: Any) -> None:
        self.log = getattr(source, "log", [])

    def _note(self, name: str, choice: Any) -> None:
        self.log.append((name, np.ascontiguousarray(choice).tobytes()))

    def _watch(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._watch, value))
        if isinstance(value, (np.ndarray, np.generic)):
            watched = np.asarray(value).view(_Watched)
            watched.log = self.log
            return watched
        return value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [_plain(value) for value in inputs]
        if "out" in options:
            options["out"] = tuple(map(_plain, options["out"]))
        result = getattr(ufunc, method)(*plain, **options)
        name = ufunc.__name__
        if name in _COMPARING and method == "__call__":
            self._note(name, result)
        elif name in {"absolute", "fabs"}:
            self._note(name, np.sign(plain[0]))
        elif name == "clip":
            self._note(name, np.sign(plain[0] - result))
        elif name in _CHOOSING_ONE and method == "__call__":
            self._note(name, np.sign(np.subtract(*plain[:2])))
        elif name in _CHOOSING_ONE and method == "reduce":
            axis = options.get("axis", 0)
            kept = result if options.get("keepdims") or axis is None else _expanded(result, axis)
            self._note(name, plain[0] == kept)
        return None if method == "at" else self._watch(result)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return self._watch(super().__array_function__(function, types, args, options))

    def __getitem__(self, key: Any) -> Any:
        return self._watch(super().__getitem__(key))

    def argmax(self, *args: Any, **options: Any) -> Any:
        found = np.asarray(self).argmax(*args, **options)
        self._note("argmax", found)
        return found

    def argmin(self, *args: Any, **options: Any) -> Any:
        found = np.asarray(self).argmin(*args, **options)
        self._note("argmin", found)
        return found

    def argsort(self, *args: Any, **options: Any) -> Any:
        found = np.asarray(self).argsort(*args, **options)
        self._note("argsort", found)
        return found


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, _Watched) else value


def _expanded(result: Any, axis: Any) -> Array:
    return np.expand_dims(result, axis)


def winners_of_numpy(forward: Callable[..., Any], inputs: Iterable[Array]) -> Winners | None:
    """Return the choices of a NumPy function; None if it cannot be watched.

    It is watched through a subclass of array, which a function may refuse, or convert away.
    """
    log: list[tuple[str, bytes]] = []
    watched = []
    for array in inputs:
        view = array.view(_Watched)
        view.log = log
        watched.append(view)
    try:
        forward(*watched)
    except Exception:
        return None
    return tuple(log)
