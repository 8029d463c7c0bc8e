"""Which dtype a result has: PyTorch's rules, from plain numbers to mixed arrays."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from tests.helpers import leaves

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]
EVERY_OPERATOR = pytest.mark.parametrize("combine", OPERATORS)


@EVERY_OPERATOR
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("number", [2, 2.5, True])
def test_python_numbers_never_widen_a_float(combine, dtype, number):
    x = mr.ones(3, dtype=dtype)
    assert combine(x, number).dtype == dtype
    assert combine(number, x).dtype == dtype


@EVERY_OPERATOR
@pytest.mark.parametrize("scalar", [np.float64(2), np.float32(2), np.int64(2), np.array(2.0)])
def test_scalars_and_0d_arrays_never_widen_an_array_of_their_kind(combine, scalar):
    x = mr.ones(3)
    assert combine(x, scalar).dtype == "float32"
    assert combine(scalar, x).dtype == "float32"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("int64", "float32", "float32"),
        ("int64", "float16", "float16"),
        ("int32", "int64", "int64"),
        ("uint8", "int8", "int16"),
        ("bool", "int32", "int32"),
        ("bool", "float32", "float32"),
        ("float16", "float32", "float32"),
        ("float32", "float64", "float64"),
    ],
)
def test_arrays_join_as_in_pytorch(first, second, expected):
    a, b = mr.ones(2, dtype=first), mr.ones(2, dtype=second)
    assert (a + b).dtype == (b * a).dtype == mr.maximum(a, b).dtype == expected
    assert mr.where(mr.tensor([True, False]), a, b).dtype == expected


def test_a_float_number_makes_integers_float32():
    assert (mr.arange(3) * 0.5).dtype == "float32"
    assert mr.clip(mr.arange(3), 0.5).dtype == "float32"


def test_dividing_integers_gives_float32():
    assert (mr.arange(3) / mr.arange(1, 4)).dtype == "float32"
    assert (mr.arange(3) / 2).dtype == "float32"


def test_whole_division_and_remainder_of_integers_stay_integers():
    assert (mr.arange(5) // 2).tolist() == [0, 0, 1, 1, 2]
    assert (mr.arange(5) % 2).dtype == "int64"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_0d_result_keeps_its_dtype(dtype):
    (x,) = leaves(np.ones(3, dtype))
    y = (x * x).sum() * 2 + 1
    assert y.dtype == dtype
    assert y.shape == ()
    y.backward()
    assert x.grad.dtype == dtype


def test_a_wide_0d_tensor_does_not_widen_a_gradient():
    (x,) = leaves(np.ones(3, "float32"))
    (scale,) = leaves(np.float64(2.0))
    (x * scale).sum().backward()
    assert x.grad.dtype == "float32"
    assert scale.grad.dtype == "float64"
    assert scale.grad.item() == 3.0


def test_each_operand_gets_its_gradient_in_its_own_dtype():
    a, b = leaves(np.ones(2, "float32"), np.ones(2, "float64"))
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == ("float32", "float64")


@pytest.mark.parametrize(
    "function",
    [mr.exp, mr.sqrt, mr.mean, mr.ops.var, mr.ops.sigmoid, mr.ops.erf, mr.ops.gelu, mr.log],
)
def test_functions_of_integers_are_computed_in_float32(function):
    assert function(mr.arange(1, 4)).dtype == "float32"


def test_functions_of_integer_images_average_and_do_not_truncate():
    x = mr.arange(16).reshape(1, 1, 4, 4)
    assert mr.ops.avg_pool2d(x, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert mr.ops.adaptive_avg_pool2d(x, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert mr.ops.adaptive_avg_pool2d(x, 1).tolist() == [[[[7.5]]]]
    assert mr.ops.dropout(mr.ones(100, dtype="int64"), 0.25).max().item() == pytest.approx(4 / 3)
    norm = mr.ops.batch_norm(mr.arange(4).reshape(4, 1), None, None, training=True, eps=0.0)
    assert norm.tolist() == pytest.approx(np.array([[-3], [-1], [1], [3]]) / np.sqrt(5))


def test_sums_of_small_integers_do_not_overflow():
    assert mr.ones(300, dtype="uint8").sum().item() == 300
    assert (mr.ones(300) > 0).sum().dtype == "int64"


def test_what_tensor_makes_of_python_numbers_and_arrays():
    assert mr.tensor(1.0).dtype == mr.tensor([1, 2.5]).dtype == "float32"
    assert mr.tensor([1, 2]).dtype == "int64"
    assert mr.tensor(True).dtype == "bool"
    assert mr.tensor(np.float64(1)).dtype == mr.tensor(np.ones(2)).dtype == "float64"
    assert mr.tensor([1, 2], dtype=float).dtype == "float32"


@pytest.mark.parametrize("wrong", ["complex64", "U3", object, "banana"])
def test_dtypes_that_are_not_numbers_to_compute_with_are_refused(wrong):
    with pytest.raises(TypeError, match=r"dtype"):
        mr.tensor([1.0], dtype=wrong)


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@given(st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.booleans(), st.booleans())
@pytest.mark.oracle
def test_promotion_is_pytorchs(first, second, first_is_0d, second_is_0d):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    a = np.ones(() if first_is_0d else 2, first)
    b = np.ones(() if second_is_0d else 2, second)
    for combine in (operator.add, operator.mul, operator.truediv):
        found = combine(mr.tensor(a), mr.tensor(b)).dtype
        assert f"torch.{found}" == str(combine(torch.tensor(a), torch.tensor(b)).dtype)
