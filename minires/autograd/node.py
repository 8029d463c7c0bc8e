"""A node of the tape: one value that requires a gradient, and how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from minires.devices import Array

from .errors import AutogradError
from .version import KEPT, clock

if TYPE_CHECKING:
    from .operation import Op
    from .tensor import Tensor
    from .version import Version

# Tensor and its subclasses. To look a class up here is quicker than isinstance(), most of all for
# what is no Tensor.
TENSOR_TYPES: set[Any] = set()

# The shape of no value: it marks the node of a leaf whose data were replaced by some of another
# shape, to which the graphs made before have no gradient to give.
VOID = (-1,)


class Node:
    """The gradient side of a value.

    A Tensor that requires a gradient points to its node; the node never points back, so that a
    graph is free of reference cycles and vanishes with its last Tensor.

    Attributes
    ----------
    op : Op or None
        The op that made the value; None for a leaf.
    parents : tuple of Node or None
        For each input of the op, the node of that input; None where no gradient is needed.
    order : int
        When the node was made. Inputs come before outputs, so walking the nodes by falling
        `order` is a reverse topological order.
    module_path : str
        The module that ran the op, such as ``"layer1.0.conv1"``.
    shape, dtype
        Those of the value, and so of its gradient.
    kept : tuple or None
        The inputs that the VJP asked for, in the op's order; None once they were let go.
    output, output_version, aux, shapes, constants
        What else the VJP asked for.
    called_with : mapping
        All constants of the call; only while hooks are shown the node as it is made.
    grad : Tensor or None
        The accumulated gradient of a leaf, or of a value after ``retain_grad()``.
    """

    # Every recorded op makes a node and sets these six. They have no values here, for Python sets
    # an attribute that its class has too only slowly.
    op: Op[Any] | None
    parents: tuple[Node | None, ...]
    order: int
    shape: tuple[int, ...]
    dtype: Any
    kept: tuple[Any, ...] | None

    # What most nodes do not have stands here, once for all.
    module_path = ""
    output: Array | None = None
    output_version: Version | None = None
    aux: Any = None
    shapes: tuple[tuple[int, ...], ...] = ()
    constants: Mapping[str, Any] = MappingProxyType({})
    called_with: Mapping[str, Any] = MappingProxyType({})
    grad: Tensor | None = None
    retains_grad = False
    hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None

    def __repr__(self) -> str:
        return "<leaf>" if self.op is None else f"<{self.op.name}>"

    @property
    def name(self) -> str:
        """Name of the op that made the value; 'leaf' for a leaf."""
        return "leaf" if self.op is None else self.op.name

    def where(self) -> str:
        """Name the op and the module it ran in, for messages."""
        place = f" in '{self.module_path}'" if self.module_path else ""
        return f"'{self.name}'{place}"

    def gives_away(self, slot: int) -> bool:
        """Tell whether the gradient for the input at `slot` is nobody's but the receiver's."""
        return self.op is not None and self.op.gives_away(slot)

    def succeeded_by_shape(self, shape: tuple[int, ...]) -> Node:
        """Return the node of this leaf's value in a new shape; graphs of the old one are void."""
        successor = leaf(shape, self.dtype)
        successor.grad, successor.hooks = self.grad, self.hooks
        successor.retains_grad = self.retains_grad
        self.grad = self.hooks = None
        self.shape = VOID
        return successor

    def release(self) -> None:
        """Let go of the values that the backward pass needed; who the parents are stays known.

        A second pass can so tell a graph that was used up from one that leads nowhere.
        """
        self.kept = None
        assert self.op is not None
        if self.op.keeps_more_than_inputs:
            self.output = self.output_version = self.aux = None
            self.shapes = ()
            self.constants = {}

    def values(self) -> list[Any]:
        """Return the inputs that were kept, as arrays.

        Raises
        ------
        AutogradError
            If they were let go, or if one of them, or the output, was overwritten after the op ran.
        """
        if self.kept is None:
            raise AutogradError(
                f"backward through {self.where()} a second time: the values it had kept were let"
                " go after the first backward; call the first one with retain_graph=True, or run"
                " the forward pass again"
            )
        arrays = []
        for value in self.kept:
            if value.__class__ not in TENSOR_TYPES:  # a number or None
                arrays.append(value)
                continue
            version = value._version
            if version is not KEPT and not version.unchanged_since(self.order):
                assert self.op is not None
                raise AutogradError(
                    f"input {self.op.kept_name(len(arrays))!r} of {self.where()}, shape"
                    f" {tuple(value.shape)}, was overwritten after the op ran, but its"
                    " gradient needs the old values; write after backward, or compute with a copy"
                )
            arrays.append(value._data)
        version = self.output_version
        if version is not None and not version.unchanged_since(self.order):
            raise AutogradError(
                f"the output of {self.where()}, shape {self.shape}, was overwritten after the"
                " op ran, but its gradient needs the old values; write after backward, or"
                " compute with a copy"
            )
        return arrays


def leaf(shape: tuple[int, ...], dtype: Any) -> Node:
    """Return the node of a value that no recorded op made."""
    node = Node()
    node.op = None
    node.parents = node.kept = ()
    node.shape = shape
    node.dtype = dtype
    node.order = next(clock)
    return node
