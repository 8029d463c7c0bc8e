"""Drawing batches on a GPU: the kernel against its plain version, and against padding by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minires.devices.cuda.augmentation import GATHER_BYTES, GATHER_FLOATS
from tests.devices.cuda import fake, host
from tests.devices.plain import plain


@pytest.fixture(scope="module")
def compiler() -> None:
    host.needs_compiler()


def data(dtype: str, T: str, shape: tuple[int, ...], padding: int, L: int, seed: int) -> list[Any]:
    """Images, labels, schedule, scale and shift, at random."""
    random = np.random.default_rng(seed)
    M, C, _, _ = shape
    images = random.integers(0, 256, shape).astype(dtype)
    schedule = np.stack(
        [
            random.integers(0, M, L),
            *random.integers(0, 2 * padding + 1, (2, L)),
            random.integers(0, 2, L),
        ]
    ).astype(np.int32)
    scale, shift = random.standard_normal((2, C)).astype(T)
    return [images, random.integers(0, 99, M), schedule, scale, shift]


@st.composite
def draws(draw: Any) -> tuple[list[Any], int, int, int]:
    """What `gather_augment` is given: arrays; start, count, padding."""
    shape = tuple(draw(st.integers(1, most)) for most in (4, 3, 5, 6))
    padding, start, count, rest = (
        draw(st.integers(*ends)) for ends in ((0, 3), (0, 3), (1, 5), (0, 2))
    )
    T = draw(st.sampled_from(["float32", "float64"]))
    dtype = draw(st.sampled_from(["uint8", T]))
    arrays = data(dtype, T, shape, padding, start + count + rest, draw(st.integers(0, 99)))
    return arrays, start, count, padding


def launched(case: tuple[list[Any], int, int, int]) -> tuple[Any, int, list[Any], Any]:
    """Return kernel, grid, arguments and T of a case."""
    (images, labels, schedule, scale, shift), start, count, padding = case
    _, C, H, W = images.shape
    kernel = GATHER_BYTES if images.dtype == np.uint8 else GATHER_FLOATS
    batch = np.full((C, count, H, W), np.nan, scale.dtype)
    chosen = np.full(count, -1)
    args = [images, labels, schedule, scale, shift, batch, chosen,
            start, schedule.shape[1], count, C, H, W, padding]  # fmt: skip
    return kernel, kernel.grid(batch.size), args, scale.dtype


@pytest.mark.property
@given(case=draws())
def test_the_plain_kernel_draws_what_padding_and_slicing_by_hand_draw(case: Any) -> None:
    (images, labels, schedule, scale, shift), start, count, padding = case
    _, _, H, W = images.shape

    batch, chosen = plain.gather_augment(*case[0][:3], *case[1:], *case[0][3:])

    for n, (number, top, left, mirrored) in enumerate(schedule.T[start : start + count]):
        border = ((0, 0), (padding, padding), (padding, padding))
        crop = np.pad(images[number], border)[:, top : top + H, left : left + W]
        crop = crop[..., ::-1] if mirrored else crop
        expected = crop.astype(scale.dtype) * scale[:, None, None] + shift[:, None, None]
        np.testing.assert_array_equal(batch[n], expected)
        assert chosen[n] == labels[number]


@pytest.mark.property
@given(case=draws())
def test_the_gpus_batch_is_the_plain_one_in_the_gpus_memory_order(case: Any) -> None:
    arrays, start, count, padding = case
    expected, labels = plain.gather_augment(*arrays[:3], start, count, padding, *arrays[3:])

    with fake.installed() as device:
        on_device = [device.xp.asarray(array) for array in arrays]
        with fake.counting() as counts:
            batch, chosen = device.gather_augment(
                *on_device[:3], start, count, padding, *on_device[3:]
            )

        np.testing.assert_array_equal(batch.get(), expected)
        np.testing.assert_array_equal(chosen.get(), labels)
    assert len(counts.launches) == 1
    assert batch.transpose(1, 0, 2, 3).flags.c_contiguous


@pytest.mark.usefixtures("compiler")
def test_the_source_is_launched_with_enough_blocks() -> None:
    arrays = data("uint8", "float32", (5, 3, 9, 8), 2, 9, seed=0)
    expected, labels = plain.gather_augment(*arrays[:3], 1, 7, 2, *arrays[3:])

    with fake.installed("host") as device:
        on_device = [device.xp.asarray(array) for array in arrays]
        batch, chosen = device.gather_augment(*on_device[:3], 1, 7, 2, *on_device[3:])

    assert batch.size > 5 * GATHER_BYTES.block
    np.testing.assert_allclose(batch.get(), expected, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(chosen.get(), labels)


@pytest.mark.property
@pytest.mark.usefixtures("compiler")
@settings(max_examples=20)
@given(case=draws())
def test_the_kernels_source_computes_what_its_plain_version_does(case: Any) -> None:
    kernel, grid, args, T = launched(case)

    # A fused multiply-add rounds once where NumPy rounds twice.
    host.check(kernel, grid, args, T, rtol=1e-6, atol=1e-5)


@pytest.mark.long
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "change",
    [
        ("W - 1 - x", "W - x"),
        ("+ left - padding", "+ left"),
        ("+ top - padding", "+ left - padding"),
        ("row >= 0 && ", ""),
        ("column < W", "column <= W"),
        ("place[L]", "place[2 * L]"),
        ("/ W % H", "/ H % H"),
        ("number * C + c", "number + c"),
        ("schedule[start + i]", "schedule[i]"),
        ("schedule + start + n", "schedule + n"),
        ("scale[c] +", "scale[0] +"),
        ("if (i >= (unsigned)(C * N * H * W)) return;", ""),
    ],
)
def test_a_wrong_source_is_noticed(change: tuple[str, str]) -> None:
    cases = [
        launched((data("uint8", "float32", (3, 2, 4, 5), 2, 9, seed), 2, 5, 2)) for seed in range(2)
    ]
    (mutant,) = host.mutants(cases[0][0], [change])

    assert host.caught(mutant, [case[1:] for case in cases], rtol=1e-6, atol=1e-5)
