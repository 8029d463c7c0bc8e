from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minires.data import prepare, read_image
from minires.models.weights.catalogue import Preprocessing

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@pytest.mark.parametrize("name", ["i.png", "i.npy", "first.npy"])
def test_a_picture_and_an_array_are_the_same_image(tmp_path: Path, name: str) -> None:
    if name.endswith(".png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    else:
        np.save(tmp_path / name, PIXELS.transpose(2, 0, 1) if name == "first.npy" else PIXELS)

    image = read_image(tmp_path / name)

    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), PIXELS)


def test_colours_are_made_grey_and_grey_is_made_colours(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "colour.png")
    np.save(tmp_path / "grey.npy", PIXELS[:, :, 0])

    assert np.asarray(read_image(tmp_path / "colour.png", 1)).shape == (4, 6)
    assert np.asarray(read_image(tmp_path / "grey.npy", 3)).shape == (4, 6, 3)
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        read_image(tmp_path / "grey.npy", 2)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.pgm"])
def test_of_16_bits_the_upper_8_are_taken(tmp_path: Path, name: str) -> None:
    grey = np.arange(0, 2**16, 2**8, dtype=np.uint16).reshape(16, 16) + 255
    Image.fromarray(grey).save(tmp_path / name)

    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / name, 1)), grey >> 8)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_32_bits_are_not_guessed(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.ones((4, 4), dtype)).save(tmp_path / "deep.tif")

    with pytest.raises(ValueError, match="its pixels have 32 bits, and nothing tells which is wh"):
        read_image(tmp_path / "deep.tif")


def test_a_picture_that_is_a_program_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, ghostscript = tmp_path / "canary", tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {canary}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "i.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    )

    with pytest.raises(ValueError, match="it is no image"):
        read_image(tmp_path / "i.png")

    assert not canary.exists()


def test_a_picture_is_turned_upright_as_the_camera_noted(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6  # its top is on the right
    Image.fromarray(PIXELS).save(tmp_path / "turned.png", exif=note)

    np.testing.assert_array_equal(
        np.asarray(read_image(tmp_path / "turned.png")), np.rot90(PIXELS, -1)
    )


def png() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(np.tile(PIXELS, (40, 40, 1))).save(buffer, "PNG")
    return buffer.getvalue()


def npy(shape: tuple[int, ...]) -> bytes:
    """The header of an array of bytes, with nothing behind."""
    header = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("name", "contents", "told"),
    [
        ("i.png", b"", r"it is no image \(BMP, GIF, "),
        ("i.png", b"text", r"it is no image \(BMP, GIF, "),
        ("i.png", png()[:200], "a damaged image"),
        ("i.npy", b"text", "a damaged array"),
        ("i.npy", b"", "a damaged array"),
        ("i.npy", b"PK\5\6" + bytes(18), "a damaged array"),
        ("i.npy", npy((10**13,)), "a damaged array"),
        ("i.npy", npy((2**63, 4)), "a damaged array"),
        ("i.npy", npy((True, 4)), "a damaged array"),
        ("i.npy", npy((4, 4)).replace(b"{", b"("), r"a damaged array \([^\n]*\)$"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, contents: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(contents)

    with pytest.raises(ValueError, match=told):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros(4, "u1"), np.zeros((4, 4, 2), "u1"), np.zeros((0, 4), "u1")],
)
def test_an_array_that_is_no_image_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "i.npy", array)

    with pytest.raises(ValueError, match=r"is no image|has no pixels"):
        read_image(tmp_path / "i.npy")


def test_an_array_of_floats_is_told_as_it_was_given_and_how_it_becomes_an_image() -> None:
    told = (
        r"float64 and shape \(3, 4, 4\) is no image.*\(255 \* array\)\.round\(\)\.astype\('uint8'\)"
    )
    with pytest.raises(ValueError, match=told):
        prepare(np.zeros((3, 4, 4)), as_told(4, [0], [1]))  # type: ignore[arg-type]


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS.transpose(2, 0, 1), PIXELS[:, :, 0]])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_is_prepared_as_a_file_of_it_is(
    tmp_path: Path, pixels: np.ndarray, channels: int
) -> None:
    np.save(tmp_path / "i.npy", pixels)
    wanted = as_told(4, [0.5] * channels, [0.5] * channels)

    np.testing.assert_array_equal(prepare(pixels, wanted), prepare(tmp_path / "i.npy", wanted))


def test_an_image_too_large_to_be_trusted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "i.png").write_bytes(png())
    for most in (PIXELS.size * 40 * 40 // 4, 10):  # a warning of Pillow's, and an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(ValueError, match=f"more than {most:,} pixels"):
            read_image(tmp_path / "i.png")


def as_told(size: int, mean: list[float], std: list[float]) -> Preprocessing:
    return Preprocessing(size=size, crop=size, mean=mean, std=std)


def test_an_image_of_the_right_size_is_only_normalised() -> None:
    image = Image.fromarray(np.ascontiguousarray(PIXELS[:, :4]))

    found = prepare(image, as_told(4, [0.5, 0.25, 0], [0.5, 1, 2]))

    expected = PIXELS[:, :4].transpose(2, 0, 1) / 255 - np.reshape([0.5, 0.25, 0], (3, 1, 1))
    np.testing.assert_allclose(found, expected / np.reshape([0.5, 1, 2], (3, 1, 1)), atol=1e-7)
    assert found.dtype == np.float32


def test_the_shorter_side_is_resized_and_the_middle_kept() -> None:
    stripes = np.zeros((8, 24), np.uint8)
    stripes[:, 8:16] = 255

    found = prepare(Image.fromarray(stripes), as_told(4, [0], [1]))

    assert found.shape == (1, 4, 4)
    assert found[0, :, 1:3].min() == 1


def test_the_middle_is_where_torchvision_has_it() -> None:
    ramp = np.broadcast_to(np.arange(7, dtype=np.uint8) * 10, (4, 7))

    found = prepare(Image.fromarray(np.ascontiguousarray(ramp)), as_told(4, [0], [1 / 255]))

    np.testing.assert_allclose(found[0, 0], [20, 30, 40, 50], rtol=1e-6)
    longer = Image.fromarray(np.tile(np.ascontiguousarray(ramp), (1, 2))[:, :10])
    resized = np.asarray(longer.resize((7, 3), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(
        prepare(longer, as_told(3, [0], [1 / 255]))[0], resized[:, 2:5], rtol=1e-6
    )


def test_a_long_and_thin_image_is_not_made_a_huge_one() -> None:
    with pytest.raises(ValueError, match="60000 x 1 pixels would be 13,440,000 x 224 with"):
        prepare(Image.new("L", (60_000, 1)), as_told(224, [0], [1]))


def test_a_grey_array_with_its_channel_in_front_is_an_image(tmp_path: Path) -> None:
    grey = PIXELS[:, :, 0]
    np.save(tmp_path / "grey.npy", grey[None])

    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "grey.npy", 1)), grey)


def test_a_file_is_read_in_as_many_channels_as_the_network_has(tmp_path: Path) -> None:
    np.save(tmp_path / "colour.npy", PIXELS)
    wanted = as_told(4, [0.5], [0.5])

    found = prepare(tmp_path / "colour.npy", wanted)

    assert found.shape == (1, 4, 4)
    np.testing.assert_array_equal(found, prepare(read_image(tmp_path / "colour.npy", 1), wanted))
