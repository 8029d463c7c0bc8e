"""Mean and standard deviation of pixels: NumPy's own, however the images are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minires.data import Dataset, Subset, TensorDataset
from minires.data import measures as module
from minires.data.measures import mean_image, measure


class Varied(Dataset):
    """Images of different sizes, as from files."""

    def __init__(self, images: list[Any]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.images[index], index


def bytes_like_images(count: int = 50) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 4, 5), np.uint8)


@pytest.mark.parametrize("at_once", [1, 60 * 7, 1 << 20])
@pytest.mark.parametrize("unit", [1, 255])
def test_blocks_give_what_all_pixels_at_once_give(
    monkeypatch: pytest.MonkeyPatch, at_once: int, unit: int
) -> None:
    monkeypatch.setattr(module, "_VALUES_AT_ONCE", at_once)
    images = bytes_like_images()
    kept = images if unit == 255 else images / 255

    mean, std = measure(TensorDataset(kept, np.zeros(50)))

    np.testing.assert_allclose(mean, (images / 255).mean((0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std, (images / 255).std((0, 2, 3)), rtol=1e-13)


def test_a_small_spread_about_a_large_mean_is_not_cancelled() -> None:
    values = 1e6 + np.random.default_rng(0).normal(size=(1000, 1, 2, 2))

    _, (std,) = measure(Varied(list(values)))

    assert std == pytest.approx(values.std(), rel=1e-9)


def test_each_pixel_counts_once_where_sizes_differ() -> None:
    small, large = np.zeros((1, 1, 1), np.uint8), np.full((1, 1, 3), 255, np.uint8)

    mean, std = measure(Varied([small, large]))

    assert mean == (0.75,)
    assert std == pytest.approx((0.75**0.5 / 2,))


def test_a_subset_is_measured_by_itself() -> None:
    images = bytes_like_images()
    assert measure(Subset(TensorDataset(images), [3, 7])) == measure(TensorDataset(images[[3, 7]]))


def test_no_image_and_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="no image in the data set"):
        measure(TensorDataset(np.zeros((0, 1, 2, 2))))
    with pytest.raises(ValueError, match=r"of 1 channels, as those before; found .*\(3, 2, 2\)"):
        measure(Varied([np.zeros((1, 2, 2)), np.zeros((3, 2, 2))]))
    with pytest.raises(ValueError, match=r"needs images \(C, H, W\); found one of shape \(2,\)"):
        measure(TensorDataset(np.zeros((4, 2))))


def test_the_mean_image_is_the_same_however_images_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = bytes_like_images()
    expected = images.mean(0) / 255
    monkeypatch.setattr(module, "_VALUES_AT_ONCE", 60 * 7)

    for dataset in (TensorDataset(images), TensorDataset(images / 255), Varied(list(images))):
        np.testing.assert_allclose(mean_image(dataset), expected, rtol=1e-12)
    for wrong, told in (
        (Varied([]), "no image"),
        (Varied([np.zeros((1, 2, 2)), np.zeros((1, 2, 3))]), "images have different shapes"),
    ):
        with pytest.raises(ValueError, match=told):
            mean_image(wrong)
