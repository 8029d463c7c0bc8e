from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from minires.lab.lab_markdown import write_markdown
from minires.lab.lab_page import measured_text, render_lab
from minires.lab.laboratory import Laboratory
from minires.lab.results import Result
from tests.lab import odd_experiments

KNOWN = odd_experiments.ALL
ITEM = {
    "code": "X1",
    "statement": "two & two is <five>",
    "verdict": "false",
    "correct": "It is four.",
    "kind": "experiment",
    "outcome": "contradicts",
    "measured": {"sum": 5},
    "rule": "sum: 4 supports, all else contradicts",
    "because": "sum: 5",
    "source": "arithmetic",
    "seconds": 0.1,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    lab = Laboratory(tmp_path_factory.mktemp("lab"), "tiny", known=KNOWN, jobs=1)
    return lab.run(["sane", "raises"])


def text_of(html: str) -> str:
    page = ET.fromstring(html.replace("<!DOCTYPE html>", ""))
    return " ".join("".join(page.itertext()).split())


def test_the_page_shows_claim_published_measured_and_outcome(results: dict[str, Result]) -> None:
    told = text_of(render_lab(results, KNOWN))

    for part in ("Two is more than one.", "arithmetic", "two less one: 1, 1, 1", "✓ supports"):
        assert part in told
    assert "Claims of papers: 1 supported" in told


def test_the_page_has_a_figure_for_light_and_for_dark(results: dict[str, Result]) -> None:
    html = render_lab(results, KNOWN)

    assert html.count("<picture>") == 1  # that of the experiment that did not fail
    assert html.count("data:image/png;base64,") == 2


def test_what_failed_and_what_was_not_run_is_told(results: dict[str, Result]) -> None:
    told = text_of(render_lab(results, KNOWN))

    assert "Failed (2, seed 1): ArithmeticError: two and two is five" in told
    missing = (
        "dies, no-json, cannot-prepare, cannot-measure, measures-no-json, cannot-draw, draws,"
        " takes-long"
    )
    assert f"Not run yet: {missing}." in told


def test_an_audit_that_is_contradicted_says_so_and_shows_both(results: dict[str, Result]) -> None:
    html = render_lab(results, KNOWN, [ITEM])
    told = text_of(html)

    assert "Our measurement contradicts the audit in X1" in told
    assert "two & two is <five>" in told
    assert "It is four." in told
    assert "sum: 5" in told
    assert 'class="contradicts">✗ contradicts' in html


@pytest.mark.parametrize(
    ("shows_at", "told"),
    [
        ("paper", "The scale tiny does not show it; paper should."),
        ("tiny", "The scale tiny should show it, and does not."),
        (None, "It need not show at any scale here."),
    ],
)
def test_an_effect_that_does_not_show_is_told_with_the_scale_where_it_should(
    results: dict[str, Result], shows_at: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(results["sane"].claims[0], "shows_at", shows_at)
    assert told not in text_of(render_lab(results, KNOWN))

    monkeypatch.setitem(results["sane"].claims[0], "outcome", "inconclusive")
    assert told in text_of(render_lab(results, KNOWN))


def test_where_trials_were_run_stands_on_the_page_and_what_is_out_of_date(
    results: dict[str, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    (origin,) = results["sane"].origins
    elsewhere = {**origin, "commit": "another", "trials": 1}
    monkeypatch.setattr(results["sane"], "origins", [origin, elsewhere])

    told = text_of(render_lab(results, KNOWN, None, {"sane": "of the scale small", "raises": ""}))

    assert "commit another" in told
    assert f"commit {origin['commit']}" in told
    assert "This result is of the scale small. minires lab run sane --scale tiny" in told
    assert told.count("This result is") == 1


@pytest.mark.parametrize(
    ("values", "text"),
    [(True, "yes"), (269722, "269,722"), (None, "–"), ([0.5, None], "0.5, –"), ({"a": 1}, "a: 1")],
)
def test_numbers_are_written_for_people(values: object, text: str) -> None:
    assert measured_text(values) == text


def test_a_figure_that_cannot_be_drawn_is_told_and_hides_no_other(tmp_path: Path) -> None:
    results = Laboratory(tmp_path, "tiny", jobs=1, known=KNOWN).run(["cannot-draw", "sane"])

    page = render_lab(results, KNOWN)

    assert "No figure: RuntimeError: no &lt;ink&gt;" in page
    assert page.count("<figure") == 1

    file, *figures = write_markdown(results, KNOWN, None, tmp_path / "measured.md")
    assert [figure.name for figure in figures] == ["sane.png"]
    assert "> No figure: RuntimeError: no <ink>" in file.read_text()
    assert "cannot-draw.png" not in file.read_text()
