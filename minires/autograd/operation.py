"""An op: a forward, its vector-Jacobian product (VJP), and perhaps a spelled-out twin."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, overload

from minires import devices
from minires.devices import Array, is_float

from .context import current
from .guard import no_writing, read_only
from .node import Node
from .tensor import Tensor

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

registry: dict[str, Op[Any]] = {}

_RESERVED = {"g", "output", "aux", "shapes", "needs", "inputs"}


class Op(Generic[P]):
    """A differentiable function of arrays.

    Called on plain arrays it computes. Called on Tensors it computes *and* records a node, if an
    input requires a gradient. Made by the decorator `op`; its VJP is added by ``@name.vjp``, a
    twin by ``@name.twin``.

    Attributes
    ----------
    name : str
        The name in traces, messages and `minires.expand`.
    forward : callable
        Positional parameters are the differentiable inputs (arrays, numbers or None);
        keyword-only parameters are constants.
    """

    def __init__(
        self, forward: Callable[P, Any], name: str, has_aux: bool, differentiable: bool, view: bool
    ) -> None:
        functools.update_wrapper(self, forward)
        self.name = name
        self.forward = forward
        self.has_aux = has_aux
        self.differentiable = differentiable
        self.is_view = view
        # minires' own ops are known not to write into what they are given.
        self.guarded = not str(forward.__module__).startswith("minires.ops.")
        self.vjp_function: Callable[..., Any] | None = None
        self.twin_function: Callable[..., Any] | None = None
        self.input_names: tuple[str, ...] = ()
        self.constant_names: frozenset[str] = frozenset()
        self._defaults: dict[str, Any] = {}
        self._read_signature(forward)
        self._kept_inputs: tuple[int, ...] = ()
        self._keeps_all = False
        self._wanted: frozenset[str] = frozenset()
        self._wanted_constants: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<op {self.name}{inspect.signature(self.forward)}>"

    def _read_signature(self, forward: Callable[..., Any]) -> None:
        names: list[str] = []
        constants: set[str] = set()
        for parameter in inspect.signature(forward).parameters.values():
            if parameter.name in _RESERVED:
                raise TypeError(
                    f"op {self.name!r}: a parameter may not be called {parameter.name!r}, which"
                    f" means something to the VJP (reserved: {sorted(_RESERVED)})"
                )
            if parameter.kind is parameter.KEYWORD_ONLY:
                constants.add(parameter.name)
                if parameter.default is not parameter.empty:
                    self._defaults[parameter.name] = parameter.default
            elif parameter.kind is parameter.VAR_KEYWORD:
                raise TypeError(f"op {self.name!r}: name the constants instead of **keywords")
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                names.append(parameter.name)
        self.input_names = tuple(names)
        self.constant_names = frozenset(constants)

    def input_name(self, index: int) -> str:
        """Name of the input at `index`: the parameter's, or its number among many."""
        return self.input_names[index] if index < len(self.input_names) else f"input {index}"

    def _by_position(
        self, inputs: tuple[Any, ...], constants: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Put inputs that were passed by name, or left to their default, in their places."""
        bound = inspect.signature(self.forward).bind(*inputs, **constants)
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def vjp(self, function: F) -> F:
        """Register the VJP: from the output's gradient `g` to the inputs' gradients.

        The names of its parameters say what the tape keeps for it: ``g``; any input of the op;
        ``output``; ``aux`` (what the forward returned beside its output; None when the VJP itself
        is being recorded, because a saved array would then wrongly count as a constant);
        ``inputs`` (all of them, as a tuple); ``shapes`` of the inputs; ``needs`` (which gradients
        are wanted, a tuple of bool); and any constant of the op.

        It returns one gradient for a single input, else a tuple with one per input (None where
        there is none). Write it with ops: it gets arrays in an ordinary backward pass, and Tensors
        under ``create_graph=True``.

        Raises
        ------
        TypeError
            If a parameter's name stands for nothing.
        """
        wanted = list(inspect.signature(function).parameters)
        known = _RESERVED | set(self.input_names) | self.constant_names
        for name in wanted:
            if name not in known:
                raise TypeError(
                    f"the VJP of op {self.name!r} asks for {name!r}, which is neither an input"
                    f" {self.input_names}, nor a constant {sorted(self.constant_names)}, nor one of"
                    f" {sorted(_RESERVED)}"
                )
        self.vjp_function = function
        self._wanted = frozenset(wanted)
        self._keeps_all = "inputs" in wanted
        self._kept_inputs = tuple(i for i, n in enumerate(self.input_names) if n in wanted)
        self._wanted_constants = tuple(name for name in wanted if name in self.constant_names)
        return function

    def twin(self, function: F) -> F:
        """Register the same function spelled out in other ops."""
        self.twin_function = function
        return function

    def __call__(self, *inputs: P.args, **constants: P.kwargs) -> Tensor:
        """Compute on plain arrays; compute and record on Tensors."""
        if len(inputs) < len(self.input_names):
            inputs, constants = self._by_position(inputs, constants)  # type: ignore[assignment]
        for value in inputs:
            if isinstance(value, Tensor):
                break
        else:
            result = self._run(inputs, constants)
            return result[0] if self.has_aux else result  # type: ignore[no-any-return]
        context = current.get()
        if self.twin_function is not None and self.name in context.expanded:
            return self.twin_function(*inputs, **constants)  # type: ignore[no-any-return]
        arrays = [value._data if isinstance(value, Tensor) else value for value in inputs]
        result = self._run(arrays, constants)
        data, aux = result if self.has_aux else (result, None)
        output = Tensor._wrap(data)
        if context.recording and self.differentiable:
            parents = tuple([v._node if isinstance(v, Tensor) else None for v in inputs])
            if any(parents) and is_float(output._data.dtype):
                output._node = self._record(inputs, constants, parents, output, aux)
                output._node.module_path = context.module_path
        if self.is_view:
            self._share_version(inputs[0], output)
        if context.hooks:
            for hook in context.hooks:
                hook.op_ran(self, inputs, output, output._node)
        return output

    def _run(self, arrays: Sequence[Any], constants: dict[str, Any]) -> Any:
        """Run the forward; a foreign one gets arrays that it cannot write into."""
        if not self.guarded:
            return self.forward(*arrays, **constants)
        with no_writing(f"the forward of op {self.name!r}"):
            result = self.forward(*map(read_only, arrays), **constants)
        data = result
        if self.has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"op {self.name!r} has has_aux=True: return (output, aux)")
            data = result[0]
        if not hasattr(data, "dtype"):
            raise TypeError(
                f"op {self.name!r} returned a {type(data).__name__}, not an array; an op has one"
                " output. What the VJP needs beside it is returned as (output, aux), with"
                " @mr.op(has_aux=True)"
            )
        shares = devices.of(data).shares_memory
        if not self.is_view and any(shares(a, data) for a in arrays if hasattr(a, "dtype")):
            data = data.copy()
        return (data, result[1]) if self.has_aux else data

    def _share_version(self, source: Any, output: Tensor) -> None:
        """Let a write into the source count as one into its view, unless it became a copy."""
        shares = devices.of(output._data).shares_memory
        if isinstance(source, Tensor) and shares(source._data, output._data):
            output._version = source._versioned()

    def _record(
        self,
        inputs: tuple[Any, ...],
        constants: dict[str, Any],
        parents: tuple[Node | None, ...],
        output: Tensor,
        aux: Any,
    ) -> Node:
        if self.vjp_function is None:
            raise NotImplementedError(
                f"op {self.name!r} has no VJP, but an input requires a gradient; register one with"
                f" @{self.name}.vjp, or declare the op with differentiable=False"
            )
        node = Node(output._data.shape, output._data.dtype)
        node.op = self
        node.parents = parents
        if self._wanted_constants:
            node.constants = {
                name: constants[name] if name in constants else self._defaults[name]
                for name in self._wanted_constants
            }
        kept = range(len(inputs)) if self._keeps_all else self._kept_inputs
        if kept:
            kept_inputs: list[Any] = [None] * len(inputs)
            versions = []
            for index in kept:
                if index < len(inputs):
                    value = inputs[index]
                    if not isinstance(value, Tensor) and hasattr(value, "dtype"):
                        value = _watched(value)
                    if isinstance(value, Tensor):
                        version = value._versioned()
                        versions.append((index, version, version.keep()))
                    kept_inputs[index] = value
            node.inputs = tuple(kept_inputs)
            node.versions = tuple(versions)
        if "output" in self._wanted:
            node.output = output._data
            version = output._versioned()
            node.output_version = version, version.keep()
        if "aux" in self._wanted:
            node.aux = aux
        if "shapes" in self._wanted:
            node.shapes = tuple([getattr(value, "shape", ()) for value in inputs])
        return node

    def pull_back(
        self, node: Node, g: Array | Tensor, needs: tuple[bool, ...], recorded: bool
    ) -> tuple[Array | Tensor | None, ...]:
        """Run the VJP of one node: from its gradient to one contribution per input.

        Raises
        ------
        TypeError, ValueError
            If the VJP returns the wrong number of gradients, or one of the wrong shape.
        """
        assert self.vjp_function is not None
        arguments = self._arguments(node, g, needs, recorded)
        if self.guarded and not recorded:
            with no_writing(f"the VJP of {node.where()}"):
                result = self.vjp_function(**{n: read_only(v) for n, v in arguments.items()})
        else:
            result = self.vjp_function(**arguments)
        gradients = result if isinstance(result, tuple) else (result,)
        if len(gradients) < len(needs) and not any(needs[len(gradients) :]):
            gradients += (None,) * (len(needs) - len(gradients))
        if len(gradients) != len(needs):
            raise TypeError(
                f"the VJP of {node.where()} returned {len(gradients)} gradients for"
                f" {len(needs)} inputs"
            )
        for index, gradient in enumerate(gradients):
            if needs[index]:
                self._check_gradient(node, index, gradient)
        return gradients

    def _arguments(
        self, node: Node, g: Any, needs: tuple[bool, ...], recorded: bool
    ) -> dict[str, Any]:
        """Collect what the VJP asks for: arrays, or Tensors if it is to be recorded."""
        inputs = node.inputs
        if not recorded:
            inputs = tuple([v._data if isinstance(v, Tensor) else v for v in inputs])
        arguments: dict[str, Any] = {}
        for name in self._wanted:
            if name == "g":
                arguments[name] = g
            elif name == "output":
                arguments[name] = _output_of(node) if recorded else node.output
            elif name == "aux":
                arguments[name] = None if recorded else node.aux
            elif name == "needs":
                arguments[name] = needs
            elif name == "shapes":
                arguments[name] = node.shapes
            elif name == "inputs":
                arguments[name] = inputs
            elif name in self.constant_names:
                arguments[name] = node.constants[name]
            else:
                index = self.input_names.index(name)
                arguments[name] = inputs[index] if index < len(inputs) else None
        return arguments

    def _check_gradient(self, node: Node, index: int, gradient: Any) -> None:
        """Refuse what cannot be the gradient of the input at `index`."""
        parent = node.parents[index]
        assert parent is not None
        what = f"for input {self.input_name(index)!r}"
        if gradient is None:
            raise TypeError(
                f"the VJP of {node.where()} returned None {what}, which needs a gradient; return"
                " zeros where the gradient is zero"
            )
        if not hasattr(gradient, "dtype"):
            raise TypeError(
                f"the VJP of {node.where()} returned a {type(gradient).__name__} {what}; return an"
                " array, or for several inputs a tuple of arrays"
            )
        if gradient.shape != parent.shape:
            raise ValueError(
                f"the VJP of {node.where()} returned a gradient of shape {tuple(gradient.shape)}"
                f" {what} of shape {parent.shape}"
            )


def _watched(array: Array) -> Tensor:
    """Wrap an array that is the caller's own, who may write into it at any time."""
    return Tensor(Tensor._wrap(array)._data)


def _output_of(node: Node) -> Tensor:
    """Return the node's output as a Tensor, under the same watch for overwriting."""
    assert node.output_version is not None
    output = Tensor._wrap(node.output, node)
    output._version = node.output_version[0]
    return output


@overload
def op(forward: Callable[P, Any]) -> Op[P]: ...
@overload
def op(
    *,
    name: str | None = None,
    has_aux: bool = False,
    differentiable: bool = True,
    view: bool = False,
) -> Callable[[Callable[P, Any]], Op[P]]: ...
def op(
    forward: Callable[P, Any] | None = None,
    *,
    name: str | None = None,
    has_aux: bool = False,
    differentiable: bool = True,
    view: bool = False,
) -> Op[P] | Callable[[Callable[P, Any]], Op[P]]:
    """Make an op of a function on plain arrays.

    Parameters
    ----------
    forward : callable
        Computes the output from arrays. Positional parameters are the differentiable inputs,
        keyword-only parameters are constants.
    name : str, optional
        The op's name; by default the function's, without leading underscores.
    has_aux : bool
        The forward returns ``(output, aux)``: `aux` is kept for the VJP, not given to the caller.
    differentiable : bool
        False for ops whose output never has a gradient (comparisons, argmax).
    view : bool
        The output may share the memory of the first input.

    Returns
    -------
    Op

    Examples
    --------
    >>> import minires as mr
    >>> @mr.op
    ... def cube(x):
    ...     return x * x * x
    >>> @cube.vjp
    ... def _(g, x):
    ...     return 3 * x * x * g
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> cube(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])
    """

    def make(function: Callable[P, Any]) -> Op[P]:
        title = name or function.__name__.lstrip("_")
        made = Op(function, title, has_aux, differentiable, view)
        if made.guarded and title in registry and not registry[title].guarded:
            raise ValueError(
                f"minires has an op called {title!r}; give yours another name, @mr.op(name=...)"
            )
        registry[title] = made
        return made

    return make if forward is None else make(forward)
