"""The adapter: each ONNX operator in minires' public ops, and graphs run node by node."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr
from tests.conformance.onnx_suite import Case, operator_of

from . import elementwise, networks, places, reductions, resizing, windows
from .node import Adapter, Node

OPERATORS: dict[str, Adapter] = {}
for _family in (elementwise, reductions, places, windows, resizing, networks):
    OPERATORS |= _family.OPERATORS


def run(case: Case) -> dict[str, np.ndarray]:
    """Compute the case's outputs with minires.

    Raises
    ------
    NotImplementedError
        If an operator has no adapter, or a node an attribute that its adapter does not look at.
    """
    values: dict[str, Any] = {name: mr.tensor(value) for name, value in case.inputs.items()}
    for proto in case.graph.node:
        operator = operator_of(proto)
        if operator not in OPERATORS:
            raise NotImplementedError(f"no adapter for {operator}")
        node = Node(proto, case.opsets[proto.domain])
        inputs = [values[name] if name else None for name in proto.input]
        # Infinities and NaN are asked for: what NumPy says about them is no finding.
        with mr.no_grad(), np.errstate(all="ignore"):
            outputs = OPERATORS[operator](node, *inputs)
        if node.unasked:
            raise NotImplementedError(f"{operator}: nobody asked for {sorted(node.unasked)}")
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        values |= zip(proto.output, outputs, strict=False)
    return {name: values[name].numpy() for name in case.expected}


def check(case: Case) -> None:
    """Run the case and compare: shape, dtype and values.

    Raises
    ------
    AssertionError
        If an output differs from what ONNX expects.
    """
    for name, found in run(case).items():
        expected = case.expected[name]
        assert found.dtype == expected.dtype, f"{name} is {found.dtype}, not {expected.dtype}"
        assert found.shape == expected.shape, f"{name} is {found.shape}, not {expected.shape}"
        np.testing.assert_allclose(found, expected, rtol=case.rtol, atol=case.atol, err_msg=name)


__all__ = ["OPERATORS", "check", "run"]
