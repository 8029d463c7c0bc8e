"""ONNX's own node tests: each case passes, or is out of scope for a reason that still holds."""

from __future__ import annotations

import dataclasses
import warnings
from fnmatch import fnmatchcase

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed; it comes with the extra 'test'")

import minires as mr
from tests.conformance.onnx_adapter import OPERATORS, check
from tests.conformance.onnx_adapter.node import plain
from tests.conformance.onnx_out_of_scope import CASES, FOREIGN, MISSING, TYPES, reason
from tests.conformance.onnx_page import PAGE, render
from tests.conformance.onnx_suite import load


@pytest.fixture(scope="module")
def suite():
    """The cases. To make them takes seconds, which those who ask for other tests are spared."""
    return load()


@pytest.fixture(scope="module")
def reasons(suite):
    return {name: reason(case) for name, case in suite.items()}


@pytest.fixture
def lrelu(suite):
    return suite["test_leakyrelu"]


@pytest.mark.parametrize("operator", sorted({*OPERATORS, *MISSING, *FOREIGN}))
def test_every_case_passes_or_is_out_of_scope_for_a_reason_that_holds(suite, operator):
    failures = [failure_of(case) for case in suite.values() if case.operator == operator]
    failures = [failure for failure in failures if failure]

    assert failures == [], "\n\n".join(failures)


def failure_of(case):
    """What is wrong with what becomes of a case, if anything is."""
    why = reason(case)
    try:
        check(case)
    except Exception as error:
        return None if why else f"{case.name}: {type(error).__name__}: {error}"
    return why and f"{case.name} passes; it is said to be out of scope: {why}"


def test_a_failing_case_and_a_reason_that_does_not_hold_are_told(lrelu, monkeypatch):
    wrong = dataclasses.replace(lrelu, expected={"y": np.zeros(1)})
    assert failure_of(lrelu) is None
    assert failure_of(wrong).startswith("test_leakyrelu: AssertionError")

    monkeypatch.setitem(CASES, "test_leakyrelu", "too leaky")
    assert failure_of(wrong) is None
    assert failure_of(lrelu) == "test_leakyrelu passes; it is said to be out of scope: too leaky"


def test_every_operator_of_the_suite_has_an_adapter_or_a_reason_and_never_both(suite):
    used = {operator for case in suite.values() for operator in case.operators}

    assert used == {*OPERATORS, *MISSING, *FOREIGN}
    assert len(used) == len(OPERATORS) + len(MISSING) + len(FOREIGN)


@pytest.mark.parametrize("operator", MISSING)
def test_what_minires_is_said_to_lack_it_lacks(operator):
    name = MISSING[operator]
    homes = [home.__name__ for home in (mr.ops, mr.nn, mr.optim) if hasattr(home, name)]

    assert not homes, f"{homes} has {name}: express {operator} by it in onnx_adapter"


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_in_the_table_keeps_a_case_out(reasons, kind):
    assert f"{kind}: {TYPES[kind]}" in reasons.values()


@pytest.mark.parametrize("pattern", CASES)
def test_every_pattern_in_the_table_keeps_a_case_out(reasons, pattern):
    kept_out = [name for name, why in reasons.items() if why == CASES[pattern]]

    assert any(fnmatchcase(name, pattern) for name in kept_out)


def test_a_case_without_adapter_or_reason_must_pass(lrelu, monkeypatch):
    monkeypatch.delitem(OPERATORS, "LeakyRelu")

    assert reason(lrelu) is None
    with pytest.raises(NotImplementedError, match="no adapter for LeakyRelu"):
        check(lrelu)


def test_an_attribute_that_its_adapter_does_not_look_at_is_noticed(lrelu, monkeypatch):
    monkeypatch.setitem(OPERATORS, "LeakyRelu", plain(mr.ops.leaky_relu))

    with pytest.raises(NotImplementedError, match=r"LeakyRelu: nobody asked for \['alpha'\]"):
        check(lrelu)


@pytest.mark.parametrize(
    "wrong",
    [lambda y: y * 1.01, lambda y: y.astype("float64"), lambda y: y[None]],
    ids=["values", "dtype", "shape"],
)
def test_what_differs_from_the_expected_is_noticed(lrelu, wrong):
    (expected,) = lrelu.expected.values()
    changed = dataclasses.replace(lrelu, expected={"y": wrong(expected)})

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
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m tests.conformance onnx"


def test_the_page_counts_every_case(suite, reasons):
    rest = sum(why is not None for why in reasons.values())
    page = PAGE.read_text(encoding="utf-8")

    assert f"Of {len(suite)} cases {len(suite) - rest} pass. The other {rest}" in page
