"""Heat maps of a wrong gradient: every character of small ones, and pictures that open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minires.checking.heatmaps import GLYPHS, as_png, as_text, heat_map, picture

Array = np.ndarray[Any, Any]


def drawn(difference: Any, compared: Any = None, **options: Any) -> str:
    """The map of a difference; whatever is not 0 is wrong."""
    array = np.asarray(difference, float)
    known = np.full(array.shape, True) if compared is None else np.asarray(compared, bool)
    wrong = (array != 0) & known
    magnitude = np.where(wrong & np.isfinite(array), np.abs(array), -1)
    index = tuple(int(i) for i in np.unravel_index(magnitude.argmax(), array.shape))
    return as_text(array, known, wrong, index, **options)


def test_a_matrix_is_drawn_as_it_is() -> None:
    text = drawn([[0, 0.5, 0, 2], [-1.5, 0, 0, np.nan], [0, -0.25, 1.5, 0]], compared=[[1] * 4] * 3)

    assert text == (
        "analytic - numeric: +2 at the worst entry (0, 3)\n"
        "0 ·+·@\n"
        "1 =··!\n"
        "2 ·-#·\n"
        "· right; - below, + above (= # by over half of 2); @ worst; ! not finite"
    )


def test_what_was_not_compared_is_marked() -> None:
    text = drawn([[0, 1], [0, 0]], compared=[[True, True], [False, True]])

    assert text.splitlines()[1:3] == ["0 ·@", "1 ?·"]
    assert text.endswith("? not compared")


def test_a_vector_is_one_row() -> None:
    assert drawn([0, 1, -0.2, 0]).splitlines()[1] == "·@-·"


def test_a_single_number_is_one_character() -> None:
    assert drawn(3.0).splitlines()[1] == "@"


def test_more_axes_are_tiles_under_their_places() -> None:
    difference = np.zeros((2, 2, 2, 3))
    difference[1, 0, 1, 2] = -1
    difference[0, 1, 0, 0] = 0.25

    assert drawn(difference).splitlines()[1:5] == [
        "a tile is axis 2 down, axis 3 across",
        "  0,0  0,1  1,0  1,1",
        "0 ···  +··  ···  ···",
        "1 ···  ···  ··@  ···",
    ]


def test_a_row_of_tiles_ends_where_the_axis_before_it_does() -> None:
    difference = np.zeros((2, 3, 2, 4))
    difference[0, 0, 0, 0] = 1

    headings = [
        line for line in drawn(difference, width=28).splitlines() if "0,0" in line or "1,0" in line
    ]

    assert [line.split() for line in headings] == [["0,0", "0,1", "0,2"], ["1,0", "1,1", "1,2"]]


def test_of_many_tiles_those_around_the_worst_entry_are_shown() -> None:
    difference = np.zeros((50, 40, 3, 3))
    difference[30, 20, 1, 1] = 1

    text = drawn(difference)

    assert "30,20" in text
    assert "@" in text
    assert "of 2000" in text
    assert "  0,0 " not in text


def test_a_large_matrix_is_shrunk_to_the_worst_of_each_block() -> None:
    difference = np.zeros((4, 6))
    difference[0, 0], difference[1, 1], difference[3, 5], difference[2, 2] = 0.1, -2, 9, 0.5

    lines = drawn(difference, width=5, height=2).splitlines()

    assert [line for line in lines if line[:2] in ("0 ", "2 ")] == ["0 -··", "2 ·+@"]


def test_head_and_legend_are_lines_however_narrow_the_map() -> None:
    lines = drawn([0, 1, -0.2, 0], compared=[True, True, True, False], width=20).splitlines()

    assert len(lines) == 3
    assert lines[2] == "· right; - below, + above (= # by over half of 1); @ worst; ? not compared"


def test_the_largest_is_named_only_if_it_is_another_entry() -> None:
    difference = np.array([1.0, 5.0])
    everywhere = difference != 0

    first = as_text(difference, everywhere, everywhere, (0,)).splitlines()[0]
    second = as_text(difference, everywhere, everywhere, (1,)).splitlines()[0]

    assert first == "analytic - numeric: +1 at the worst entry (0); largest 5"
    assert second == "analytic - numeric: +5 at the worst entry (1)"


def test_shrinking_says_so() -> None:
    difference = np.zeros((30, 100))
    difference[7, 7] = 1

    assert "every character is the worst of 2 by 2 entries" in drawn(difference)


def test_ascii_can_be_asked_for() -> None:
    difference = np.zeros((60, 40, 3, 100))
    difference[3, 4, 1, 5] = 1

    assert drawn(difference, ascii=True).isascii()


def test_no_two_kinds_look_alike() -> None:
    assert len(set(GLYPHS.values())) == len(GLYPHS)


def test_the_worst_entry_is_not_marked_where_it_is_right() -> None:
    zero = np.zeros((2, 2))

    assert "@" not in as_text(zero, zero == 0, zero != 0, (0, 0)).splitlines()[1]


def test_an_array_without_entries_says_so() -> None:
    empty = np.zeros((0, 3))

    assert as_text(empty, empty == 0, empty != 0, ()) == "no entries"


def test_spans_name_the_kind_of_every_character() -> None:
    difference = np.array([[0.0, 1.0]])
    found = heat_map(difference, difference == difference, difference != 0, (0, 1))

    assert ("·", "right") in found.lines[1]
    assert ("@", "worst") in found.lines[1]


@given(
    shape=st.lists(st.integers(1, 70), max_size=2).flatmap(
        lambda last: st.lists(st.integers(1, 6), max_size=3).map(lambda lead: [*lead, *last])
    ),
    width=st.integers(30, 100),
    height=st.integers(4, 40),
    seed=st.integers(0, 99),
)
def test_a_map_keeps_to_its_size_and_always_shows_the_worst_entry(
    shape: list[int], width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    difference = np.asarray(rng.standard_normal(shape) * (rng.random(shape) < 0.3))
    difference[tuple(0 for _ in shape)] = 5.0
    compared = np.asarray(rng.random(shape) < 0.8)
    compared[tuple(0 for _ in shape)] = True

    text = drawn(difference, compared, width=width, height=height)

    lines = text.splitlines()
    assert max(map(len, lines)) <= max(width, 88)
    maps = [line for line in lines if set(line) & set("·?@") and "right" not in line]
    assert sum("@" in line for line in maps) >= 1
    assert len(maps) <= height
    assert max(map(len, maps)) <= width


def gradients(*shape: int, share: float = 0.1) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    numeric = np.asarray(rng.standard_normal(shape))
    wrong = np.asarray(rng.random(shape) < share)
    return np.asarray(numeric + wrong * rng.standard_normal(shape)), numeric, wrong


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((), (990, 352)),
        ((7,), (1440, 877)),
        ((5, 4), (1710, 903)),
        ((200, 6), (1710, 1260)),
        ((4, 3, 3, 3), (1710, 953)),
        ((2, 2, 3, 2, 2), (1710, 956)),
        ((12, 5, 6), (1710, 595)),
    ],
)
def test_a_picture_of_any_shape_opens(
    tmp_path: Path, shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    as_png(tmp_path / "map.png", *gradients(*shape), "weight")

    with Image.open(tmp_path / "map.png") as image:
        assert image.format == "PNG"
        assert image.size == size
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def colours(path: Path) -> set[Any]:
    with Image.open(path) as image:
        found = image.convert("RGB").getcolors(1 << 24) or []
    return {colour for _, colour in found}


@pytest.mark.parametrize("shape", [(7,), (5, 4), (90, 80)])
def test_the_worst_entry_gets_a_frame_in_the_difference(
    shape: tuple[int, ...],
) -> None:
    index = tuple(size // 2 for size in shape)

    plain = picture._draw(*gradients(*shape), "weight", None).axes
    framed = picture._draw(*gradients(*shape), "weight", index).axes

    more = [
        len(b.get_children()) - len(a.get_children()) for a, b in zip(plain, framed, strict=True)
    ]
    assert [bool(count) for count in more[:3]] == [False, False, True]


def test_what_was_not_compared_is_grey(tmp_path: Path) -> None:
    analytic, numeric, wrong = gradients(4, 4, share=0)
    as_png(tmp_path / "all.png", analytic, numeric, wrong, "all compared")
    numeric[1, 1] = np.nan
    as_png(tmp_path / "some.png", analytic, numeric, wrong, "some not")

    grey = (0xB8, 0xBE, 0xC5)
    assert grey in colours(tmp_path / "some.png")
    assert grey not in colours(tmp_path / "all.png")


def test_a_gradient_of_nan_is_drawn(tmp_path: Path) -> None:
    _, numeric, wrong = gradients(3, 4)

    as_png(tmp_path / "nan.png", np.full((3, 4), np.nan), numeric, ~wrong | wrong, "NaN")

    assert (tmp_path / "nan.png").exists()


def test_the_same_gradients_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        as_png(tmp_path / name, *gradients(5, 4), "weight")

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_nothing_is_written_on_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(b"before")

    def broken(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(picture, "_panel", broken)
    with pytest.raises(MemoryError):
        as_png(path, *gradients(3, 4), "weight")

    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]


def test_different_shapes_are_refused(tmp_path: Path) -> None:
    analytic, numeric, wrong = gradients(3, 4)

    with pytest.raises(ValueError, match=r"one shape .* found \(3,\), \(3, 4\) and \(3, 4\)"):
        as_png(tmp_path / "map.png", analytic[:, 0], numeric, wrong, "weight")
