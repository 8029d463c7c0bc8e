"""What FILE.py::NAME names: a function, the inputs to check it at, and words for both."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import typer

from minires.autograd import Op
from minires.nn import Module

from .user_code import users_turn

_DEFAULT_SHAPE = (3, 4)
_LISTED = 6
# What people call the gradient that they wrote beside a function.
_GRADIENT_NAMES = ("vjp", "backward", "bwd", "grad")


class Target(NamedTuple):
    """What `gradcheck` is to be called with, and one line that says what that checks."""

    fn: Any
    inputs: Any
    about: str


class _Takes(NamedTuple):
    """The inputs of a function: those it needs, those it has defaults for, and any number."""

    required: list[str]
    optional: list[str]
    more: bool

    def allows(self, count: int) -> bool:
        least = len(self.required)
        return least <= count and (self.more or count <= least + len(self.optional))

    def __str__(self) -> str:
        least, most = len(self.required), len(self.required) + len(self.optional)
        count = f"at least {least}" if self.more else str(least)
        count = f"{least} to {most}" if self.optional and not self.more else count
        names = [*self.required, *(f"{name}=" for name in self.optional), *["..."] * self.more]
        return f"{count} input{'s' * (count != '1')} ({', '.join(names)})"


def target_in(
    module: ModuleType,
    file: Path,
    name: str,
    vjp: str | None,
    sizes: list[tuple[int, ...]],
    seed: int,
) -> Target:
    """Find what is to be checked in a file that was imported.

    Parameters
    ----------
    module, file : ModuleType, Path
        The file, imported, and where it is.
    name, vjp : str, str or None
        Of a case, a function, a module or a pair; and of the gradient of a NumPy function.
    sizes : list of shapes
        Of the inputs to draw; empty for the default.
    seed : int

    Raises
    ------
    typer.BadParameter
        If it is not there, or is nothing that can be checked so.
    UserCodeError
        If a case raises.
    """
    value = _found(module, name, file)
    if vjp is not None:
        gradient = _found(module, vjp, file)
        for what, given in ((name, value), (vjp, gradient)):
            if not callable(given) or inspect.isclass(given):
                raise typer.BadParameter(
                    f"{_kind(what, given)}; with --vjp, both are functions of NumPy arrays"
                )
        value = value, gradient
    if inspect.isfunction(value) and not inspect.signature(value).parameters:
        if sizes:
            raise typer.BadParameter(
                f"--shape: {name}() returns its inputs itself, as (fn, inputs)"
            )
        with users_turn(file, f"{name}()"):
            value = value()
        fn, inputs = _case(value, name)
        return Target(fn, inputs, f"{_about(fn, inputs)}, at the inputs that {name}() returned")
    if not _is_pair(value) and (not callable(value) or inspect.isclass(value)):
        raise typer.BadParameter(
            f"{_kind(name, value)}; what can be checked is a function, a module (an instance), or"
            " a pair (forward, vjp)"
        )
    shapes = _shapes(value, name, sizes)
    rng = np.random.default_rng(seed)
    inputs = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    where = f"at random inputs of shape {' and '.join(map(str, shapes))}"
    if not sizes:
        where += ", the default"
    if not any(array.size for array in inputs):
        where += ", which hold no value: there is nothing to compare"
    about = f"{_about(value, inputs, name, vjp or '')}, {where}{_forgotten(value, name, module)}"
    return Target(value, inputs, about)


def _found(module: ModuleType, name: str, file: Path) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    own = _checkable(module)
    near = difflib.get_close_matches(name, own, 1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    elif own:
        hint = f"there are: {', '.join(own[:_LISTED])}{', ...' if len(own) > _LISTED else ''}"
    else:
        hint = "nor anything else that could be checked"
    raise typer.BadParameter(f"{file}: there is no {name!r} in it; {hint}")


def _checkable(module: ModuleType) -> list[str]:
    """Name what the file itself defines that can be checked, in its order."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            _is_pair(value)
            or isinstance(value, (Module, Op))
            or (inspect.isfunction(value) and value.__module__ == module.__name__)
        )
    ]


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(callable, value))


