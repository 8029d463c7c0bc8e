from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minires.data.images import prepare, read_image

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


@pytest.mark.parametrize(
    ("name", "contents", "told"),
    [
        ("i.png", b"", "no image that Pillow knows"),
        ("i.png", b"text", "no image that Pillow knows"),
        ("i.png", png()[:200], "a damaged image"),
        ("i.npy", b"text", "a damaged array"),
        ("i.npy", b"", "a damaged array"),
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


def test_an_image_too_large_to_be_trusted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "i.png").write_bytes(png())
    for most in (PIXELS.size * 40 * 40 // 4, 10):  # a warning of Pillow's, and an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(ValueError, match=f"more than {most:,} pixels"):
            read_image(tmp_path / "i.png")


def test_an_image_of_the_right_size_is_only_normalised() -> None:
    image = Image.fromarray(np.ascontiguousarray(PIXELS[:, :4]))

    found = prepare(image, 4, 4, [0.5, 0.25, 0], [0.5, 1, 2])

    expected = PIXELS[:, :4].transpose(2, 0, 1) / 255 - np.reshape([0.5, 0.25, 0], (3, 1, 1))
    np.testing.assert_allclose(found, expected / np.reshape([0.5, 1, 2], (3, 1, 1)), atol=1e-7)
    assert found.dtype == np.float32


def test_the_shorter_side_is_resized_and_the_middle_kept() -> None:
    stripes = np.zeros((8, 24), np.uint8)
    stripes[:, 8:16] = 255

    found = prepare(Image.fromarray(stripes), 4, 4, [0], [1])

    assert found.shape == (1, 4, 4)
    assert found[0, :, 1:3].min() == 1
