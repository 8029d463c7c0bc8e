from __future__ import annotations

import math

import pytest

from tests.trace.nets import network, recorded

NETS = [
    (kind, shortcut, norms)
    for kind in ("basic", "preact")
    for shortcut in ("A", "B", "C", None)
    for norms in (True, False)
]


@pytest.mark.parametrize(("kind", "shortcut", "norms"), NETS)
@pytest.mark.parametrize("options", [{}, {"replay": False}, {"save": "full"}], ids=str)
def test_a_healthy_network_raises_no_alarm_anywhere(kind, shortcut, norms, options):
    for seed in range(2):
        model = network(kind, 2, shortcut, seed, norms)
        trace = recorded(model, seed, **options)
        for value in trace.records.values:
            if value.gradient is None:
                continue
            found = trace.explain(value.index)
            assert not found.alarms, f"{value.name}: {found.alarms}"
            assert found.gradient is value.gradient


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_nor_does_it_in_other_dtypes(dtype):
    trace = recorded(network("basic", 2, dtype=dtype), dtype=dtype)
    for name in trace.records.parameters:
        assert not trace.explain(name).alarms


def test_the_factors_along_the_chain_multiply_to_the_gradient():
    trace = recorded(network("preact", 2))
    chain = trace.explain("layer1.0.conv1.weight").chain
    assert chain[0].through == "backward()"
    assert chain[-1].name == "layer1.0.conv1.weight"
    product = chain[0].norm * math.prod(stage.factor for stage in chain[1:])
    assert product == pytest.approx(chain[-1].norm, rel=1e-9)
