"""The static picture: well-formed, safe, legible in light and dark, true to the trace."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minires as mr
from minires.trace.views import svg_style
from minires.trace.views.svg import svg_of

from .networks import Head, Inception, images, made, recorded

SVG = "{http://www.w3.org/2000/svg}"


def step(model, classes=10, **options):
    images = mr.tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("float32"))
    with mr.trace.record(model, **options) as trace:
        mr.ops.cross_entropy(model(images), mr.tensor([1, 2])).backward()
    return trace


@pytest.fixture(scope="module")
def residual():
    mr.manual_seed(0)
    return step(mr.models.cifar_resnet(depth=8))


@pytest.fixture(scope="module")
def plain():
    mr.manual_seed(0)
    return step(mr.models.cifar_plain(depth=8))


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter(f"{SVG}text")]


def of_style(picture: str, name: str, style: str) -> list[ET.Element]:
    found = ET.fromstring(picture).iter(f"{SVG}{name}")
    return [element for element in found if element.get("class") == style]


def test_it_names_and_describes_itself_to_who_cannot_see_it(residual):
    root = ET.fromstring(residual.to_svg())
    assert root.get("role") == "img"
    named = [root.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert root.get("aria-labelledby") == " ".join(element.get("id") for element in named)
    assert "layer1.0 7 ops: gradient norm" in named[1].text
    assert "shortcut" in named[1].text


def test_every_block_is_a_line_with_its_shares_and_a_dashed_arc(residual):
    picture = residual.to_svg()
    assert "layer1.0  7 ops" in texts(picture)
    arcs = [path for path in of_style(picture, "path", "mrt-s") if "Q" in path.get("d")]
    assert len(arcs) == 3
    for fork in residual.forks():
        for part in fork.parts:
            assert f"{round(100 * part.share)}%" in texts(picture)
    assert "stroke-dasharray" in svg_style.STYLE.partition(".mrt-s{")[2][:60]


def test_the_road_has_gaps_between_ways_beside_each_other():
    picture = recorded(made(Head(Inception(4))), images()).to_svg()

    ways = re.findall(
        r"M[\d.]+ ([\d.]+)V([\d.]+)", of_style(picture, "path", "mrt-road")[0].get("d")
    )
    nodes = [float(node.get("cy")) for node in of_style(picture, "circle", "mrt-node")]

    joined = [(nodes.index(float(a)), nodes.index(float(b))) for a, b in ways]
    assert (0, 1) not in joined
    assert all(b == a + 1 for a, b in joined)
    assert joined[-1][1] == len(nodes) - 1


def test_bars_are_as_long_as_the_logarithm_of_the_norm(residual):
    picture = residual.to_svg()
    lengths = [float(bar.get("width")) for bar in of_style(picture, "rect", "mrt-bar")]
    values = [residual.records.values[step.output] for step in residual.records.forward]
    norms = [
        [value.gradient.norm for value in values if value.name.startswith(block)][-1]
        for block in ("layer1.0", "layer2.0")
    ]
    decades = np.log10(norms[0] / norms[1])
    grid = sorted(
        float(re.match(r"M([\d.]+)", line.get("d"))[1])
        for line in of_style(picture, "path", "mrt-grid")
    )
    assert lengths[3] - lengths[4] == pytest.approx(decades * (grid[1] - grid[0]), abs=0.2)


def test_an_opened_twin_without_shortcuts_has_empty_slots_and_ghosts_of_arcs(residual, plain):
    picture = residual.compare(plain).to_svg(expand=True)
    assert texts(picture).count("no shortcut here") == 3
    assert texts(picture).count("no such step") == 4  # getitem and pad, twice
    ghosts = of_style(picture, "path", "mrt-ghost")
    assert len(ghosts) == len(residual.structure.joins)
    assert "CifarResNet, residual" in texts(picture)
    assert "CifarResNet, plain" in texts(picture)


def test_a_file_holds_what_is_returned(residual, tmp_path):
    returned = residual.to_svg(tmp_path / "trace.svg")
    assert (tmp_path / "trace.svg").read_text("utf-8") == returned
    assert residual.to_svg() == returned


def test_a_notebook_shows_it(residual):
    assert residual.show(static=True)._repr_svg_() == residual.to_svg()
    assert residual.show() is residual


def test_foreign_text_cannot_leave_its_place():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        (x * 2).sum().backward()
    trace.records.title = "</title></style><script>alert(1)</script>&\x00\ud800"
    trace.records.error = "<script>&\x07"
    picture = trace.to_svg()
    root = ET.fromstring(picture.encode())
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>alert(1)</script>" in text for text in texts(picture))


def test_nothing_is_fetched_and_a_strict_page_may_hold_it(residual):
    picture = residual.to_svg().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\(|@import|href|style=|on\w+=", picture)


def test_two_pictures_in_one_page_share_no_names(residual, plain):
    first, second = (set(re.findall(r' id="(\w+)"', t.to_svg())) for t in (residual, plain))
    assert not first & second


def test_a_trace_without_backward_says_so():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        x * 2
    assert any("backward has not run" in text for text in texts(trace.to_svg()))


def test_a_trace_of_nothing_says_so():
    with mr.trace.record() as trace:
        pass
    assert any("nothing was recorded" in text for text in texts(trace.to_svg()))


def test_zero_and_nan_are_written_not_drawn():
    x = mr.tensor([1.0, -1.0], requires_grad=True)
    with np.errstate(all="ignore"), mr.trace.record() as trace:
        dead = mr.relu(x * -0.0)
        mr.log(x * 1.0 + dead).sum().backward()
    trace.value(0).gradient = None
    found = texts(trace.to_svg())
    assert "0" in found
    x = mr.tensor([-1.0], requires_grad=True)
    with np.errstate(all="ignore"), mr.trace.record() as trace:
        (mr.log(x * 1.0) * 2).sum().backward(mr.tensor(float("nan")))
    assert "1 NaN" in texts(trace.to_svg())


def test_a_network_of_hundreds_of_steps_stays_inside_its_frame():
    picture = step(mr.models.cifar_resnet(depth=110)).to_svg()
    root = ET.fromstring(picture)
    width, height = float(root.get("width")), float(root.get("height"))
    assert height < 1700
    rows = {float(e.get("y")) for e in root.iter(f"{SVG}text") if (e.text or "").endswith("ops")}
    assert len(rows) == 54
    assert min(np.diff(sorted(rows))) >= 20
    for element in root.iter(f"{SVG}text"):
        assert 0 <= float(element.get("x")) <= width
        assert 0 <= float(element.get("y")) <= height


@pytest.mark.parametrize("theme", ["_LIGHT", "_DARK"])
def test_text_stands_out_from_its_ground_as_wcag_asks(theme):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    colours = getattr(svg_style, theme)
    for name in ("ink", "dim", "shortcut", "branch", "alarm"):
        light, dark = sorted([luminance(getattr(colours, name)), luminance(colours.ground)])[::-1]
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_both_themes_are_in_the_one_file(residual):
    assert "prefers-color-scheme:dark" in svg_of(residual)
