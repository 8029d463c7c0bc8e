"""Data sets: samples by number, batches at once, and the ways in which they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.data import Dataset, Subset, TensorDataset


class OneByOne(Dataset):
    """Gives the samples of another data set one at a time, without its fast `take`."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


def images_and_labels(count: int) -> TensorDataset:
    rng = np.random.default_rng(0)
    return TensorDataset(
        rng.standard_normal((count, 2, 3, 3)).astype(np.float32), np.arange(count) % 3
    )


def test_a_data_set_of_arrays_shows_what_a_sample_is() -> None:
    shown = "TensorDataset(5 samples of float32 (2, 3, 3), int64 ())"
    assert repr(images_and_labels(5)) == shown


def test_a_sample_is_one_row_of_each_array() -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.array([7, 8, 9])
    dataset = TensorDataset(x, y)

    row, label = dataset[1]

    assert len(dataset) == 3
    np.testing.assert_array_equal(row, [2.0, 3.0])
    assert label == 8


def test_arrays_and_tensors_keep_their_dtype_and_lists_become_what_tensors_of_them_are() -> None:
    dataset = TensorDataset(np.zeros(2), mr.zeros(2), [0.5, 1.5], [1, 2], np.zeros(2, np.uint8))

    dtypes = [str(array.dtype) for array in dataset.arrays]

    assert dtypes == ["float64", "float32", "float32", "int64", "uint8"]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_taking_a_batch_at_once_equals_taking_its_samples_one_by_one(indices: list[int]) -> None:
    dataset = images_and_labels(10)

    at_once, one_by_one = dataset.take(indices), OneByOne(dataset).take(indices)

    for a, b in zip(at_once, one_by_one, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), min_size=1, max_size=8),
)
def test_a_subset_takes_the_samples_that_it_names(chosen: list[int], wanted: list[int]) -> None:
    wanted = [index % len(chosen) for index in wanted]
    dataset = images_and_labels(10)
    subset = Subset(dataset, chosen)

    _, labels = subset.take(wanted)

    assert len(subset) == len(chosen)
    assert labels.tolist() == [dataset[chosen[index]][1] for index in wanted]
    assert [subset[index][1] for index in wanted] == labels.tolist()


def test_a_batch_shares_no_memory_with_the_data_set() -> None:
    dataset = images_and_labels(4)

    images, _ = dataset.take(range(4))

    assert not np.shares_memory(images, dataset.arrays[0])


def test_a_subset_of_a_subset_and_of_a_list() -> None:
    inner = Subset(["a", "b", "c", "d"], [3, 2, 1])

    assert Subset(inner, [0, 2])[1] == "b"


def test_arrays_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have equal lengths, found \[3, 2\] \(shapes"):
        TensorDataset(np.zeros((3, 1)), np.zeros(2))


@pytest.mark.parametrize("arrays", [(), (np.float64(3.0),), (np.zeros(2), 5)])
def test_a_tensor_dataset_needs_arrays_with_rows(arrays: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="needs arrays with one sample per row"):
        TensorDataset(*arrays)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_subset_of_samples_that_do_not_exist_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"no sample {index} in a data set of 3"):
        Subset(TensorDataset([1, 2, 3]), [0, index])


def test_samples_of_different_shapes_do_not_stack() -> None:
    ragged = [(np.zeros((1, 8, 8)), 0), (np.zeros((1, 9, 8)), 1)]

    with pytest.raises(ValueError, match=r"part 0 of the samples have different shapes, \(1, 8, 8"):
        mr.data.Dataset.take(OneByOne(ragged), [0, 1])  # type: ignore[arg-type]


def test_samples_with_different_numbers_of_parts_do_not_stack() -> None:
    with pytest.raises(ValueError, match=r"samples of one batch have \[1, 2\] parts"):
        OneByOne([(1,), (1, 2)]).take([0, 1])  # type: ignore[arg-type]


def test_an_unfinished_data_set_says_what_it_lacks() -> None:
    class Unfinished(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Unfinished does not define __len__"):
        len(Unfinished())
    with pytest.raises(NotImplementedError, match="Unfinished does not define __getitem__"):
        Unfinished()[0]
