"""An op: a forward, its vector-Jacobian product (VJP), and perhaps a spelled-out twin."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, overload

from minires import devices
from minires.devices import Array

from .context import Context, EngineHook, changed, current
from .errors import AutogradError
from .guard import no_writing, read_only, refuse_several_devices
from .node import TENSOR_TYPES, VOID, Node
from .tensor import ARRAY_TYPES, Tensor, blank_tensor
from .version import KEPT, clock

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

registry: dict[str, Op[Any]] = {}

_NO_CONSTANTS: Mapping[str, Any] = MappingProxyType({})

# What a VJP may ask for beside inputs and constants, as an expression in `Op._written_call`.
_RESERVED = {
    "g": "g",
    "output": "output_of(node, recorded)",
    "aux": "None if recorded else node.aux",
    "shapes": "node.shapes",
    "needs": "needs",
    "inputs": "tuple(kept)",
}


class Arithmetic(NamedTuple):
    """What the engine needs from above, handed to it by `minires.ops`; for arrays and Tensors."""

    cast: Callable[[Any, Any], Any]
    clone: Callable[[Any], Any]
    unbroadcast: Callable[[Any, tuple[int, ...]], Any]


arithmetic: list[Arithmetic] = []


def set_arithmetic(given: Arithmetic) -> None:
    """Tell the engine how to cast and copy gradients, and how to undo a broadcast."""
    arithmetic[:] = [given]


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
        self,
        forward: Callable[P, Any],
        name: str,
        has_aux: bool,
        differentiable: bool,
        view: bool,
        broadcasts: bool,
        fresh: tuple[str, ...] = (),
    ) -> None:
        # Without `updated`, which would give the Op a dict of its own: Python reads that slowly.
        functools.update_wrapper(self, forward, updated=())
        self.name = name
        self.forward = forward
        self.has_aux = has_aux
        self.differentiable = differentiable
        self.is_view = view
        self.broadcasts = broadcasts
        self._fresh = fresh
        # minires' own ops are known not to write into what they are given.
        self.guarded = not str(forward.__module__).startswith("minires.ops.")
        self._compute: Callable[..., Any] = self._guarded_forward if self.guarded else forward
        self.vjp_function: Callable[..., Any] | None = None
        self.twin_function: Callable[..., Any] | None = None
        self.input_names: tuple[str, ...] = ()
        self.constant_names: frozenset[str] = frozenset()
        self._defaults: dict[str, Any] = {}
        self._read_signature(forward)
        self._keeps_all = False
        self._kept_inputs: Sequence[int] = ()
        self.keeps_values = self.keeps_more_than_inputs = False
        self._wanted: frozenset[str] = frozenset()
        self._wanted_constants: tuple[str, ...] = ()
        self._call_vjp: Callable[..., Any] = _no_vjp

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
        self._arity = len(names)

    def input_name(self, index: int) -> str:
        """Name of the input at `index`: the parameter's, or its number among many."""
        return self.input_names[index] if index < len(self.input_names) else f"input {index}"

    def gives_away(self, index: int) -> bool:
        """Tell whether the gradient of the input at `index` is nobody's but the receiver's."""
        return bool(self._fresh) and self.input_name(index) in self._fresh

    def kept_name(self, position: int) -> str:
        """Name of the input at `position` among those that the tape keeps."""
        return self.input_name(self._kept_inputs[position])

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
        known = set(_RESERVED) | set(self.input_names) | self.constant_names
        for name in wanted:
            if name not in known:
                raise TypeError(
                    f"the VJP of op {self.name!r} asks for {name!r}, which is neither an input"
                    f" {self.input_names}, nor a constant {sorted(self.constant_names)}, nor one of"
                    f" {sorted(_RESERVED)}"
                )
        self.vjp_function = function
        self._wanted = frozenset(wanted)
        named = [i for i, name in enumerate(self.input_names) if name in wanted]
        self._keeps_all = "inputs" in wanted or 0 < len(named) == len(self.input_names)
        self._kept_inputs = range(sys.maxsize) if self._keeps_all else tuple(named)
        self._wanted_constants = tuple(name for name in wanted if name in self.constant_names)
        self.keeps_values = bool(self._kept_inputs) or "output" in wanted
        others = {"output", "aux", "shapes", *self._wanted_constants}
        self.keeps_more_than_inputs = not others.isdisjoint(wanted)
        self._call_vjp = self._written_call(function)
        return function

    def _written_call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Write down, once, the call that hands the VJP what the names of its parameters ask for.

        To look it up name by name at every node would cost more than a small gradient.
        """
        arguments = []
        for name, parameter in inspect.signature(function).parameters.items():
            if name in _RESERVED:
                source = _RESERVED[name]
            elif name in self.constant_names:
                source = f"node.constants[{name!r}]"
            else:
                source = f"kept[{self._kept_inputs.index(self.input_names.index(name))}]"
            by_name = parameter.kind is parameter.KEYWORD_ONLY
            arguments.append(f"{name}={source}" if by_name else source)
        call = f"lambda node, g, needs, kept, recorded: vjp({', '.join(arguments)})"
        vjp = _given_read_only(function) if self.guarded else function
        names = {"vjp": vjp, "output_of": _output_of}
        return eval(call, names)  # type: ignore[no-any-return]

    def twin(self, function: F) -> F:
        """Register the same function spelled out in other ops."""
        self.twin_function = function
        return function

    def __call__(self, *inputs: P.args, **constants: P.kwargs) -> Tensor:
        """Compute on plain arrays; compute and record on Tensors."""
        if len(inputs) < self._arity:
            inputs, constants = self._by_position(inputs, constants)  # type: ignore[assignment]
        value: Any
        for value in inputs:
            if value.__class__ in TENSOR_TYPES:
                break
        else:
            try:
                result = self._compute(*inputs, **constants)
            except Exception:
                refuse_several_devices(self.name, self._named(inputs, constants))
                raise
            return result[0] if self.has_aux else result  # type: ignore[no-any-return]
        context = current.get()
        if self.name in context.expanded and self.twin_function is not None:
            call = f"{self.name}:{next(clock)}"
            with changed(twin_of=f"{context.twin_of}/{call}".lstrip("/")):
                return self.twin_function(*inputs, **constants)  # type: ignore[no-any-return]
        arrays: list[Any] = []
        parents: list[Node | None] = []
        for value in inputs:
            if value.__class__ in TENSOR_TYPES:
                arrays.append(value._data)
                parents.append(value._node)
            else:
                arrays.append(value)
                parents.append(None)
        try:
            data, aux = self._compute(*arrays, **constants), None
        except Exception:
            refuse_several_devices(self.name, self._named(arrays, constants))
            raise
        if self.has_aux:
            data, aux = data
        known = tuple(parents) if any(parents) else None
        return self._finished(data, context, inputs, known, constants, aux)

    def of_two(self, a: Any, b: Any) -> Tensor:
        """Compute as `__call__` does, for an op of two inputs without constants or aux.

        Arithmetic runs so often on values so small that the loops would cost more than the sum.
        """
        context = current.get()
        if context.expanded:
            return self(a, b)  # type: ignore[call-arg]
        x, y, x_node, y_node = a, b, None, None
        if a.__class__ in TENSOR_TYPES:
            x, x_node = a._data, a._node
        if b.__class__ in TENSOR_TYPES:
            y, y_node = b._data, b._node
        parents = (x_node, y_node) if x_node or y_node else None
        try:
            data = self._compute(x, y)
        except Exception:
            refuse_several_devices(self.name, self._named((x, y), _NO_CONSTANTS))
            raise
        return self._finished(data, context, (a, b), parents, _NO_CONSTANTS, None)

    def _named(self, inputs: Sequence[Any], constants: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Return inputs and constants by name."""
        return [*((self.input_name(i), x) for i, x in enumerate(inputs)), *constants.items()]

    def _finished(
        self,
        data: Array,
        context: Context,
        inputs: tuple[Any, ...],
        parents: tuple[Node | None, ...] | None,
        constants: Mapping[str, Any],
        aux: Any,
    ) -> Tensor:
        """Make a Tensor of the computed array, and put it on the tape if it has parents there."""
        if data.__class__ not in ARRAY_TYPES:
            data = devices.of(data).array(data)
        # As Tensor._wrap(data) does; every op comes here, and would pay for the call.
        output = blank_tensor()
        output._data = data
        output._node = None
        output._version = None
        if self.is_view:
            self._share_version(inputs[0], output)
        if parents is not None and context.recording and self.differentiable:
            dtype = data.dtype
            if dtype.kind == "f":
                if self.vjp_function is None:
                    raise NotImplementedError(
                        f"op {self.name!r} has no VJP, but an input requires a gradient; register"
                        f" one with @{self.name}.vjp, or declare the op with differentiable=False"
                    )
                output._node = node = Node()
                node.op = self
                node.parents = parents
                node.shape = data.shape
                node.dtype = dtype
                if not self._kept_inputs:
                    node.kept = ()
                elif self._keeps_all:
                    node.kept = _watched(inputs)
                else:
                    node.kept = _watched(tuple([inputs[i] for i in self._kept_inputs]))
                if self.keeps_more_than_inputs:
                    self._keep_more(node, inputs, output, constants, aux)
                if context.module_path:
                    node.module_path = context.module_path
                # Numbered after whatever was written to what it keeps.
                node.order = next(clock)
        if context.hooks:
            self._shown(context.hooks, inputs, output, constants)
        return output

    def _shown(
        self,
        hooks: tuple[EngineHook, ...],
        inputs: tuple[Any, ...],
        output: Tensor,
        constants: Mapping[str, Any],
    ) -> None:
        """Show hooks that the op ran: a node, for so long, with all that it was called with."""
        node = output._node
        if node is not None:
            node.called_with = constants
        for hook in hooks:
            hook.op_ran(self, inputs, output, node)
        if node is not None:
            del node.called_with

    def _keep_more(
        self,
        node: Node,
        inputs: tuple[Any, ...],
        output: Tensor,
        constants: Mapping[str, Any],
        aux: Any,
    ) -> None:
        """Keep for the VJP what it asks for beside inputs."""
        if self._wanted_constants:
            node.constants = {
                name: constants[name] if name in constants else self._defaults[name]
                for name in self._wanted_constants
            }
        if "output" in self._wanted:
            node.output = output._data
            node.output_version = output._versioned()
            node.output_version.keep()
        if "aux" in self._wanted:
            node.aux = aux
        if "shapes" in self._wanted:
            node.shapes = tuple([getattr(value, "shape", ()) for value in inputs])

    def _guarded_forward(self, *arrays: Any, **constants: Any) -> Any:
        """Run a foreign forward on arrays that it cannot write into."""
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

    def pull_back(
        self, node: Node, g: Array | Tensor, needs: tuple[bool, ...], recorded: bool
    ) -> tuple[Array | Tensor | None, ...]:
        """Run the VJP of one node: from its gradient to one contribution per input.

        Raises
        ------
        TypeError, ValueError
            If the VJP returns the wrong number of gradients, or one of the wrong shape.
        """
        kept: Any = node.kept
        if kept is None or self.keeps_values:
            arrays = node.values()
            kept = kept if recorded else arrays
        if self.guarded:
            with no_writing(f"the VJP of {node.where()}"):
                result = self._call_vjp(node, g, needs, kept, recorded)
        else:
            result = self._call_vjp(node, g, needs, kept, recorded)
        gradients = result if isinstance(result, tuple) else (result,)
        if len(gradients) != len(needs):
            gradients = self._completed(node, gradients, needs)
        parents: Any = node.parents
        try:
            for index, gradient in enumerate(gradients):
                if needs[index] and gradient.shape != parents[index].shape:
                    return self._fitted(node, gradients, needs)
        except AttributeError:  # something without a shape
            return self._fitted(node, gradients, needs)
        return gradients

    def _completed(
        self, node: Node, gradients: tuple[Any, ...], needs: tuple[bool, ...]
    ) -> tuple[Any, ...]:
        """Add the gradients that the VJP left out, because they are not needed."""
        missing = needs[len(gradients) :]
        if len(gradients) > len(needs) or any(missing):
            raise TypeError(
                f"the VJP of {node.where()} returned {len(gradients)} gradients for"
                f" {len(needs)} inputs"
            )
        return gradients + (None,) * len(missing)

    def _fitted(
        self, node: Node, gradients: tuple[Any, ...], needs: tuple[bool, ...]
    ) -> tuple[Any, ...]:
        """Sum gradients to their inputs' shapes if the op broadcasts; refuse what does not fit."""
        fitted = list(gradients)
        for index, (parent, needed) in enumerate(zip(node.parents, needs, strict=True)):
            if not needed:
                continue
            assert parent is not None
            gradient = fitted[index]
            what = f"for input {self.input_name(index)!r}"
            if gradient is None:
                raise TypeError(
                    f"the VJP of {node.where()} returned None {what}, which needs a gradient;"
                    " return zeros where the gradient is zero"
                )
            if not hasattr(gradient, "dtype"):
                raise TypeError(
                    f"the VJP of {node.where()} returned a {type(gradient).__name__} {what}; return"
                    " an array, or for several inputs a tuple of arrays"
                )
            if parent.shape == VOID:
                raise AutogradError(
                    f"backward through {node.where()}: its input {self.input_name(index)!r} was"
                    " given data of another shape after the op ran; run the forward pass again"
                )
            if self.broadcasts and gradient.shape == node.shape:
                fitted[index] = arithmetic[0].unbroadcast(gradient, parent.shape)
            elif gradient.shape != parent.shape:
                raise ValueError(
                    f"the VJP of {node.where()} returned a gradient of shape"
                    f" {tuple(gradient.shape)} {what} of shape {parent.shape}"
                    + self._repeated(node, gradient.shape, parent.shape)
                )
        return tuple(fitted)

    def _repeated(self, node: Node, found: Sequence[int], shape: Sequence[int]) -> str:
        """Say what to do with a gradient that was not summed; "" if that is not the mistake."""
        pairs = zip(reversed(shape), reversed(found), strict=False)
        if len(shape) > len(found) or any(own not in (1, size) for own, size in pairs):
            return ""
        advice = "; sum it over the axes along which the input was repeated"
        if self.broadcasts or tuple(found) != node.shape:
            return advice
        return f"{advice}, or declare the op with broadcasts=True"


