"""A node of the tape: one value that requires a gradient, and how it was made."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minires.devices import Array

from .errors import AutogradError

if TYPE_CHECKING:
    from .operation import Op
    from .tensor import Tensor
    from .version import Version

_clock = itertools.count()


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
    grad : Tensor or None
        The accumulated gradient of a leaf, or of a value after ``retain_grad()``.
    """

    __slots__ = (
        "__weakref__",
        "aux",
        "constants",
        "dtype",
        "grad",
        "hooks",
        "inputs",
        "module_path",
        "op",
        "order",
        "output",
        "output_version",
        "parents",
        "released",
        "retains_grad",
        "shape",
        "shapes",
        "versions",
    )

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.op: Op[Any] | None = None
        self.shape = shape
        self.dtype = dtype
        self.order = next(_clock)
        self.parents: tuple[Node | None, ...] = ()
        self.inputs: tuple[Any, ...] = ()
        self.versions: tuple[tuple[int, Version, int], ...] = ()
        self.output: Array | None = None
        self.output_version: tuple[Version, int] | None = None
        self.aux: Any = None
        self.shapes: tuple[tuple[int, ...], ...] = ()
        self.constants: dict[str, Any] = {}
        self.module_path = ""
        self.grad: Tensor | None = None
        self.retains_grad = False
        self.hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
        self.released = False

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

    def release(self) -> None:
        """Let go of the values that the backward pass needed; who the parents are stays known.

        A second pass can so tell a graph that was used up from one that leads nowhere.
        """
        self.inputs = self.versions = self.shapes = ()
        self.output = self.output_version = self.aux = None
        self.constants = {}
        self.released = True

    def check_intact(self) -> None:
        """Refuse to differentiate values that were overwritten after the op ran.

        Raises
        ------
        AutogradError
            If the node was released, or a value that it kept has changed.
        """
        if self.released:
            raise AutogradError(
                f"backward through {self.where()} a second time: the values it had kept were let"
                " go after the first backward; call the first one with retain_graph=True, or run"
                " the forward pass again"
            )
        assert self.op is not None
        for index, version, count in self.versions:
            if not version.unchanged_since(count):
                raise AutogradError(
                    f"input {self.op.input_name(index)!r} of {self.where()}, shape"
                    f" {tuple(self.inputs[index].shape)}, was overwritten after the op ran, but its"
                    " gradient needs the old values; write after backward, or compute with a copy"
                )
        if self.output_version is not None:
            version, count = self.output_version
            if not version.unchanged_since(count):
                raise AutogradError(
                    f"the output of {self.where()}, shape {self.shape}, was overwritten after the"
                    " op ran, but its gradient needs the old values; write after backward, or"
                    " compute with a copy"
                )
