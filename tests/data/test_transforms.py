"""Transforms: what each does to images, and that its random numbers belong to the sample."""

from __future__ import annotations

import colorsys
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minires.data import transforms
from minires.data.transforms.draws import philox, uniform

Array = np.ndarray[Any, Any]


def photographs(count: int, height: int = 20, width: int = 30, channels: int = 3) -> Array:
    return np.random.default_rng(0).integers(0, 256, (count, channels, height, width), np.uint8)


def assert_equally_likely(counts: Any) -> None:
    """Fail where Pearson's chi-square is more than 4.5 of its standard deviations too large."""
    counts = np.ravel(counts)
    freedom = len(counts) - 1
    chi_square = ((counts - counts.mean()) ** 2).sum() / counts.mean()
    assert counts.mean() >= 50
    assert chi_square - freedom < 4.5 * math.sqrt(2 * freedom)


def test_what_is_not_equally_likely_is_found() -> None:
    with pytest.raises(AssertionError):
        assert_equally_likely([100, 150] * 10)


# From the generator's authors: Random123, tests/kat_vectors.
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_generator_gives_its_authors_known_answers(
    counter: Any, key: Any, expected: Any
) -> None:
    words = philox(tuple(np.array([word], np.uint64) for word in counter), key)

    assert tuple(int(word[0]) for word in words) == expected


@given(
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 1000),
    samples=st.lists(st.integers(0, 2**31), max_size=9),
    draws=st.lists(st.integers(0, 9), max_size=4),
)
def test_a_samples_numbers_depend_on_nothing_but_seed_epoch_and_place(
    seed: int, epoch: int, samples: list[int], draws: list[int]
) -> None:
    together = uniform(seed, epoch, samples, draws)

    assert together.shape == (len(samples), sum(draws))
    assert ((together >= 0) & (together < 1)).all()
    for sample, numbers in zip(samples, together, strict=True):
        np.testing.assert_array_equal(uniform(seed, epoch, [sample], draws)[0], numbers)
    # A transform that needs more numbers leaves those of the others as they are.
    more = uniform(seed, epoch, samples, [count + 3 for count in draws])
    kept = np.concatenate([[True] * count + [False] * 3 for count in draws] or [[]]).astype(bool)
    np.testing.assert_array_equal(more[:, kept], together)


def test_numbers_differ_by_seed_epoch_sample_and_transform_and_are_uniform() -> None:
    drawn = [uniform(seed, epoch, range(100), [5, 3]) for seed in (0, 1) for epoch in (0, 1)]
    numbers = np.concatenate([each.ravel() for each in drawn])

    assert len(np.unique(numbers)) == numbers.size
    many = uniform(3, 4, range(100_000), [2])
    assert abs(many.mean() - 0.5) < 5 / math.sqrt(12 * many.size)
    assert_equally_likely(np.histogram2d(*many.T, bins=10, range=[[0, 1]] * 2)[0])


EQUAL = [
    transforms.RandomCrop(12, padding=3),
    transforms.RandomCrop((8, 25)),
    transforms.RandomHorizontalFlip(0.4),
    transforms.RandomResizedCrop(9),
    transforms.ColorJitter(0.4, 0.4, 0.4, 0.1),
    transforms.Lighting(0.1),
    transforms.Cutout(7),
    transforms.CenterCrop(11),
    transforms.Resize((7, 9)),
    transforms.Resize(10),
    transforms.Normalize([0.5] * 3, [0.2] * 3),
    transforms.Compose([transforms.RandomShortestSize(10, 20), transforms.RandomCrop(9)]),
]


@pytest.mark.parametrize("transform", EQUAL, ids=repr)
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_what_a_sample_becomes_does_not_depend_on_the_batch(
    transform: transforms.Transform, kind: str
) -> None:
    images = photographs(9) if kind == "bytes" else (photographs(9) / 255).astype(np.float32)
    before = images.copy()
    samples = [4, 1, 8, 0, 2, 3, 5, 6, 7]
    together = transform(images[samples], seed=3, epoch=2, samples=samples)

    for number in (8, 0):
        alone = transform(images[[number]], seed=3, epoch=2, samples=[number])[0]
        np.testing.assert_array_equal(alone, together[samples.index(number)])
    from_list = transform([images[n] for n in samples], seed=3, epoch=2, samples=samples)
    np.testing.assert_array_equal(from_list, together)
    np.testing.assert_array_equal(images, before)
    assert together.dtype == (np.float32 if "Normalize" in repr(transform) else images.dtype)
    random = not isinstance(
        transform, (transforms.CenterCrop, transforms.Resize, transforms.Normalize)
    )
    other = transform(images[samples], seed=3, epoch=3, samples=samples)
    assert random == (not np.array_equal(other, together))


