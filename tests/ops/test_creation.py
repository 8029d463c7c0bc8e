"""Making Tensors: fill, count, draw."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr


@pytest.mark.parametrize("make", [mr.zeros, mr.ones, mr.randn, mr.rand])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_a_shape_may_be_numbers_or_one_tuple(make, shape):
    for made in (make(*shape), make(shape), make(list(shape))):
        assert made.shape == shape
        assert made.dtype == "float32"
    wide = make(shape, dtype=mr.float64, requires_grad=True)
    assert wide.dtype == "float64"
    assert wide.requires_grad


def test_filled_tensors():
    assert mr.zeros(2).tolist() == [0.0, 0.0]
    assert mr.full((1, 2), 7, dtype="int32").tolist() == [[7, 7]]
    assert mr.eye(2).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert mr.eye(1, 3, dtype="int64").tolist() == [[1, 0, 0]]
    assert mr.eye(1, requires_grad=True).requires_grad


@pytest.mark.parametrize(
    ("arguments", "expected", "dtype"),
    [
        ((3,), [0, 1, 2], "int64"),
        ((1, 4), [1, 2, 3], "int64"),
        ((1.0, 2.0, 0.5), [1.0, 1.5], "float32"),
        ((3, 0, -1), [3, 2, 1], "int64"),
    ],
)
def test_arange_counts_as_in_pytorch(arguments, expected, dtype):
    made = mr.arange(*arguments)
    assert made.tolist() == expected
    assert made.dtype == dtype


def test_arange_of_whole_numbers_cuts_its_arguments_first():
    assert mr.arange(0.1, -7.9, -4.0, dtype="int64").tolist() == [0, -4]
    assert mr.arange(3.1, dtype="int32").tolist() == [0, 1, 2]


def test_like_tensors_take_shape_dtype_and_memory_order():
    pattern = mr.tensor(np.zeros((2, 3), "float64", order="F"))
    for made, value in ((mr.zeros_like(pattern), 0.0), (mr.ones_like(pattern), 1.0)):
        assert made.numpy().flags["F_CONTIGUOUS"]
        assert made.dtype == "float64"
        assert (made.numpy() == value).all()
    for make in (mr.zeros_like, mr.ones_like):
        assert make(pattern, dtype="int64", device="cpu").dtype == "int64"


def test_the_seed_decides_what_is_drawn():
    draws = []
    for seed in (3, 3, 4):
        mr.manual_seed(seed)
        draws.append((mr.randn(3).tolist(), mr.rand(3).tolist()))
    assert draws[0] == draws[1] != draws[2]


def test_draws_have_the_distribution_they_promise():
    mr.manual_seed(0)
    normal, uniform = mr.randn(20_000).numpy(), mr.rand(20_000).numpy()
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() < 1


def test_narrow_draws_are_wide_draws_rounded():
    mr.manual_seed(0)
    narrow = mr.randn(5)
    mr.manual_seed(0)
    wide = mr.randn(5, dtype="float64")
    assert narrow.tolist() == wide.to("float32").tolist()
