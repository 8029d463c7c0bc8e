from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.pages import Axis, Curve, Mark, chart
from minires.pages.ticks import ticks

EPOCH = Axis("epoch", low=0)


def drawn(*curves: Curve, y: Axis | None = None, marks: tuple[Mark, ...] = ()) -> str:
    return chart("A chart", curves, EPOCH, y or Axis("loss"), marks=marks)


def line_of(svg: str, style: str = "line") -> str:
    """The path of the first curve; the legend's samples come after it."""
    return re.findall(rf'class="\w+ {style}" d="([^"]*)"', svg)[0]


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?\d+\.?\d*) (-?\d+\.?\d*)", path)]


def test_a_higher_value_stands_higher_and_a_later_one_to_the_right() -> None:
    (x0, y0), (x1, y1), (x2, y2) = places(
        line_of(drawn(Curve("a", [(1, 1.0), (2, 3.0), (3, 2.0)])))
    )

    assert x0 < x1 < x2
    assert y1 < y2 < y0


def test_on_a_logarithmic_axis_equal_ratios_are_equal_distances() -> None:
    svg = drawn(Curve("a", [(1, 1.0), (2, 0.1), (3, 0.01)]), y=Axis("loss", log=True))
    (_, y0), (_, y1), (_, y2) = places(line_of(svg))

    assert math.isclose(y1 - y0, y2 - y1, abs_tol=0.2)


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, 0.0, -1.0])
def test_the_line_is_broken_where_a_value_cannot_be_drawn(missing: float | None) -> None:
    curve = Curve("a", [(1, 1.0), (2, 2.0), (3, missing), (4, 2.0), (5, 1.0)])
    path = line_of(drawn(curve, y=Axis("loss", log=True)))

    assert path.count("M") == 2
    assert len(places(path)) == 4


def test_of_many_points_the_spikes_are_kept() -> None:
    points = [(step, 1.0) for step in range(64_000)]
    points[12_345] = (12_345, 100.0)
    points[50_000] = (50_000, 0.001)
    found = places(line_of(drawn(Curve("a", list(points)), y=Axis("loss", log=True))))

    assert len(found) < 1_000
    heights = [y for _, y in found]
    assert heights.count(min(heights)) == heights.count(max(heights)) == 1


def test_what_is_said_and_named_cannot_break_out() -> None:
    hostile = "</svg><script>\"'&"
    svg = chart(hostile, [Curve(hostile, [(1, 1.0)])], Axis(hostile), Axis(hostile),
                marks=[Mark(1, hostile)])  # fmt: skip
    root = ElementTree.fromstring(svg)

    assert root.attrib["aria-label"] == hostile
    assert not list(root.iter("script"))
    assert [text.text for text in root.iter("text")].count(hostile) == 4


def test_nothing_to_draw_is_said() -> None:
    assert "nothing measured yet" in drawn(Curve("a", []))
    assert "nothing measured yet" in drawn(Curve("a", [(1, None)]), y=Axis("loss", log=True))


def test_an_axis_without_values_has_no_numbers() -> None:
    empty = ElementTree.fromstring(drawn(Curve("", []), y=Axis("error", low=0)))
    one = ElementTree.fromstring(drawn(Curve("", [(1, 0.0)]), y=Axis("error", low=0)))

    def numbers(root: ElementTree.Element) -> list[str | None]:
        return [text.text for text in root.iter("text") if text.get("text-anchor") == "end"]

    assert numbers(empty) == []
    assert numbers(one) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1e-6, 0.1], ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]),
        ([0.0, 6e5], ["0", "2e5", "4e5", "6e5"]),
        ([0.0, 7e-4], ["0", "2e-4", "4e-4", "6e-4"]),
        ([1.2e5, 1.8e5], ["1.2e5", "1.4e5", "1.6e5", "1.8e5"]),
    ],
)
def test_numbers_of_an_axis_leave_room_for_its_name(
    values: list[float], written: list[str]
) -> None:
    curve = Curve("", list(enumerate(values)))
    root = ElementTree.fromstring(drawn(curve, y=Axis("rate", log=values[0] == 1e-6)))
    found = [text.text for text in root.iter("text") if text.get("text-anchor") == "end"]

    assert found == written


def test_many_names_take_more_rows_and_stay_inside() -> None:
    names = [f"lr={number}, model=cifar_resnet20" for number in range(5)]
    root = ElementTree.fromstring(drawn(*(Curve(name, [(1, 1.0)]) for name in names)))
    rows = [text for text in root.iter("text") if text.text in names]

    assert len({text.attrib["y"] for text in rows}) > 1
    assert all(float(text.attrib["x"]) < 300 for text in rows)


def test_a_name_that_is_too_long_is_cut_and_says_so() -> None:
    root = ElementTree.fromstring(drawn(Curve("long " * 20, [(1, 1.0)])))

    assert any(str(text.text).endswith("…") for text in root.iter("text"))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low: float, size: float) -> None:
    found = ticks(low, low + size) if low + size > low else [low]
    slack = 1e-6 * size + 1e-9 * abs(low)

    assert 1 <= len(found) <= 11
    assert all(low - slack <= tick <= low + size + slack for tick in found)
    assert found == sorted(found)


@given(st.floats(1e-9, 1e3), st.floats(1.01, 1e12))
def test_ticks_of_a_logarithmic_axis_are_few_and_inside(low: float, ratio: float) -> None:
    found = ticks(low, low * ratio, log=True)

    assert 1 <= len(found) <= 11
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in found)


def test_a_point_alone_is_a_dot_that_can_be_seen() -> None:
    svg = drawn(Curve("a", [(1, 2.0)], "orange", "dashed"))

    assert len(places(line_of(svg, "dots"))) == 1


def test_a_curve_without_a_value_is_not_in_the_legend() -> None:
    svg = drawn(Curve("training", [(1, 2.0), (2, 1.0)]), Curve("validation", [(1, None)]))

    assert "training" in svg
    assert "validation" not in svg


def test_between_epochs_there_are_no_ticks() -> None:
    curve = Curve("a", [(1, 2.0), (2, 1.0)])
    svg = chart("A chart", [curve], Axis("epoch", low=0, whole=True), Axis("loss", low=0, high=2))

    assert re.findall(r'text-anchor="middle">([\d.]+)<', svg) == ["0", "1", "2"]
