"""Modules: parameters, buffers and submodules under readable names."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from typing import Any, Self

from minires import devices
from minires.autograd import Tensor
from minires.autograd.context import Context, current
from minires.ops.creation import destination

_edits = itertools.count()
_last_edit = 0


def _edited() -> None:
    """Note that some module tree changed: remembered paths are out of date."""
    global _last_edit
    _last_edit = next(_edits)


class Parameter(Tensor):
    """A Tensor that a module learns.

    Parameters
    ----------
    data : Tensor or array
        Initial values, floating; not copied.
    requires_grad : bool

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.Parameter(mr.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data._data if isinstance(data, Tensor) else data)
        if isinstance(data, Tensor):
            self._version = data._versioned()
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Module:
    """Base class of layers and networks.

    A subclass makes its parts in ``__init__`` (after ``super().__init__()``) and uses them in
    ``forward``. Attributes that are a `Parameter` or a `Module` are registered by their name.

    Attributes
    ----------
    training : bool
        Whether layers such as BatchNorm and Dropout behave as in training.

    Examples
    --------
    >>> import minires as mr
    >>> class Double(mr.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = mr.nn.Parameter(mr.tensor(2.0))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Double()(mr.ones(2))
    tensor([2., 2.], grad_fn=<mul>)
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        fields = vars(self)
        fields["training"] = True
        fields["_parameters"] = {}
        fields["_buffers"] = {}
        fields["_modules"] = {}
        fields["_paths"] = (-1, {})

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output; every subclass has its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run `forward`; ops inside know this module's path."""
        token = self._enter()
        try:
            return self.forward(*inputs, **options)
        finally:
            current.reset(token)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let the ops in the block know this module's path, as in a call of the module."""
        token = self._enter()
        try:
            yield
        finally:
            current.reset(token)

    def _enter(self) -> Token[Context]:
        """Make this module's path the current one; the token takes that back."""
        context = current.get()
        paths = context.module_names
        if paths is None or id(self) not in paths:
            paths = self._paths_below()
        return current.set(context.inside(paths, paths[id(self)]))

    def _paths_below(self) -> Mapping[int, str]:
        """The path of every module below, by its id; worked out again after an edit."""
        edit, paths = vars(self)["_paths"]
        if edit != _last_edit:
            paths = {id(module): name for name, module in self.named_modules()}
            vars(self)["_paths"] = (_last_edit, paths)
        return paths  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        """Copy everything but the remembered paths, which are those of the original's modules."""
        return {**vars(self), "_paths": (-1, {})}

    def __setattr__(self, name: str, value: Any) -> None:
        fields = vars(self)
        if "_modules" not in fields:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before setting {name!r}"
            )
        homes = {
            "_parameters": isinstance(value, Parameter),
            "_modules": isinstance(value, Module),
            "_buffers": isinstance(value, Tensor) and name in fields["_buffers"],
        }
        known = next((home for home in homes if name in fields[home]), None)
        if value is None and known is not None:
            homes[known] = True
        elif name in fields["_buffers"] and not homes["_buffers"]:
            raise TypeError(f"{name!r} is a buffer; assign a Tensor or None to it")
        for home, belongs in homes.items():
            if belongs:
                for other in ("_parameters", "_modules", "_buffers"):
                    if other != home:
                        fields[other].pop(name, None)
                fields.pop(name, None)
                fields[home][name] = value
                _edited()
                return
        if known == "_parameters":
            raise TypeError(
                f"{name!r} is a parameter; assign a Parameter or None to it, or write its values"
                " with .copy_() or .data"
            )
        if known is not None:
            del fields[known][name]
            _edited()
        fields[name] = value

    def __getattr__(self, name: str) -> Any:
        fields = vars(self)
        for home in ("_parameters", "_modules", "_buffers"):
            if name in fields.get(home, ()):
                return fields[home][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for home in (self._parameters, self._modules, self._buffers):
            if name in home:
                del home[name]
                _edited()
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._modules, *self._buffers]

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Register state that is saved but not learned, such as running statistics."""
        if name in vars(self) or name in self._parameters or name in self._modules:
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"buffer {name!r} must be a Tensor or None, found {type(tensor).__name__}"
            )
        self._buffers[name] = tensor

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Register a parameter, or None to say that this one is left out."""
        self._parameters[name] = None
        setattr(self, name, parameter)

    def add_module(self, name: str, module: Module | None) -> None:
        """Register a submodule under any name without dots that is not taken."""
        if "." in name or not name or (hasattr(self, name) and name not in self._modules):
            raise KeyError(f"a submodule cannot be called {name!r}")
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: {name!r} should be a Module, found"
                f" {type(module).__name__}; several are given one by one, or as a ModuleList"
            )
        self._modules[name] = module
        _edited()

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over the direct submodules with their names, in the order of their making."""
        for name, module in self._modules.items():
            if module is not None:
                yield name, module

    def children(self) -> Iterator[Module]:
        """Iterate over the direct submodules."""
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Iterate over this module and all below, each once, with dotted paths."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            below = [(f"{path}.{n}" if path else n, m) for n, m in module.named_children()]
            stack.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all below, each once."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, path: str) -> Module:
        """Return the module at a dotted path; '' is this one.

        Raises
        ------
        AttributeError
            If there is none.
        """
        for name, module in self.named_modules():
            if name == path:
                return module
        raise AttributeError(f"{type(self).__name__} has no submodule {path!r}")

    def _named(self, home: str) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, value in vars(module)[home].items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Iterate over all parameters with their dotted names, each once, in order of making."""
        return self._named("_parameters")  # type: ignore[return-value]

    def parameters(self) -> Iterator[Parameter]:
        """Iterate over all parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over all buffers with their dotted names, each once."""
        return self._named("_buffers")

    def buffers(self) -> Iterator[Tensor]:
        """Iterate over all buffers, each once."""
        return (buffer for _, buffer in self.named_buffers())

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below to training (or, with False, evaluation) mode."""
        for module in self.modules():
            vars(module)["training"] = mode
        return self

    def eval(self) -> Self:
        """Switch this module and all below to evaluation mode."""
        return self.train(False)

    def requires_grad_(self, flag: bool = True) -> Self:
        """Make all parameters require gradients, or no longer."""
        for parameter in self.parameters():
            parameter.requires_grad_(flag)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(
        self, *targets: Any, device: str | devices.Device | None = None, dtype: Any = None
    ) -> Self:
        """Move all parameters and buffers to a device, or the floating ones to a dtype, in place.

        On the device "meta" they keep their shapes and lose their values.

        Parameters
        ----------
        *targets : dtype, Device, or the name of either
            One of them, or a device and a dtype.
        device : str or Device, optional
        dtype : optional
            The same by keyword.

        Examples
        --------
        >>> import minires as mr
        >>> mr.nn.Linear(2, 2).to("float64").weight.dtype
        dtype('float64')
        """
        place, kind = destination(targets, device, dtype)
        if kind is not None and not devices.is_float(kind):
            raise TypeError(f"a module's parameters must stay floating, found dtype {kind}")
        for value in (*self.parameters(), *self.buffers()):
            gradient, moved = value.grad, value._data
            if place is not None and place is not value.device:
                moved = place.array(value.device.to_numpy(moved))
            if kind is not None and devices.is_float(moved.dtype):
                moved = devices.of(moved).astype(moved, kind)
            if moved is not value._data:
                value.grad = None
                value.data = moved
                if gradient is not None:
                    value.grad = gradient.detach().to(value.device, value.dtype)
        return self

    def cpu(self) -> Self:
        """Move all parameters and buffers to the CPU, in place."""
        return self.to(devices.cpu)

    def cuda(self, device: int = 0) -> Self:
        """Move all parameters and buffers to the GPU with this number, in place."""
        return self.to(f"cuda:{device}")

    def state_dict(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by name, detached, sharing the module's memory."""
        return {name: value.detach() for name, value in self._state().items()}

    def _state(self, prefix: str = "") -> dict[str, Tensor]:
        """Everything by name; what is shared stands under each of its names."""
        state: dict[str, Tensor] = {}
        for home in (self._parameters, self._buffers):
            state.update(
                {prefix + name: value for name, value in home.items() if value is not None}
            )
        for name, module in self.named_children():
            state.update(module._state(f"{prefix}{name}."))
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Copy saved values into the module's own memory; all of them, or none.

        Parameters
        ----------
        state : mapping of str to Tensor or array
            As `state_dict` gives it.
        strict : bool
            Refuse missing and unexpected names.

        Raises
        ------
        ValueError
            Names every missing and unexpected name and every shape that does not fit; then
            nothing has been copied.
        """
        own = self._state()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        for name, value in own.items():
            if name in state and tuple(state[name].shape) != value.shape:
                problems.append(
                    f"{name}: shape {tuple(state[name].shape)} does not fit {value.shape}"
                )
        if problems:
            raise ValueError(
                f"load_state_dict into {type(self).__name__}, nothing was copied:\n  "
                + "\n  ".join(problems)
            )
        for name, value in own.items():
            if name in state:
                value.copy_(state[name])

    def extra_repr(self) -> str:
        """Return what `repr` shows between the parentheses of a module without submodules."""
        return ""

    def __repr__(self) -> str:
        title = type(self).__name__
        lines = [
            f"  ({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self._modules.items()
        ]
        if not lines:
            return f"{title}({self.extra_repr()})"
        return f"{title}(\n" + "\n".join(lines) + "\n)"
