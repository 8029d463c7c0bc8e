"""Going on in the middle of an epoch, and dividing batches among ranks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.data import DataLoader, Dataset, Subset, TensorDataset
from minires.data.transforms import CenterCrop, Compose, MixUp, Normalize

COUNTS = st.integers(0, 40)
SIZES = st.integers(1, 12)
RANKS = st.integers(1, 4)


def numbered(count: int) -> TensorDataset:
    return TensorDataset(np.arange(count))


def batches_of(loader: DataLoader) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


class Counted(Dataset):
    """Remembers which samples it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> int:
        self.asked.append(index)
        return index


@given(count=COUNTS, size=SIZES, at=st.integers(0, 40))
def test_an_epoch_goes_on_at_any_batch(count: int, size: int, at: int) -> None:
    whole = DataLoader(numbered(count), size, shuffle=True, seed=3)
    whole.set_epoch(2)
    batches = batches_of(whole)
    later = DataLoader(numbered(count), size, shuffle=True, seed=3)
    at = min(at, len(later))

    later.set_epoch(2, batch=at)

    assert batches_of(later) == batches[at:]
    assert (later.epoch, later.batch) == (3, 0)
    assert len(batches_of(later)) == len(later)


def test_batches_that_are_skipped_are_not_made() -> None:
    dataset = Counted()
    loader = DataLoader(dataset, 4)

    loader.set_epoch(0, batch=3)
    list(loader)

    assert dataset.asked == list(range(12, 20))


@pytest.mark.parametrize("workers", [0, 2])
def test_the_state_in_a_loop_is_where_to_go_on(workers: int) -> None:
    loader = DataLoader(numbered(20), 3, shuffle=True, seed=1, num_workers=workers)
    assert loader.state_dict() == {"epoch": 0, "batch": 0}
    expected = [batches_of(loader), batches_of(loader)]
    loader.set_epoch(0)

    for epoch in range(2):
        for number, _ in enumerate(loader):
            state = loader.state_dict()
            assert state == {"epoch": epoch, "batch": number + 1}
            resumed = DataLoader(numbered(20), 3, shuffle=True, seed=1)
            resumed.load_state_dict(state)
            assert resumed.state_dict() == state
            assert batches_of(resumed) == expected[epoch][number + 1 :]
        assert loader.state_dict() == {"epoch": epoch + 1, "batch": 0}


def test_batches_and_ranks_that_do_not_exist_are_refused() -> None:
    loader = DataLoader(numbered(10), 5)
    for batch in (-1, 3):
        with pytest.raises(ValueError, match=f"has 2 batches, and cannot begin at batch {batch}"):
            loader.set_epoch(0, batch=batch)
    for options, told in (
        ({"ranks": 0}, "ranks must be at least 1, found 0"),
        ({"rank": 2, "ranks": 2}, "rank must be one of 0 to 1, found 2"),
        ({"rank": -1}, "rank must be one of 0 to 0, found -1"),
        ({"ranks": 6}, "a batch of 5 is too small for 6 ranks"),
        ({"num_workers": -1}, "num_workers must be at least 0"),
        ({"prefetch": 0}, "prefetch must be at least 1"),
        ({"worker_kind": "fork"}, "one of thread, process; found 'fork'"),
    ):
        with pytest.raises(ValueError, match=told):
            DataLoader(numbered(10), 5, **options)  # type: ignore[arg-type]


@given(count=COUNTS, share=st.integers(1, 4), ranks=RANKS, drop_last=st.booleans())
def test_the_ranks_together_see_the_batches_of_one(
    count: int, share: int, ranks: int, drop_last: bool
) -> None:
    def loaders(ranks: int) -> list[DataLoader]:
        told: dict[str, Any] = {"shuffle": True, "drop_last": drop_last, "seed": 5, "ranks": ranks}
        return [DataLoader(numbered(count), share * ranks, rank=r, **told) for r in range(ranks)]

    several = loaders(ranks)
    one = DataLoader(numbered(count), share * ranks, True, drop_last, seed=5)
    parts = [batches_of(each) for each in several]

    assert {len(each) for each in parts} == {len(several[0])}
    for number, (whole, *theirs) in enumerate(zip(batches_of(one), *parts, strict=True)):
        sizes = [len(part) for part in theirs]
        assert sum(sizes) == len(whole) == several[0].global_batch_size(number)
        assert max(sizes) - min(sizes) <= 1
        interleaved = itertools.zip_longest(*theirs)
        assert [n for row in interleaved for n in row if n is not None] == whole


@pytest.mark.parametrize("mixup", [None, MixUp(0.5, classes=4)])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_part_without_samples_is_a_batch_of_their_shape_and_dtype(
    mixup: MixUp | None, workers: int
) -> None:
    images = TensorDataset(np.ones((5, 3, 8, 8), np.uint8), np.arange(5) % 4)
    one_by_one = Subset(images, range(5))
    for dataset in (images, one_by_one, list(images)):  # type: ignore[call-overload]
        loader = DataLoader(
            dataset,
            4,
            transform=Compose([CenterCrop(6), Normalize([0.5] * 3, [0.2] * 3)]),
            mixup=mixup,
            num_workers=workers,
            rank=2,
            ranks=3,
        )
        full, empty = list(loader)
        for one, none in zip(full, empty, strict=True):
            assert none.shape == (0, *one.shape[1:])
            assert none.dtype == one.dtype


def test_ranks_mix_the_images_that_one_would_mix() -> None:
    images = np.random.default_rng(0).random((10, 1, 2, 2))
    dataset = TensorDataset(images, np.arange(10))
    told: dict[str, Any] = {
        "shuffle": True,
        "transform": Normalize([0.5], [0.5]),
        "mixup": MixUp(1.0, classes=10),
    }
    one = list(DataLoader(dataset, 6, **told))
    ranks = [list(DataLoader(dataset, 6, rank=rank, ranks=3, **told)) for rank in range(3)]

    for (x, y), *parts in zip(one, *ranks, strict=True):
        for rank, (its_x, its_y) in enumerate(parts):
            np.testing.assert_array_equal(x.numpy()[rank::3], its_x.numpy())
            np.testing.assert_array_equal(y.numpy()[rank::3], its_y.numpy())


def test_a_trainer_learns_from_mixed_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4), np.uint8)
    dataset = TensorDataset(images, np.arange(40) % 4)
    loader = DataLoader(
        dataset, 10, True, transform=Normalize.of(dataset), mixup=MixUp(0.2, classes=4)
    )
    mr.manual_seed(0)
    model = mr.nn.Sequential(mr.nn.Flatten(), mr.nn.Linear(16, 4))
    trainer = mr.Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1))

    history = trainer.fit(loader, 20)

    assert history.epoch_loss[-1] < history.epoch_loss[0]
