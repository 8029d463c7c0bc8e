"""Which value is which: every Tensor that takes part gets a number and a name.

A value is known by its node on the tape; one that has none, by its array. Nothing is kept alive by
being known.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from minires.autograd import Node, Tensor
from minires.devices import Array
from minires.nn import Module

from .records import Records, Value

Kind = Literal["result", "parameter", "buffer", "input"]

Named = tuple[Callable[[], Tensor | None], str, Kind]

_NOBODY: Named = (lambda: None, "", "input")


class ValueBook:
    """Numbers and names the values of a trace.

    Parameters
    ----------
    records : Records
        Where they are written down.
    model : Module, callable or None
        Whose parameters and buffers have names.
    """

    def __init__(self, records: Records, model: Any) -> None:
        self._records = records
        self._by_node: weakref.WeakKeyDictionary[Node, int] = weakref.WeakKeyDictionary()
        self._by_array: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._named: dict[int, Named] = {}
        self._named_nodes: weakref.WeakKeyDictionary[Node, str] = weakref.WeakKeyDictionary()
        self._times: Counter[str] = Counter()
        self._inputs = 0
        if isinstance(model, Module):
            records.modules = [path for path, _ in model.named_modules() if path]
            for name, parameter in model.named_parameters():
                records.parameters.append(name)
                self._name(parameter, name, "parameter")
            for name, buffer in model.named_buffers():
                self._name(buffer, name, "buffer")

    def _name(self, tensor: Tensor, name: str, kind: Kind) -> None:
        self._named[id(tensor)] = (weakref.ref(tensor), name, kind)
        if tensor._node is not None:
            self._named_nodes[tensor._node] = name

    def find(self, tensor: Tensor) -> int | None:
        """Return which value a Tensor is; None for one that took no part."""
        node = tensor._node
        index = None if node is None else self._by_node.get(node)
        return self._known_array(tensor._data) if index is None else index

    def of_node(self, node: Node) -> int | None:
        """Return the value of a node."""
        return self._by_node.get(node)

    def given(self, tensor: Tensor) -> tuple[Value, bool]:
        """Return which value an op was given, and whether it became known only now."""
        values, node = self._records.values, tensor._node
        index = None if node is None else self._by_node.get(node)
        if index is not None:
            return values[index], False
        known = self._known_array(tensor._data)
        if known is not None and node is None and not values[known].requires_grad:
            return values[known], False
        reference, name, kind = self._named.get(id(tensor), _NOBODY)
        if reference() is not tensor:  # an id may be that of a Tensor that is gone
            name, kind = f"input {self._inputs}", "input"
            self._inputs += 1
        made = self._new(name, kind, tensor)
        if node is None:
            made.detached_from = known
        return made, True

    def _known_array(self, array: Array) -> int | None:
        reference, index = self._by_array.get(id(array), (None, None))
        return index if reference is not None and reference() is array else None

    def made(self, op: str, module: str, tensor: Tensor, step: int) -> Value:
        """Note what a forward step made."""
        name = f"{module}/{op}" if module else op
        self._times[name] += 1
        if self._times[name] > 1:
            name += f":{self._times[name]}"
        return self._new(name, "result", tensor, step)

    def _new(self, name: str, kind: Kind, tensor: Tensor, step: int | None = None) -> Value:
        values, array, node = self._records.values, tensor._data, tensor._node
        dtype = str(array.dtype)
        value = Value(len(values), name, kind, array.shape, dtype, node is not None, step)
        values.append(value)
        if node is not None:
            self._by_node[node] = value.index
        self._by_array[id(array)] = (weakref.ref(array), value.index)
        return value

    def made_before(self, node: Node) -> int:
        """Note a value whose op ran before recording began."""
        values = self._records.values
        kind: Kind = "parameter"
        name = self._named_nodes.get(node)
        if name is None:
            kind = "input"
            name = f"{node.module_path}/{node.name}".lstrip("/") + " (before recording)"
        value = Value(len(values), name, kind, node.shape, str(node.dtype), True)
        values.append(value)
        self._by_node[node] = value.index
        return value.index
