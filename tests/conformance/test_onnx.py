"""ONNX's own node tests: each case passes, or is out of scope for a reason that still holds."""

from __future__ import annotations

import dataclasses
import warnings
from fnmatch import fnmatchcase

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed; it comes with the extra 'test'")

import minires as mr
from tests.conformance.adapter import OPERATORS, check
from tests.conformance.adapter.node import plain
from tests.conformance.onnx_suite import load
from tests.conformance.out_of_scope import CASES, FOREIGN, MISSING, TYPES, reason
from tests.conformance.page import PAGE, render

SUITE = load()
REASONS = {name: reason(case) for name, case in SUITE.items()}
LRELU = SUITE["test_leakyrelu"]


@pytest.mark.parametrize("name", [name for name, why in REASONS.items() if why is None])
def test_the_case_passes(name):
    check(SUITE[name])


@pytest.mark.parametrize("name", [name for name, why in REASONS.items() if why is not None])
def test_what_is_out_of_scope_would_not_pass(name):
    try:
        check(SUITE[name])
    except Exception:
        return
    pytest.fail(f"{name} passes; it is said to be out of scope: {REASONS[name]}")


def test_every_operator_of_the_suite_has_an_adapter_or_a_reason_and_never_both():
    used = {operator for case in SUITE.values() for operator in case.operators}

    assert used == {*OPERATORS, *MISSING, *FOREIGN}
    assert len(used) == len(OPERATORS) + len(MISSING) + len(FOREIGN)


@pytest.mark.parametrize("operator", MISSING)
def test_what_minires_is_said_to_lack_it_lacks(operator):
    name = MISSING[operator]
    homes = [home.__name__ for home in (mr.ops, mr.nn, mr.optim) if hasattr(home, name)]

    assert not homes, f"{homes} has {name}: express {operator} by it in tests/conformance/adapter"


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_in_the_table_keeps_a_case_out(kind):
    assert f"{kind}: {TYPES[kind]}" in REASONS.values()


@pytest.mark.parametrize("pattern", CASES)
def test_every_pattern_in_the_table_keeps_a_case_out(pattern):
    kept_out = [name for name, why in REASONS.items() if why == CASES[pattern]]

    assert any(fnmatchcase(name, pattern) for name in kept_out)


def test_a_case_without_adapter_or_reason_must_pass(monkeypatch):
    monkeypatch.delitem(OPERATORS, "LeakyRelu")

    assert reason(LRELU) is None
    with pytest.raises(NotImplementedError, match="no adapter for LeakyRelu"):
        check(LRELU)


def test_an_attribute_that_its_adapter_does_not_look_at_is_noticed(monkeypatch):
    monkeypatch.setitem(OPERATORS, "LeakyRelu", plain(mr.ops.leaky_relu))

    with pytest.raises(NotImplementedError, match=r"LeakyRelu: nobody asked for \['alpha'\]"):
        check(LRELU)


@pytest.mark.parametrize(
    "wrong",
    [lambda y: y * 1.01, lambda y: y.astype("float64"), lambda y: y[None]],
    ids=["values", "dtype", "shape"],
)
def test_what_differs_from_the_expected_is_noticed(wrong):
    (expected,) = LRELU.expected.values()
    changed = dataclasses.replace(LRELU, expected={"y": wrong(expected)})

    with pytest.raises(AssertionError, match="y"):
        check(changed)


def test_the_loaders_warnings_and_seeds_stay_its_own(monkeypatch):
    def loader(kind):
        np.random.seed(0)
        warnings.warn(f"as onnx does, loading {kind} cases", UserWarning, stacklevel=1)
        return []

    monkeypatch.setattr("onnx.backend.test.loader.load_model_tests", loader)
    before = np.random.get_state()[1].copy()

    assert load.__wrapped__() == {}
    assert (np.random.get_state()[1] == before).all()


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == render(SUITE), "run: python -m tests.conformance"


def test_the_page_counts_every_case():
    rest = sum(why is not None for why in REASONS.values())
    page = PAGE.read_text(encoding="utf-8")

    assert f"Of {len(SUITE)} cases {len(SUITE) - rest} pass. The other {rest}" in page
