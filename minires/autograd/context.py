"""What surrounds a computation: grad mode, hooks, the module path, the ops to spell out.

All of it is per thread and per context (`contextvars`), and read once per op.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from minires.devices import Array

    from .node import Node
    from .operation import Op
    from .tape import Contribution


@dataclass(slots=True)
class Context:
    """The surroundings of one op; a change makes a new one, with `dataclasses.replace`."""

    recording: bool = True
    hooks: tuple[EngineHook, ...] = ()
    module_path: str = ""
    module_names: Mapping[int, str] | None = None
    expanded: frozenset[str] = frozenset()
    # Which calls of ops are being spelled out, from the outermost: "conv2d:31/im2col:32".
    twin_of: str = ""

    def inside(self, names: Mapping[int, str], path: str) -> Context:
        """Return the same surroundings within the module at `path`; quicker than `replace`."""
        return Context(self.recording, self.hooks, path, names, self.expanded, self.twin_of)


current: ContextVar[Context] = ContextVar("minires_context", default=Context())  # noqa: B039


@contextmanager
def changed(**changes: Any) -> Iterator[None]:
    """Run the block in a context with some fields changed."""
    token = current.set(replace(current.get(), **changes))
    try:
        yield
    finally:
        current.reset(token)


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording: results do not require gradients. Also a decorator.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0], requires_grad=True)
    >>> with mr.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    with changed(recording=False):
        yield


@contextmanager
def enable_grad() -> Iterator[None]:
    """Record again inside a `no_grad` block. Also a decorator."""
    with changed(recording=True):
        yield


@contextmanager
def expand(*names: str) -> Iterator[None]:
    """Run the spelled-out twins of the named ops, so that each of their steps is recorded.

    A twin agrees with its fused op to rounding, not to the bit.

    Parameters
    ----------
    *names : str
        Names of ops that have a twin, for example ``"conv2d"`` and ``"batch_norm"``.

    Raises
    ------
    ValueError
        If a name is no op, or an op without a twin.

    Examples
    --------
    >>> import minires as mr
    >>> x, w = mr.randn(1, 2, 4, 4), mr.randn(3, 2, 3, 3, requires_grad=True)
    >>> with mr.expand("conv2d"):
    ...     y = mr.ops.conv2d(x, w)
    >>> y.grad_fn
    <reshape>
    """
    from .operation import registry

    for name in names:
        if name not in registry or registry[name].twin_function is None:
            twins = sorted(n for n, op in registry.items() if op.twin_function is not None)
            raise ValueError(f"expand: no spelled-out twin of {name!r}; there are: {twins}")
    with changed(expanded=current.get().expanded | set(names)):
        yield


def is_grad_enabled() -> bool:
    """Tell whether ops are being recorded."""
    return current.get().recording


def module_path() -> str:
    """Return the dotted path of the module that is running, '' outside of modules."""
    return current.get().module_path


def twin_of() -> str:
    """Return the calls of ops that `expand` is spelling out, '' outside of them."""
    return current.get().twin_of


def looked_on() -> bool:
    """Tell whether somebody looks on who wants to see every op, not several fused into one."""
    context = current.get()
    return bool(context.expanded) or not all(h.keeps_fused for h in context.hooks)


def located(message: str) -> str:
    """Add to an error message the module in which it arose."""
    path = current.get().module_path
    return f"{message}; in '{path}'" if path else message


class EngineHook:
    """Look on while the engine works, inside a ``with`` block.

    Subclass it and override the moments of interest. Arrays that a moment shows belong to the
    engine: they may be read during the call, and must be copied to be kept. An exception raised
    here stops the computation.

    Examples
    --------
    >>> import minires as mr
    >>> class Names(mr.autograd.EngineHook):
    ...     def __init__(self):
    ...         self.seen = []
    ...
    ...     def op_ran(self, op, inputs, output, node):
    ...         self.seen.append(op.name)
    >>> with Names() as names:
    ...     y = mr.ones(2) * 3 + 1
    >>> names.seen
    ['mul', 'add']

    Attributes
    ----------
    keeps_fused : bool
        Whether residual blocks go on using fused ops while this hook looks on. By default each
        step of a block is an op of its own, so that all of them are seen: the hook must be there
        in the forward pass already, for what has been recorded fused goes back as one.
    """

    keeps_fused: bool = False

    def __enter__(self) -> Self:
        """Install the hook for this thread and context."""
        context = current.get()
        current.set(replace(context, hooks=(*context.hooks, self)))
        return self

    def __exit__(self, *exception: object) -> None:
        """Take the hook away, whichever others came or went meanwhile."""
        context = current.get()
        last = len(context.hooks) - 1 - context.hooks[::-1].index(self)
        hooks = context.hooks[:last] + context.hooks[last + 1 :]
        current.set(replace(context, hooks=hooks))

    def pass_began(self) -> None:
        """Observe that a backward pass begins; one may begin inside of another's VJP."""

    def pass_ended(self) -> None:
        """Observe that the backward pass that began last has ended, perhaps by an exception."""

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Observe that `op` made `output` of `inputs`; `node` is None where nothing is recorded."""

    def vjp_ran(self, node: Node, g: Array, contributions: tuple[Array | None, ...]) -> None:
        """Observe that `node` turned its gradient `g` into one contribution per input.

        None stands for an input that needs none.
        """

    def contributions_met(
        self, node: Node, contributions: list[Contribution], total: Array
    ) -> None:
        """Observe that all contributions to the gradient of `node` were summed to `total`."""

    def gradient_replaced(self, node: Node, gradient: Array) -> None:
        """Observe that a hook on the value put `gradient` in the place of that sum."""
