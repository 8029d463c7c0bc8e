"""The ONNX project's backend node tests, as they come with the installed `onnx`."""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx


@dataclass(frozen=True)
class Case:
    """A graph, values for its inputs, and the values that its outputs must have."""

    name: str
    operator: str  # that of the node, also where the graph spells it out
    graph: Any
    opsets: dict[str, int]
    inputs: dict[str, Any]
    expected: dict[str, Any]
    rtol: float
    atol: float

    @property
    def expanded(self) -> bool:
        """Whether the operator is spelled out as a graph of others."""
        return re.search("_expanded(_ver[0-9]+)?$", self.name) is not None

    @property
    def operators(self) -> list[str]:
        """The operators in the graph, each once."""
        return list(dict.fromkeys(map(operator_of, self.graph.node)))

    @property
    def types(self) -> set[str]:
        """ONNX's names for what the graph takes and gives, such as FLOAT or `sequence`."""
        return {_type_of(value.type) for value in (*self.graph.input, *self.graph.output)}


def operator_of(node: Any) -> str:
    """The operator's name; behind its domain, where that is not ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _type_of(type_proto: Any) -> str:
    kind = type_proto.WhichOneof("value")
    if kind != "tensor_type":
        return str(kind).removesuffix("_type")
    return onnx.TensorProto.DataType.Name(type_proto.tensor_type.elem_type)


def _array(value: Any) -> Any:
    """What the suite gives as a tensor, as an array; sequences and absent values as they are."""
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return value if value is None or isinstance(value, list) else np.asarray(value)


@functools.cache
def load() -> dict[str, Case]:
    """Every node case of the installed onnx, by name."""
    # Making its cases, onnx overflows, divides by zero, and seeds NumPy's common generator.
    state = np.random.get_state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        found = load_model_tests(kind="node")
    np.random.set_state(state)
    operators = {t.name: operator_of(t.model.graph.node[0]) for t in found}
    cases = {}
    for test in found:
        graph = test.model.graph
        ((inputs, outputs),) = test.data_sets
        cases[test.name] = Case(
            name=test.name,
            operator=operators[re.sub("_expanded(_ver[0-9]+)?$", "", test.name)],
            graph=graph,
            opsets={entry.domain: entry.version for entry in test.model.opset_import},
            inputs={v.name: _array(x) for v, x in zip(graph.input, inputs, strict=True)},
            expected={v.name: _array(x) for v, x in zip(graph.output, outputs, strict=True)},
            rtol=test.rtol,
            atol=test.atol,
        )
    return cases
