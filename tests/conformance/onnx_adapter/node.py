"""What an adapter is told of the node it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

import minires as mr

# An adapter takes the node and its inputs (None for one left out) and returns its outputs.
Adapter = Callable[..., Any]


class Node:
    """A node's attributes, ONNX's defaults included; it notes which of them were asked for."""

    def __init__(self, proto: Any, opset: int) -> None:
        schema = onnx.defs.get_schema(proto.op_type, opset, proto.domain)
        defaults = {name: a.default_value for name, a in schema.attributes.items()}
        self._given = {a.name: _value(a) for a in proto.attribute}
        self._defaults = {name: _value(a) for name, a in defaults.items() if a.name}
        self._asked: set[str] = set()
        self.outputs = len(proto.output)

    def __getitem__(self, name: str) -> Any:
        """The attribute's value; None where it is neither given nor has a default."""
        self._asked.add(name)
        return self._given.get(name, self._defaults.get(name))

    @property
    def unasked(self) -> set[str]:
        """Attributes that say something else than their default, and that nobody asked for."""
        missed = self._given.keys() - self._asked
        return {name for name in missed if self._given[name] != self._defaults.get(name)}


def _value(attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


def plain(function: Callable[..., Any]) -> Adapter:
    """Stand for an operator that is `function` of its inputs, and has no attributes."""
    return lambda node, *inputs: function(*inputs)


def integers(tensor: mr.Tensor | None) -> tuple[int, ...] | None:
    """Axes, lengths and the like, which ONNX gives as values and minires takes as numbers."""
    return None if tensor is None else tuple(int(n) for n in tensor.numpy().reshape(-1))


def refuse(reason: str) -> None:
    """Say that the node asks for what minires has no option for."""
    raise NotImplementedError(reason)
