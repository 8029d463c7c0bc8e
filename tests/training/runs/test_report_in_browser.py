"""The page of a run in a real browser; MINIRES_REQUIRE_BROWSER=1 lets nothing here be skipped.

With MINIRES_SCREENSHOTS=folder the pictures stay there, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minires.pages import page as page_of
from minires.training.runs import MetricsLog, TestLine, write_config, write_report
from minires.training.runs.confusion import confusion_section
from tests.training.runs.curves import config, planted

pytestmark = pytest.mark.long

FALLING = [2.0 * 0.9**epoch for epoch in range(30)]
TURNING = [1.0 + 0.05 * abs(epoch - 12) for epoch in range(30)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    folder.mkdir()
    write_config(
        config(root="/a/folder/with/a/name/that/is/quite/long/" + 8 * "and-longer-"), folder
    )
    metrics = planted(FALLING, TURNING, lr=[0.1] * 15 + [0.01] * 15)
    confusion = [[50 * (i == j) + (i * j) % 7 for j in range(20)] for i in range(20)]
    with MetricsLog(folder) as log:
        for line in (*metrics.steps, *metrics.epochs, TestLine(30, 120, 0.5, 0.1, confusion)):
            log.write(line)
    return write_report(folder)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_and_its_style_is_allowed(
    chromium: Any, report: Path, width: int, theme: str
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 844}, color_scheme=theme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(report.as_uri())
    if folder := os.environ.get("MINIRES_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"run-{width}-{theme}.png", full_page=True)

    assert page.evaluate("document.documentElement.scrollWidth") == width
    line = page.locator("svg.chart path.blue.line").first
    drawn = line.evaluate("path => getComputedStyle(path).stroke")
    assert drawn == {"light": "rgb(0, 103, 163)", "dark": "rgb(86, 168, 224)"}[theme]
    assert said == []
    page.close()


def test_long_names_of_classes_hide_no_number(chromium: Any, tmp_path: Path) -> None:
    names = ["a long name " * 8, "unbroken" * 12, "<b>", "ox"]
    confusion = confusion_section([[5, 1, 0, 0]] * 4, names)
    file = tmp_path / "page.html"
    file.write_text(page_of("A page", [confusion]))
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(file.as_uri())
    widths = page.evaluate(
        "[...document.querySelectorAll('table')].map(t =>"
        " [t.parentElement.clientWidth, t.querySelector('tbody th').offsetWidth])"
    )
    page.close()

    assert len(widths) == 2
    assert all(head < visible / 2 for visible, head in widths)


def test_no_text_of_a_chart_covers_another(chromium: Any, report: Path) -> None:
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.as_uri())
    boxes = page.evaluate(
        """[...document.querySelectorAll("svg.chart")].map(chart =>
            [...chart.querySelectorAll("text")].map(text => {
                const {left, right, top, bottom} = text.getBoundingClientRect();
                return [left, right, top, bottom];
            }))"""
    )
    page.close()

    assert len(boxes) == 4
    for texts in boxes:
        assert len(texts) > 8
        for number, (left, right, top, bottom) in enumerate(texts):
            for other in texts[number + 1 :]:
                beside = right <= other[0] or other[1] <= left
                assert beside or bottom - 2 <= other[2] or other[3] - 2 <= top
