"""Indexing is NumPy's, and its gradient lands where the values came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, basic_indices, integer_array_indices

import minires as mr
from tests.helpers import leaves, share_memory


def assert_indexes_as_numpy(values, index):
    (x,) = leaves(values)
    taken = x[index]
    expected = values[index]
    np.testing.assert_array_equal(taken.detach().numpy(), expected)

    weights = np.arange(1.0, expected.size + 1).reshape(expected.shape)
    (taken * mr.tensor(weights)).sum().backward()
    gradient = np.zeros_like(values)
    np.add.at(gradient, index, weights)
    np.testing.assert_array_equal(x.grad.numpy(), gradient)


@given(st.data())
def test_slices_numbers_ellipses_and_new_axes(data):
    shape = data.draw(st.just(()) | array_shapes(max_dims=4, min_side=0, max_side=4))
    values = np.arange(float(np.prod(shape))).reshape(shape)
    assert_indexes_as_numpy(values, data.draw(basic_indices(shape, allow_newaxis=True)))


@given(st.data())
def test_arrays_of_positions_with_repetitions(data):
    shape = data.draw(array_shapes(max_dims=3, max_side=4))
    values = np.arange(float(np.prod(shape))).reshape(shape)
    index = data.draw(integer_array_indices(shape))
    assert_indexes_as_numpy(values, index)
    tensors = tuple(map(mr.tensor, index))
    np.testing.assert_array_equal(mr.tensor(values)[tensors].numpy(), values[index])


@given(st.data())
def test_masks_over_some_or_all_axes(data):
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4))
    values = np.arange(float(np.prod(shape))).reshape(shape)
    mask = data.draw(arrays(bool, shape[: data.draw(st.integers(1, len(shape)))]))
    assert_indexes_as_numpy(values, mask)
    np.testing.assert_array_equal(mr.tensor(values)[mr.tensor(mask)].numpy(), values[mask])


VALUES = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "index",
    [
        (0, [2, 0, 2]),
        ([1, 1, 0], slice(None), [0, 3, 3]),
        (slice(None, None, -1), None, [True, False, True]),
        (..., np.int64(1)),
        (np.array([[0], [1]]), np.array([0, 2])),
        [1, 0, 1],
        [],
        None,
        True,
        (),
        ...,
    ],
    ids=repr,
)
def test_mixtures(index):
    assert_indexes_as_numpy(VALUES, index)


def test_a_slice_is_a_view_and_a_selection_a_copy():
    x = mr.ones(4, 4)
    assert share_memory(x.numpy(), x[1:3].numpy())
    assert not share_memory(x.numpy(), x[[1, 2]].numpy())


@pytest.mark.parametrize("index", [7, (0, 0, 0, 0), [9], (slice(None), 5), "a", 1.5])
def test_an_index_that_does_not_fit_names_the_shape(index):
    with pytest.raises(IndexError, match=r"does not fit shape \(2, 3, 4\)"):
        mr.tensor(VALUES)[index]


def test_a_number_of_numpy_indexes_like_a_number():
    x = mr.tensor(np.arange(6.0).reshape(2, 3))
    assert np.shares_memory(x[np.int64(1)].data, x.data)
    assert x[np.bool_(True)].shape == x[True].shape == (1, 2, 3)