def test_a_crop_is_a_part_of_the_padded_image_and_all_places_come() -> None:
    image = np.arange(1, 13, dtype=np.uint8).reshape(1, 1, 3, 4)
    padded = np.pad(image[0, 0], 1)
    parts = transforms.RandomCrop((3, 2), padding=1)(np.repeat(image, 6000, 0), seed=1)
    places = Counter(part.tobytes() for part in parts)

    expected = [padded[y : y + 3, x : x + 2].tobytes() for y in range(3) for x in range(5)]
    assert set(places) == set(expected)
    assert_equally_likely(list(places.values()))


def test_a_border_may_be_what_is_within_mirrored() -> None:
    image = np.arange(1, 13, dtype=np.uint8).reshape(1, 1, 3, 4)
    mirrored = np.pad(image[0, 0], 2, "reflect")
    crop = transforms.RandomCrop((3, 2), padding=2, padding_mode="reflect")
    places = Counter(part.tobytes() for part in crop(np.repeat(image, 6000, 0), seed=1))

    expected = [mirrored[y : y + 3, x : x + 2].tobytes() for y in range(5) for x in range(7)]
    assert set(places) == set(expected)
    with pytest.raises(ValueError, match="at least 3 pixels each way; found 2x4"):
        crop(image[:, :, :2])
    with pytest.raises(ValueError, match="one of constant, reflect; found 'edge'"):
        transforms.RandomCrop(2, 1, "edge")  # type: ignore[arg-type]


def test_rows_columns_and_mirrorings_are_independent_in_every_epoch() -> None:
    image = np.arange(1, 13, dtype=np.uint8).reshape(1, 1, 3, 4)
    augment = transforms.Compose(
        [transforms.RandomCrop((3, 4), padding=1), transforms.RandomHorizontalFlip()]
    )
    now, later = (augment(np.repeat(image, 18 * 18 * 60, 0), epoch=epoch) for epoch in (0, 1))
    which = [
        np.unique(each.reshape(len(each), -1), axis=0, return_inverse=True)[1].ravel()
        for each in (now, later)
    ]

    assert max(which[0]) == 17  # of three rows, three columns, and two sides
    assert_equally_likely(np.bincount(18 * which[0] + which[1], minlength=18 * 18))


def test_a_flip_mirrors_its_share_of_the_images_left_to_right() -> None:
    images = photographs(2000, 2, 3)
    flipped = transforms.RandomHorizontalFlip(0.25)(images, seed=0)
    mirrored = (flipped == images[..., ::-1]).all((1, 2, 3))

    assert ((flipped == images).all((1, 2, 3)) | mirrored).all()
    assert 420 < mirrored.sum() < 580
    for p, expected in ((0, images), (1, images[..., ::-1])):
        np.testing.assert_array_equal(transforms.RandomHorizontalFlip(p)(images), expected)


def test_cutout_hides_a_square_about_any_pixel() -> None:
    hidden = transforms.Cutout(4)(np.ones((3000, 2, 6, 8), np.float32), seed=0)
    zeros = hidden == 0

    np.testing.assert_array_equal(zeros[:, 0], zeros[:, 1])
    assert zeros[:, 0].sum((1, 2)).min() == 4  # about pixel (0, 0): two rows and columns are inside
    assert zeros[:, 0].sum((1, 2)).max() == 16
    corners = (zeros[:, 0, 0, 0] & zeros[:, 0, 0, 7]).sum()
    assert corners == 0
    # Row 3 is hidden by squares about rows 2 to 5: two thirds of them.
    assert abs(zeros[:, 0, 3].any(1).mean() - 4 / 6) < 0.04