def _is_module(value: Any) -> bool:
    """Tell whether it is a module: minires' or, where PyTorch is in use, one of its."""
    return hasattr(value, "named_parameters") and not inspect.isclass(value)


def _kind(name: str, value: Any) -> str:
    if inspect.isclass(value):
        return f"{name} is the class {value.__name__}"
    kind = type(value).__name__
    return f"{name} is {'an' if kind[0].lower() in 'aeio' else 'a'} {kind}"


def _case(value: Any, name: str) -> tuple[Any, Any]:
    if not (isinstance(value, tuple) and len(value) == 2) or callable(value[1]):
        raise typer.BadParameter(
            f"{name}() has no parameters, so it should return what to check as (fn, inputs); it"
            f" returned {type(value).__name__}"
        )
    return value


def _takes(function: Any) -> _Takes | None:
    """Look at the positional parameters; None where a function does not tell them."""
    function = function.forward if _is_module(function) else function
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return _Takes(
        [p.name for p in plain if p.default is p.empty],
        [p.name for p in plain if p.default is not p.empty],
        any(p.kind is p.VAR_POSITIONAL for p in parameters),
    )


def _shapes(value: Any, name: str, sizes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the shapes asked for, or one by default for each input that must be given."""
    takes = _takes(value[0] if isinstance(value, tuple) else value)
    if sizes:
        if takes is not None and not takes.allows(len(sizes)):
            raise typer.BadParameter(f"{name} takes {takes}, {len(sizes)} --shape given")
        return sizes
    if takes is None or not takes.required:
        raise typer.BadParameter(f"{name}: how many inputs it takes is not plain; give --shape")
    return [_DEFAULT_SHAPE] * len(takes.required)


def _about(fn: Any, inputs: Any, name: str = "", vjp: str = "") -> str:
    """Say whose gradient is checked, by the names in the file or else by their own."""
    if _is_pair(fn):
        return f"{vjp or _name(fn[1])}, the gradient of {_call(fn[0], name if vjp else '')}"
    engine = "PyTorch" if _is_torchs(fn, inputs) else "minires"
    computed = f"the gradient that {engine} computes of"
    if _is_module(fn):
        kind = type(fn).__name__
        what = f"{name} ({kind})" if name else kind
        return f"{computed} {what}, by its input and its parameters"
    return f"{computed} {_call(fn, name)}"


def _name(function: Any) -> str:
    name = str(getattr(function, "__name__", type(function).__name__))
    return "a lambda" if name == "<lambda>" else name


def _call(function: Callable[..., Any], name: str = "") -> str:
    takes = _takes(function)
    names = [] if takes is None else [*takes.required, *["..."] * takes.more]
    return f"{name or _name(function)}({', '.join(names)})"


def _is_torchs(fn: Any, inputs: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    values = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return isinstance(fn, torch.nn.Module) or any(isinstance(v, torch.Tensor) for v in values)


def _forgotten(value: Any, name: str, module: ModuleType) -> str:
    """Point to a gradient in the file that was not checked, because nothing asked for it."""
    if not inspect.isfunction(value) or _suggests_gradient(name):
        return ""
    own = [
        other
        for other in _checkable(module)
        if _suggests_gradient(other)
        and inspect.isfunction(getattr(module, other))
        and inspect.signature(getattr(module, other)).parameters
    ]
    if not own:
        return ""
    nearest = max(own, key=lambda other: difflib.SequenceMatcher(None, name, other).ratio())
    return f"; its gradient may be {nearest!r}: --vjp {nearest}"


def _suggests_gradient(name: str) -> bool:
    return any(word in name.lower() for word in _GRADIENT_NAMES)
