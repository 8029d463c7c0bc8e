"""Running modules one after the other, as few ops as possible while nobody looks on.

Batch normalisation, the ReLU behind it, the convolution behind that and a block's addition can be
one op, which reads memory once. Under a hook or `minires.expand`, and for layers of other kinds,
each step is an op of its own; the numbers are the same to the bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar, overload

from minires import ops
from minires.autograd import Tensor, looked_on

from .containers import Identity
from .functions import ReLU
from .layers import BatchNorm2d, Conv2d
from .module import Module

Kind = TypeVar("Kind", bound=Module)


class Sequential(Module):
    """Run modules one after the other, as few ops as possible while nobody looks on.

    Parameters
    ----------
    *modules : Module
        Called "0", "1", ...; or one dict of them, which tells their names. A slice is a Sequential
        of modules that keep theirs.

    Raises
    ------
    TypeError
        If one is no Module.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.Sequential(mr.nn.Linear(4, 2), mr.nn.ReLU())(mr.ones(1, 4)).shape
    (1, 2)
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        first = modules[0] if len(modules) == 1 else None
        named: Any = first if isinstance(first, Mapping) else dict(enumerate(modules))
        for name, module in named.items():
            self.add_module(str(name), module)

    def forward(self, x: Any) -> Any:
        """Give x to the first module, its output to the next, and so on."""
        return run(list(self.children()), x)

    def append(self, module: Module) -> Sequential:
        """Add a module at the end; the first number from their count on that is free names it."""
        numbers = map(str, itertools.count(len(self)))
        self.add_module(next(number for number in numbers if number not in self._modules), module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module | Sequential:
        modules = list(self.named_children())
        return Sequential(dict(modules[index])) if isinstance(index, slice) else modules[index][1]


def run(
    steps: Sequence[Module],
    x: Tensor,
    shortcut: Callable[[], Tensor] | None = None,
    after: Sequence[Module] = (),
) -> Tensor:
    """after(shortcut() + steps(x)), or after(steps(x)) without a shortcut.

    Parameters
    ----------
    steps : sequence of Module
        Each takes what the one before gave.
    x : Tensor
    shortcut : callable, optional
        Makes what is added to the output of the steps, of its shape.
    after : sequence of Module
        What runs behind the addition.

    Returns
    -------
    Tensor
    """
    if shortcut is None:
        return _run([*steps, *after], x)
    parts = [] if looked_on() else list(_apart(steps))
    if parts and after and _is(after[0], ReLU):
        *first, last = parts
        if _is(last, BatchNorm2d):
            return _run(after[1:], _normalized(last, _run(first, x), shortcut()))
        if _is(last, Conv2d):
            return _run(after[1:], _convolved(last, _run(first, x), shortcut()))
    branch = _run(steps, x)
    return _run(after, ops.residual_add(shortcut(), branch))


def _run(steps: Sequence[Module], x: Tensor) -> Tensor:
    if looked_on():
        for step in steps:
            x = step(x)
        return x
    left = list(_apart(steps))[::-1]
    while left:
        step = left.pop()
        if not (left and _is(left[-1], ReLU)):
            x = step(x)
        elif _is(step, BatchNorm2d):
            left.pop()
            if left and _is(left[-1], Conv2d) and isinstance(x, Tensor) and x.device.recomputes:
                x = _normalized_convolved(step, left.pop(), x)  # type: ignore[arg-type]
            else:
                x = _normalized(step, x)
        elif _is(step, Conv2d):
            left.pop()
            x = _convolved(step, x)
        else:
            x = step(x)
    return x


def _apart(steps: Iterable[Module]) -> Iterator[Module]:
    """Take sequences of modules apart, and leave out what does nothing."""
    for step in steps:
        if type(step).forward is Sequential.forward and "forward" not in vars(step):
            yield from _apart(step.children())
        elif not _is(step, Identity):
            yield step


def _is(module: Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Tell whether a module is of this kind and computes as its class does."""
    return type(module) is kind and "forward" not in vars(module)


def _normalized(norm: BatchNorm2d, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """relu(norm(x) + shortcut)."""
    with norm.inside():
        vectors, settings = norm.begin(x)
        return ops.batch_norm_relu(x, *vectors, shortcut, **settings)


def _convolved(conv: Conv2d, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """relu(conv(x) + shortcut)."""
    with conv.inside():
        settings = conv.stride, conv.padding, conv.dilation, conv.groups
        return ops.conv2d_relu(x, conv.weight, conv.bias, shortcut, *settings)


def _normalized_convolved(norm: BatchNorm2d, conv: Conv2d, x: Tensor) -> Tensor:
    """conv(relu(norm(x))): only x is kept for the way back."""
    with norm.inside():
        (mean, variance, scale, shift), settings = norm.begin(x)
    with conv.inside():
        return ops.batch_norm_relu_conv2d(
            *(x, mean, variance, scale, shift, conv.weight, conv.bias),
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=conv.groups,
            **settings,
        )