def test_the_middle_is_rounded_as_where_published_networks_are_read() -> None:
    from minires.data import prepare
    from minires.models.weights.catalogue import Preprocessing

    photograph = photographs(1, 33, 50)[0]
    transform = transforms.Compose(
        [
            transforms.Resize(24),
            transforms.CenterCrop(17),
            transforms.Normalize([0.4] * 3, [0.3] * 3),
        ]
    )
    card = Preprocessing(size=24, crop=17, mean=[0.4] * 3, std=[0.3] * 3)

    expected = prepare(np.moveaxis(photograph, 0, -1).copy(), card)

    np.testing.assert_allclose(transform([photograph])[0], expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_resizing_is_pillows_for_any_channels(channels: int, dtype: str) -> None:
    image = photographs(1, channels=channels)[0]
    values = image.astype(dtype)
    resized = transforms.Resize((11, 13))(values[None])[0]

    assert (resized.shape, resized.dtype) == ((channels, 11, 13), dtype)
    for channel, found in zip(values, resized, strict=True):
        expected = Image.fromarray(channel).resize((13, 11), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(found, np.asarray(expected))


def test_the_shorter_side_is_every_length_there_is() -> None:
    lengths = Counter()
    for sample in range(300):
        for image in (photographs(1, 20, 30), photographs(1, 30, 20)):
            transform = transforms.RandomShortestSize(4, 8)
            height, width = transform(image, samples=[sample]).shape[2:]
            lengths[min(height, width)] += 1
            assert max(height, width) == min(height, width) * 30 // 20

    assert set(lengths) == {4, 5, 6, 7, 8}
    assert_equally_likely(list(lengths.values()))


def test_a_random_part_has_the_areas_and_shapes_asked_for() -> None:
    transform = transforms.RandomResizedCrop(8, scale=(0.2, 0.5), ratio=(0.5, 2.0))
    parts = [transform._part(300, 400, draws) for draws in uniform(0, 0, range(2000), [22])]

    shares = np.array([height * width / 120_000 for _, _, height, width in parts])
    ratios = np.array([width / height for _, _, height, width in parts])
    assert shares.min() > 0.198
    assert shares.max() < 0.502
    assert 0.49 < ratios.min() < 0.55
    assert 1.8 < ratios.max() < 2.03
    assert_equally_likely(np.histogram(np.log(ratios), bins=10, range=np.log([0.5, 2.0]))[0])
    assert_equally_likely(np.histogram(shares, bins=10, range=(0.2, 0.5))[0])
    assert all(0 <= t <= 300 - h and 0 <= x <= 400 - w for t, x, h, w in parts)


def test_where_no_part_fits_the_middle_is_taken() -> None:
    transform = transforms.RandomResizedCrop(8, scale=(1.0, 1.0), ratio=(1.0, 1.0))
    for draws in uniform(0, 0, range(5), [22]):
        assert transform._part(10, 100, draws) == (0, 45, 10, 10)
        assert transform._part(100, 10, draws) == (45, 0, 10, 10)


def test_brightness_contrast_and_saturation_blend_with_black_grey_and_their_own_grey() -> None:
    image = np.random.default_rng(0).random((1, 3, 4, 4)) * 0.2 + 0.4
    grey = np.tensordot(np.array([0.299, 0.587, 0.114]), image[0], 1)
    for place, other in enumerate((0.0, grey.mean(), grey)):
        spread = [0.0] * 4
        spread[place] = 0.3
        (found,) = transforms.ColorJitter(*spread)(image, seed=1)
        factor = 0.7 + 0.6 * uniform(1, 0, [0], [8])[0, place]
        # float64 stays precise
        np.testing.assert_allclose(found, factor * image[0] + (1 - factor) * other, rtol=1e-14)


@pytest.mark.parametrize("seed", [0, 2])  # forwards and backwards
def test_a_hue_is_turned_as_by_hand(seed: int) -> None:
    colours = np.random.default_rng(0).random((3, 200))
    colours[:, :3] = [[0.5, 0.25, 0.25], [0.5, 0.75, 0.25], [0.5, 0.25, 0.75]]  # grey; two equal
    turn = 0.4 * (2 * uniform(seed, 0, [0], [8])[0, 3] - 1)

    found = transforms.ColorJitter(hue=0.4)(colours.reshape(1, 3, 10, 20), seed=seed)

    for colour, its in zip(colours.T, found.reshape(3, -1).T, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        np.testing.assert_allclose(its, expected, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_jittered_colours_are_torchvisions(dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    from tests.models import torchvision_oracle

    torchvision_oracle.models()  # with what its import needs
    from torchvision.transforms import functional

    changes = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    images = photographs(12)
    given = images if dtype == "uint8" else images / np.float32(255)

    jittered = transforms.ColorJitter(0.4, 0.3, 0.5, 0.2)(given, seed=5)

    for image, draws, found in zip(images, uniform(5, 0, range(12), [8]), jittered, strict=True):
        factors = [1, 1, 1, 0] + (2 * draws[:4] - 1) * [0.4, 0.3, 0.5, 0.2]
        expected = torch.from_numpy(image / np.float32(255))
        for kind in draws[4:].argsort():
            expected = changes[kind](expected, factors[kind])
        if dtype == "uint8":
            np.testing.assert_allclose(found, 255 * expected.numpy(), atol=0.51)
        else:
            # Its red weighs 0.2989 in grey, which it does not make up for.
            np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_grey_images_have_no_saturation_and_no_hue() -> None:
    grey = photographs(3, channels=1)
    np.testing.assert_array_equal(transforms.ColorJitter(0, 0, 0.9, 0.5)(grey), grey)
    assert (transforms.ColorJitter(0.9)(grey) != grey).any()


def test_colours_stay_within_their_range_and_come_in_other_orders() -> None:
    images = photographs(20)
    jittered = transforms.ColorJitter(5.0, 5.0, 5.0, 0.5)(images / np.float32(255))
    assert jittered.min() >= 0
    assert jittered.max() <= 1
    orders = Counter(tuple(each) for each in uniform(0, 0, range(4800), [8])[:, 4:].argsort(1))
    assert len(orders) == 24
    assert_equally_likely(list(orders.values()))


def test_light_is_added_along_the_components_of_colour() -> None:
    images = np.full((20_000, 3, 1, 1), 0.5)
    added = transforms.Lighting(0.1)(images, seed=0)[:, :, 0, 0] - 0.5
    variances, components = np.linalg.eigh(np.cov(added.T))

    alone = transforms.Lighting(0.1)(images[:1], seed=0, samples=[19_999])[0, :, 0, 0] - 0.5
    np.testing.assert_array_equal(alone, added[-1])
    np.testing.assert_allclose(added.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(
        np.sqrt(variances[::-1]), 0.1 * transforms.Lighting._VARIANCES, rtol=0.03
    )
    along = np.abs(components[:, ::-1].T @ transforms.Lighting._COMPONENTS)
    np.testing.assert_allclose(along, np.eye(3), atol=0.02)


def test_normalising_by_a_data_set_gives_mean_0_and_standard_deviation_1() -> None:
    from minires.data import TensorDataset

    images = photographs(30)
    for kept in (images, images / 255):
        normal = transforms.Normalize.of(TensorDataset(kept, np.zeros(30)), dtype=np.float64)(kept)
        np.testing.assert_allclose(normal.mean((0, 2, 3)), 0, atol=1e-12)
        np.testing.assert_allclose(normal.std((0, 2, 3)), 1, rtol=1e-12)


def test_normalising_by_each_pixels_mean_leaves_a_mean_image_of_0() -> None:
    from minires.data import TensorDataset

    images = photographs(30)
    for kept in (images, images / 255):
        dataset = TensorDataset(kept, np.zeros(30))
        normal = transforms.Normalize.of(dataset, per_pixel=True, dtype=np.float64)(kept)
        np.testing.assert_allclose(normal.mean(0), 0, atol=1e-12)
        spread = (images / 255).std((0, 2, 3))[:, None, None]
        np.testing.assert_allclose(normal * spread, (images - images.mean(0)) / 255, atol=1e-12)


def test_images_of_all_sizes_become_a_batch() -> None:
    images = [photographs(1, 20 + n, 40 - n)[0] for n in range(20)]
    transform = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomResizedCrop(8),
            transforms.ColorJitter(0.4, 0.4, 0.4),
            transforms.Normalize([0.5] * 3, [0.2] * 3),
        ]
    )
    batch = transform(iter(images), samples=range(20))

    assert batch.shape == (20, 3, 8, 8)
    for number in (0, 7, 19):
        alone = transform([images[number]], samples=[number])
        np.testing.assert_array_equal(alone[0], batch[number])


def test_mixing_weighs_images_and_labels_alike() -> None:
    mixup = transforms.MixUp(0.4, classes=3)
    images = np.random.default_rng(0).random((4, 1, 2, 2), np.float32)
    labels = np.array([0, 1, 2, 2])
    weight, partner = mixup.draw(seed=1, epoch=2, batch=3, count=4)

    mixed, shares = mixup.mix(images, labels, images[partner], labels[partner], weight)

    assert 0 <= weight <= 1
    assert sorted(partner) == [0, 1, 2, 3]
    np.testing.assert_allclose(mixed, weight * images + (1 - weight) * images[partner], rtol=1e-6)
    expected = weight * np.eye(3)[labels] + (1 - weight) * np.eye(3)[labels[partner]]
    np.testing.assert_allclose(shares, expected, rtol=1e-6)
    assert (mixed.dtype, shares.dtype) == (np.float32, np.float32)
    weights = [mixup.draw(0, 0, batch, 4)[0] for batch in range(2000)]
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
    assert np.var(weights) == pytest.approx(1 / (4 * 1.8), rel=0.1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: transforms.RandomCrop(0), "size must be at least 1 pixel"),
        (lambda: transforms.RandomCrop(4, padding=-1), "padding must be at least 0, found -1"),
        (lambda: transforms.CenterCrop((4, 0)), "CenterCrop: size must be at least 1"),
        (lambda: transforms.RandomHorizontalFlip(1.5), "p must be a probability, found 1.5"),
        (lambda: transforms.RandomResizedCrop(8, scale=(0, 1)), "scale must be two rising"),
        (lambda: transforms.RandomResizedCrop(8, ratio=(2, 1)), "ratio must be two rising"),
        (lambda: transforms.RandomShortestSize(9, 8), "1 <= min_size <= max_size, found 9 and 8"),
        (lambda: transforms.ColorJitter(-1), "ColorJitter: .* at least 0"),
        (lambda: transforms.ColorJitter(hue=0.6), "ColorJitter: .* hue at most 0.5"),
        (
            lambda: transforms.RandomCrop(3)(np.zeros((4, 5, 5))),
            r"images \(N, C, H, W\).*\(4, 5, 5\)",
        ),
        (lambda: transforms.RandomCrop(3)([np.zeros((5, 5))]), r"image \(C, H, W\).*\(5, 5\)"),
        (lambda: transforms.RandomCrop(3)([]), "there is no image"),
        (lambda: transforms.Lighting(math.nan), "Lighting: std must be finite"),
        (lambda: transforms.Cutout(0), "Cutout: size must be at least 1"),
        (lambda: transforms.MixUp(0, 10), "alpha must be finite and positive, found 0"),
        (lambda: transforms.MixUp(1, 0), "classes must be at least 1"),
        (
            lambda: transforms.Normalize([0, 0], [1]),
            r"one std per channel.* \(2,\) and stds \(1,\)",
        ),
        (lambda: transforms.Normalize([0], [0]), "std finite and positive"),
        (lambda: transforms.Normalize([0], [1], np.int64), "dtype must be floating, found int64"),
        *(
            (
                lambda resize=resize: resize(photographs(1, 1, 60_000)),
                "its 60000 x 1 pixels would be 30,720,000 x 512 with the shorter side .*; cut it",
            )
            for resize in (transforms.Resize(512), transforms.RandomShortestSize(512, 512))
        ),
        (
            lambda: transforms.RandomCrop(8)(photographs(1, 5, 9)),
            "cannot cut 8x8 pixels out of an image of 5x9",
        ),
        (
            lambda: transforms.Normalize([0], [1])(photographs(1)),
            r"images \(C, H, W\) are \(3, 20, 30\), the mean is \(1,\)$",
        ),
        (
            lambda: transforms.Normalize(np.zeros((3, 5, 6)), [1] * 3)(photographs(1)),
            r"the mean is \(3, 5, 6\); normalise before you crop",
        ),
        (
            lambda: transforms.Lighting()(photographs(1, channels=1)),
            "needs images of 3 channels, found 1",
        ),
        (
            lambda: transforms.Compose([])([photographs(1, 5, 9)[0], photographs(1, 9, 5)[0]]),
            r"differ in their shapes, \(3, 5, 9\) and \(3, 9, 5\); a transform has to make",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


def test_labels_and_images_that_cannot_be_mixed_are_refused() -> None:
    mixup = transforms.MixUp(1.0, classes=2)
    images = np.zeros((2, 1, 1, 1), np.float32)
    for its, labels, told in (
        (images.astype(np.uint8), [0, 1], "needs floating images, found uint8"),
        (images, [0, 2], "label 2 is none of 2 classes"),
        (images, [0.0, 1.0], "needs labels .* found float64"),
    ):
        with pytest.raises(ValueError, match=told):
            mixup.mix(its, np.array(labels), its, np.array(labels), 0.5)


def test_what_is_no_transform_is_refused() -> None:
    with pytest.raises(TypeError, match=r"needs transforms, .* found <built-in function abs>"):
        transforms.Compose([abs])  # type: ignore[list-item]
