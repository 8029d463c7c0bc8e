"""Dtypes by name, and how operands of several join."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices import as_dtype, is_float, result_dtype

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
KINDS = {"b": 0, "u": 1, "i": 1, "f": 2}


@pytest.mark.parametrize("name", NAMES)
def test_a_dtype_goes_by_its_name_its_class_and_itself(name):
    assert as_dtype(name) == as_dtype(np.dtype(name)) == as_dtype(np.dtype(name).type) == name


def test_pythons_types_stand_for_the_usual_dtypes():
    assert as_dtype(float) == "float32"
    assert as_dtype(int) == "int64"
    assert as_dtype(bool) == "bool"


@pytest.mark.parametrize("name", ["complex64", "datetime64[s]", "O", "S4"])
def test_dtypes_not_computed_with_are_refused(name):
    with pytest.raises(TypeError, match="not supported"):
        as_dtype(name)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "int4"])
def test_dtypes_that_others_add_to_numpy_are_refused(name):
    added = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with onnx")
    with pytest.raises(TypeError, match="not supported"):
        as_dtype(getattr(added, name))


def test_what_is_no_dtype_is_refused():
    with pytest.raises(TypeError, match=r"'floaty' is no dtype.*mr\.float32"):
        as_dtype("floaty")


def test_only_floats_carry_gradients():
    assert [is_float(np.dtype(name)) for name in NAMES] == [False] * 6 + [True] * 3


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
def test_the_highest_kind_decides_whatever_the_order(names):
    arrays = [np.ones(1, name) for name in names]
    found = result_dtype(*arrays)
    highest = max(KINDS[np.dtype(name).kind] for name in names)
    assert KINDS[found.kind] == highest
    assert result_dtype(*reversed(arrays)) == found
    # Narrower kinds have no say at all.
    assert found == np.result_type(*(a.dtype for a in arrays if KINDS[a.dtype.kind] == highest))


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_a_0d_array_widens_an_array_by_its_kind_only(array, scalar):
    found = result_dtype(np.ones(2, array), np.ones((), scalar))
    if KINDS[np.dtype(scalar).kind] <= KINDS[np.dtype(array).kind]:
        assert found == array
    else:
        assert found == scalar


@given(st.sampled_from(NAMES), st.sampled_from([True, 3, 2.5]))
def test_python_numbers_widen_by_their_kind_only(array, number):
    found = result_dtype(np.ones(2, array), number)
    own = {bool: 0, int: 1, float: 2}[type(number)]
    usual = {0: "bool", 1: "int64", 2: "float32"}[own]
    assert found == (array if own <= KINDS[np.dtype(array).kind] else usual)
