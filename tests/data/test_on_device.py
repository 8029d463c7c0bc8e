"""A data set on the device: the same batches everywhere, drawn without a transfer."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.data import DataLoader, DeviceLoader, Subset, TensorDataset
from tests.devices.cuda import fake

Array = np.ndarray[Any, Any]


def images_and_labels(count: int = 7, dtype: str = "uint8") -> tuple[Array, Array]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, 3, 4, 5)).astype(dtype), np.arange(count)


def drawn(loader: Any) -> list[tuple[Array, Array]]:
    return [(x.numpy().copy(), y.numpy().copy()) for x, y in loader]


@given(
    count=st.integers(1, 9),
    size=st.integers(1, 4),
    seed=st.integers(0, 99),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_without_augmentation_it_draws_what_a_data_loader_draws(
    count: int, size: int, seed: int, shuffle: bool, drop_last: bool
) -> None:
    data = images_and_labels(count, "float32")
    options: dict[str, Any] = {"shuffle": shuffle, "drop_last": drop_last, "seed": seed}
    ours = DeviceLoader(data, size, **options)
    theirs = DataLoader(TensorDataset(*data), size, **options)

    for _ in range(2):
        for found, expected in zip(drawn(ours), drawn(theirs), strict=True):
            np.testing.assert_array_equal(found[0], expected[0])
            np.testing.assert_array_equal(found[1], expected[1])


def test_it_goes_on_in_the_middle_of_an_epoch() -> None:
    data = images_and_labels(9)
    loader = DeviceLoader(data, 2, shuffle=True, crop_padding=1)
    loader.set_epoch(3)
    batches = drawn(loader)

    loader.set_epoch(3, batch=2)

    later = drawn(loader)
    assert len(later) == 3
    for (x, y), (z, w) in zip(batches[2:], later, strict=True):
        np.testing.assert_array_equal(x, z)
        np.testing.assert_array_equal(y, w)


OPTIONS: dict[str, Any] = {
    "shuffle": True,
    "crop_padding": 2,
    "flip": True,
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.3, 0.4],
    "seed": 3,
}


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_augmented_batches_are_the_same_on_every_device(dtype: str) -> None:
    data = images_and_labels(dtype=dtype)
    expected = drawn(DeviceLoader(data, 3, **OPTIONS))
    with fake.installed() as device:
        found = drawn(DeviceLoader(data, 3, device=device, **OPTIONS))

    for (x, y), (z, w) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(x, z)
        np.testing.assert_array_equal(y, w)
        assert x.dtype == ("float64" if dtype == "float64" else "float32")


def test_an_epoch_is_one_upload_and_a_batch_one_launch() -> None:
    with fake.installed() as device:
        loader = DeviceLoader(images_and_labels(), 3, device=device, **OPTIONS)
        with fake.counting() as counts, fake.strict():
            batches = list(loader)

    assert len(batches) == 3
    assert counts.launches == ["gather_augment_bytes"] * 3
    assert len(counts.uploads) == 1
    assert counts.downloads == []


def test_augmentation_depends_on_seed_and_epoch_and_crops_and_mirrors_differ() -> None:
    loader, again = (DeviceLoader(images_and_labels(200), 5, **OPTIONS) for _ in range(2))
    first, second = loader.schedule(0), loader.schedule(1)

    np.testing.assert_array_equal(first, again.schedule(0))
    assert (first != second).any(axis=1).all()
    for row, values in ((1, range(5)), (2, range(5)), (3, range(2))):
        assert set(first[row]) == set(values)
    assert (first[1] != first[2]).any()
    # Turning augmentation on leaves the order as it is.
    bare = DeviceLoader(images_and_labels(200), 5, shuffle=True, seed=3)
    np.testing.assert_array_equal(bare.schedule(0)[0], first[0])
    assert not bare.schedule(0)[1:].any()


def test_a_byte_is_scaled_to_one_and_normalised_channel_by_channel() -> None:
    images = np.full((1, 2, 1, 1), 255, np.uint8)
    loader = DeviceLoader((images, [0]), mean=[0.5, 0.0], std=[0.25, 2.0])

    ((x, _),) = loader

    assert x.tolist() == [[[[2.0]], [[0.5]]]]


def test_the_border_is_zero_before_it_is_normalised() -> None:
    images = np.full((50, 1, 1, 1), 255, np.uint8)
    loader = DeviceLoader((images, [0] * 50), 50, crop_padding=1, mean=[0.5], std=[0.5])

    ((x, _),) = loader

    assert set(np.unique(x.numpy())) == {-1.0, 1.0}


def test_what_makes_no_sense_is_refused() -> None:
    images, labels = images_and_labels()
    for message, data, options in (
        (r"needs images \(M, C, H, W\) and labels", (images[0], labels[:3]), {}),
        ("images must be uint8 or floating, found int64", (images.astype(np.int64), labels), {}),
        ("labels must be integers .*, found float64", (images, labels + 0.5), {}),
        (r"one number per channel, 3; found \[0\.5\]", (images, labels), {"mean": [0.5]}),
        (r"one number per channel, 3; found 0\.5$", (images, labels), {"mean": 0.5}),
        (r"mean must be finite, found \[nan, 0", (images, labels), {"mean": [np.nan, 0, 0]}),
        (r"std must be positive, found \[1\.0, 0", (images, labels), {"std": [1, 0, 1]}),
        (r"std must be finite, found \[inf", (images, labels), {"std": [np.inf, 1, 1]}),
        ("crop_padding must be an integer >= 0, found -1", (images, labels), {"crop_padding": -1}),
        ("an integer >= 0, found 1.5", (images, labels), {"crop_padding": 1.5}),
        ("batch_size must be at least 1", (images, labels), {"batch_size": 0}),
    ):
        with pytest.raises(ValueError, match=message):
            DeviceLoader(data, **options)


@pytest.mark.parametrize(
    ("dataset", "told"),
    [
        (lambda images, labels: images, r"one array of shape \(7, 3, 4, 5\); pass the labels too"),
        (lambda images, labels: mr.tensor(images), r"one array of shape \(7, 3, 4, 5\)"),
        (lambda images, labels: mr.data.get_dataset("digits"), r"'digits'; pass its \.train or"),
        (lambda images, labels: list(images), "found a list of 7$"),
        (
            lambda images, labels: Subset(TensorDataset(images, labels), [1]),
            "found a Subset; take them out of it",
        ),
    ],
)
def test_what_is_no_pair_of_images_and_labels_is_told_with_what_to_pass(
    dataset: Any, told: str
) -> None:
    with pytest.raises(TypeError, match=rf"needs a TensorDataset or \(images, labels\).*{told}"):
        DeviceLoader(dataset(*images_and_labels()))


def test_it_feeds_a_captured_step() -> None:
    data = images_and_labels(12)
    losses = []
    with fake.installed() as device:
        for graph in (False, True):
            mr.manual_seed(0)
            model = mr.nn.Sequential(mr.nn.Flatten(), mr.nn.Linear(60, 12)).to(device)
            optimizer = mr.optim.SGD(model.parameters(), lr=0.01)
            loader = DeviceLoader(data, 3, device=device, **OPTIONS)
            history = mr.Trainer(model, optimizer, graph=graph).fit(loader, 2)
            losses.append(history.loss)

    assert losses[0] == losses[1]


def test_what_holds_no_arrays_and_labels_that_are_no_classes_are_refused() -> None:
    images, labels = images_and_labels()
    subset = mr.data.Subset(TensorDataset(images, labels), [0, 1])
    with pytest.raises(TypeError, match=r"found a Subset; .*dataset\.take"):
        DeviceLoader(subset)
    assert len(DeviceLoader(subset.take(range(2)))) == 2
    with pytest.raises(ValueError, match=r"labels must be integers .*, found float64"):
        DeviceLoader((images, labels + 0.5))


@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_a_copy_draws_the_same_on_the_same_device(place: str) -> None:
    with fake.installed():
        loader = DeviceLoader(images_and_labels(), 3, device=place, **OPTIONS)
        other = copy.deepcopy(loader)
        assert other.device is loader.device
        for found, expected in zip(drawn(other), drawn(loader), strict=True):
            np.testing.assert_array_equal(found[0], expected[0])
