"""Ops without gradient: comparisons, positions, logic and whole division, against NumPy."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, mutually_broadcastable_shapes

import minires as mr
from tests.helpers import leaves
from tests.ops.table import Dice

FEW = st.integers(-2, 2)
BINARY = {
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
}
BITWISE = [operator.and_, operator.or_, operator.xor]


@pytest.mark.parametrize("compare", BINARY)
@given(st.data())
def test_comparisons_broadcast_and_answer_bool(compare, data):
    shapes = data.draw(mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3))
    a, b = (data.draw(arrays("int64", s, elements=FEW)) for s in shapes.input_shapes)
    found = compare(mr.tensor(a), mr.tensor(b.astype("float32")))
    np.testing.assert_array_equal(found.numpy(), BINARY[compare](a, b))
    assert found.dtype == "bool"


@pytest.mark.parametrize("combine", BITWISE)
def test_bitwise_operators_work_on_bits_of_integers_and_on_bools(combine):
    a, b = np.array([6, 5, -1]), np.array([3, 4, 7])
    np.testing.assert_array_equal(combine(mr.tensor(a), mr.tensor(b)).numpy(), combine(a, b))
    np.testing.assert_array_equal(combine(3, mr.tensor(b)).numpy(), combine(3, b))
    found = combine(mr.tensor(a > 0), mr.tensor(b > 3))
    np.testing.assert_array_equal(found.numpy(), combine(a > 0, b > 3))
    assert (~mr.tensor(a)).tolist() == (~a).tolist()


def test_bits_of_floating_numbers_are_refused():
    with pytest.raises(TypeError, match="bitwise_and: not defined for float32 and float32"):
        mr.ones(2) & mr.ones(2)


@pytest.mark.parametrize("divide", [operator.floordiv, operator.mod])
@given(st.data())
def test_whole_division_rounds_down_as_in_python(divide, data):
    a = data.draw(arrays("int64", (3,), elements=st.integers(-20, 20)))
    b = data.draw(arrays("int64", (3,), elements=st.sampled_from([-3, -2, 1, 2, 5])))
    found = divide(mr.tensor(a), mr.tensor(b))
    assert found.tolist() == [divide(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@given(st.data())
def test_positions_are_those_of_the_first_winner(name, data):
    dice = Dice(data.draw)
    shape = dice.shape(least_dims=1, least=1)
    values = dice.rng.integers(-2, 2, shape)
    dim, keepdim = dice.choose(None, dice.axis(len(shape))), dice.flag()
    found = getattr(mr.tensor(values), name)(dim, keepdim)
    expected = getattr(np, name)(values, dim, keepdims=keepdim)
    np.testing.assert_array_equal(found.numpy(), expected)
    assert found.dtype == "int64"


@pytest.mark.parametrize("name", ["all", "any"])
@given(st.data())
def test_questions_of_truth(name, data):
    dice = Dice(data.draw)
    shape = dice.shape()
    values = dice.rng.integers(0, 2, shape)
    dim, keepdim = dice.axes(len(shape)), dice.flag()
    found = getattr(mr.tensor(values), name)(dim, keepdim)
    np.testing.assert_array_equal(found.numpy(), getattr(np, name)(values, dim, keepdims=keepdim))


def test_questions_about_single_values():
    x = mr.tensor([0.0, -2.0, np.nan, np.inf])
    assert x.isnan().tolist() == [False, False, True, False]
    assert x.isfinite().tolist() == [True, True, False, False]
    assert (~(x == 0)).tolist() == [False, True, True, True]
    assert mr.ops.sign(x).tolist()[:2] == [0.0, -1.0]
    assert mr.ops.sign(x > -1).tolist() == [True, False, False, True]


def test_none_of_them_carries_a_gradient():
    x, y = leaves([1.0, 2.0], [2.0, 1.0])
    for result in (
        x < y,
        x == y,
        x // y,
        x.argmax(),
        mr.ops.sign(x),
        x.isnan(),
        (x > 1) & (y > 1),
    ):
        assert not result.requires_grad


def test_choosing_between_numbers_by_a_tensor_gives_a_tensor():
    mask = mr.tensor([True, False])
    for chosen in (mr.where(mask, 1.0, 0.0), mr.where(mask, np.ones(2, "float32"), 0.0)):
        assert isinstance(chosen, mr.Tensor)
        assert chosen.tolist() == [1.0, 0.0]
        assert chosen.dtype == "float32"