def _wrapped(array: Array) -> Tensor:
    """Make a Tensor of an array that somebody outside holds."""
    return Tensor(Tensor._wrap(array)._data)


def _watched(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return inputs that a VJP asks for, watched from now on for being overwritten."""
    for value in inputs:
        if value.__class__ in TENSOR_TYPES:
            version = value._version
            if version is None:
                value._version = KEPT
            elif version is not KEPT:
                version.keep()
        elif hasattr(value, "dtype"):
            # An array is its caller's own, who may write into it at any time.
            return _watched(tuple([_wrapped(v) if v is value else v for v in inputs]))
    return inputs


def _no_vjp(*_: Any) -> None:
    """Stands in the place of a VJP until one is registered."""


def _given_read_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function get its arrays as views that it cannot write into."""

    def careful(*values: Any, **named: Any) -> Any:
        named = {name: read_only(value) for name, value in named.items()}
        return function(*map(read_only, values), **named)

    return careful


def _output_of(node: Node, recorded: bool) -> Array | Tensor:
    """Return the node's output; as a Tensor it stays under the same watch for overwriting."""
    if not recorded:
        return node.output
    output = Tensor._wrap(node.output, node)
    output._version = node.output_version
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
    broadcasts: bool = False,
    fresh: tuple[str, ...] = (),
) -> Callable[[Callable[P, Any]], Op[P]]: ...
def op(
    forward: Callable[P, Any] | None = None,
    *,
    name: str | None = None,
    has_aux: bool = False,
    differentiable: bool = True,
    view: bool = False,
    broadcasts: bool = False,
    fresh: tuple[str, ...] = (),
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
    broadcasts : bool
        Inputs broadcast against each other. The VJP may return gradients of the output's shape;
        the engine sums each over the axes along which its input was repeated.
    fresh : tuple of str
        Inputs whose gradients the VJP always computes into memory of their own. Such a gradient
        becomes a parameter's ``.grad`` as it is; any other is copied first.

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
        made = Op(function, title, has_aux, differentiable, view, broadcasts, fresh)
        if made.guarded and title in registry and not registry[title].guarded:
            raise ValueError(
                f"minires has an op called {title!r}; give yours another name, @mr.op(name=...)"
            )
        registry[title] = made
        return made

    return make if forward is None else make(forward)
