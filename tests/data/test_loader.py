"""The loader: every sample once, in an order that the seed and the epoch decide."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.data import DataLoader, Dataset, Subset, TensorDataset

COUNTS = st.integers(0, 40)
SIZES = st.integers(1, 12)
SEEDS = st.integers(0, 1000)


def numbered(count: int) -> TensorDataset:
    return TensorDataset(np.arange(count))


def batches_of(loader: DataLoader) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


@given(count=COUNTS, size=SIZES, seed=SEEDS, shuffle=st.booleans())
def test_every_sample_comes_exactly_once_per_epoch(
    count: int, size: int, seed: int, shuffle: bool
) -> None:
    loader = DataLoader(numbered(count), size, shuffle=shuffle, seed=seed)

    for _ in range(2):
        batches = batches_of(loader)

        assert sorted(itertools.chain(*batches)) == list(range(count))
        assert len(batches) == len(loader)
        assert all(len(batch) == size for batch in batches[:-1])


@given(count=COUNTS, size=SIZES, seed=SEEDS)
def test_drop_last_leaves_out_only_a_batch_that_is_not_full(
    count: int, size: int, seed: int
) -> None:
    kept = DataLoader(numbered(count), size, shuffle=True, seed=seed)
    dropped = DataLoader(numbered(count), size, shuffle=True, seed=seed, drop_last=True)

    batches = batches_of(dropped)

    assert batches == [batch for batch in batches_of(kept) if len(batch) == size]
    assert len(batches) == len(dropped) == count // size


@given(count=COUNTS, size=SIZES, seed=SEEDS, epoch=st.integers(0, 5))
def test_the_order_depends_on_seed_and_epoch_alone(
    count: int, size: int, seed: int, epoch: int
) -> None:
    walked = DataLoader(numbered(count), size, shuffle=True, seed=seed)
    for _ in range(epoch):
        mr.randn(3)
        batches_of(walked)
    jumped = DataLoader(numbered(count), size, shuffle=True, seed=seed)
    jumped.set_epoch(epoch)
    np.random.default_rng(0).random(3)

    assert walked.epoch == epoch
    assert batches_of(walked) == batches_of(jumped)


def test_epochs_and_seeds_differ_in_their_order() -> None:
    orders = [
        tuple(DataLoader(numbered(30), shuffle=True, seed=seed).order(epoch))
        for seed in range(4)
        for epoch in range(4)
    ]

    assert len(set(orders)) == 16


def test_without_shuffling_the_order_is_that_of_the_data_set() -> None:
    loader = DataLoader(numbered(5), batch_size=2)

    assert batches_of(loader) == batches_of(loader) == [[0, 1], [2, 3], [4]]


def test_a_loop_that_is_broken_off_counts_as_an_epoch() -> None:
    loader = DataLoader(numbered(30), batch_size=10, shuffle=True)

    next(iter(loader))

    assert loader.epoch == 1
    assert batches_of(loader)[0] == loader.order(1)[:10].tolist()


def test_two_loops_at_once_do_not_disturb_each_other() -> None:
    loader = DataLoader(numbered(20), batch_size=5, shuffle=True, seed=3)
    first, second = iter(loader), iter(loader)

    mixed = [(a[0].tolist(), b[0].tolist()) for a, b in zip(first, second, strict=True)]

    assert list(itertools.chain(*(a for a, _ in mixed))) == loader.order(0).tolist()
    assert list(itertools.chain(*(b for _, b in mixed))) == loader.order(1).tolist()


def test_batches_are_tensors_that_keep_images_and_labels_together() -> None:
    images = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1) * np.ones((1, 2, 3, 3), "float32")
    loader = DataLoader(TensorDataset(images, np.arange(10)), batch_size=4, shuffle=True)

    for x, y in loader:
        assert isinstance(x, mr.Tensor)
        assert (x.dtype, y.dtype) == (mr.float32, mr.int64)
        assert x.shape == (*y.shape, 2, 3, 3)
        np.testing.assert_array_equal(x.numpy()[:, 0, 0, 0], y.numpy())


class Halves(Dataset):
    """Samples that are no tuples."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> float:
        return index / 2


@pytest.mark.parametrize("dataset", [Halves(), [0.0, 0.5, 1.0, 1.5, 2.0]])
def test_any_data_set_loads_also_one_without_tuples(dataset: Any) -> None:
    batches = list(DataLoader(dataset, batch_size=3))

    assert [batch.tolist() for batch in batches] == [[0.0, 0.5, 1.0], [1.5, 2.0]]
    assert batches[0].dtype == mr.float32


def test_a_subset_loads_its_own_samples() -> None:
    loader = DataLoader(Subset(numbered(10), [1, 3, 5, 7]), batch_size=3, shuffle=True)

    assert sorted(itertools.chain(*batches_of(loader))) == [1, 3, 5, 7]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, found 0"),
        ({"batch_size": -4}, "batch_size must be at least 1, found -4"),
        ({"seed": -1}, "seed must be an integer >= 0, found -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(numbered(3), **options)  # type: ignore[arg-type]


def test_a_negative_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="an epoch is a number >= 0, found -1"):
        DataLoader(numbered(3)).set_epoch(-1)


def test_it_says_in_a_line_what_it_loads() -> None:
    loader = DataLoader(TensorDataset(np.arange(7)), 3, shuffle=True, num_workers=2)

    told = "DataLoader(7 samples, batch_size=3, shuffle=True, num_workers=2)"
    assert repr(loader) == told
