from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from minires.lab import Comparison
from minires.lab.report import render_report

HOSTILE = "</td></script><!-- <img src=x onerror=alert(1)> \"'&amp; ü"


@pytest.fixture(scope="module")
def page(written: list[Path]) -> str:
    return written[0].read_text("utf-8")


def parsed(page: str) -> ElementTree.Element:
    """Read the page as XML, which no unclosed or wrongly nested element survives."""
    assert page.startswith("<!DOCTYPE html>\n<html")
    return ElementTree.fromstring(page)


def visible(page: str) -> str:
    return " ".join(" ".join(parsed(page).itertext()).split())


def test_the_page_is_well_formed_and_says_the_verdict(page: str, comparison: Comparison) -> None:
    text = visible(page)

    assert comparison.verdict.headline in text
    for sentence in comparison.verdict.details:
        assert sentence in text


def test_the_page_needs_no_network_and_no_script(page: str) -> None:
    root = parsed(page)
    links = [
        value
        for element in root.iter()
        for name, value in element.attrib.items()
        if name in {"href", "src", "srcset", "action", "poster"}
    ]

    assert not re.search(r"https?:|//[a-z]", re.sub(r"data:image/png;base64,[^\"]*", "", page))
    assert not list(root.iter("script"))
    assert not list(root.iter("link"))
    assert not re.search(r"@import|url\(", page)
    assert not [name for e in root.iter() for name in e.attrib if name.startswith("on")]
    files = {link for link in links if not link.startswith("data:image/png;base64,")}
    assert files == {
        "metrics.json",
        "compare.png",
        "traces/8.html",
        "traces/14.html",
        *(
            f"weights/{name}.safetensors"
            for name in ("plain-8", "residual-8", "plain-14", "residual-14")
        ),
    }


def test_the_policy_allows_only_this_style_and_inline_pictures(page: str) -> None:
    root = parsed(page)
    (policy,) = (
        meta.attrib["content"]
        for meta in root.iter("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    (style,) = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none';"
        " form-action 'none'"
    )
    assert not [element for element in root.iter() if "style" in element.attrib]


def test_every_picture_has_a_dark_rendering_a_description_and_a_table(page: str) -> None:
    root = parsed(page)
    pictures = list(root.iter("picture"))
    figures = list(root.iter("figure"))

    assert len(pictures) == len(figures) == 5  # errors; curves and gradients for two depths
    for picture in pictures:
        source, image = picture
        assert source.attrib["media"] == "(prefers-color-scheme: dark)"
        assert source.attrib["srcset"] != image.attrib["src"]
        assert len(image.attrib["alt"]) > 40
        for url in (source.attrib["srcset"], image.attrib["src"]):
            assert base64.b64decode(url.partition(",")[2]).startswith(b"\x89PNG")
    assert len(list(root.iter("table"))) == 5
    assert "What you see" in visible(page)


def test_the_tables_have_the_numbers(page: str, comparison: Comparison) -> None:
    root = parsed(page)
    results, *others = root.iter("table")
    rows = [[cell.text for cell in row] for row in results.iter("tr")][1:]

    for run, row in zip(comparison.runs, rows, strict=True):
        assert run.final_train_error is not None
        assert row[:2] == [run.name, f"{100 * run.final_train_error:.1f}%"]
        assert f"{run.parameters:,}" in row
    lengths = [len(list(table.iter("tr"))) - 1 for table in others]
    assert lengths == [2, 2, 8, 14]  # epochs, then layers


def test_data_cannot_break_out_of_the_page(make_comparison: Any) -> None:
    hostile = make_comparison(plain_8=0.5, residual_8=None)
    for run in hostile.runs:
        run.layers = ["<b>", "fc"]
    hostile.runs[1].diverged = HOSTILE
    hostile.environment = {HOSTILE: HOSTILE}

    page = render_report(hostile)
    root = parsed(page)

    assert not list(root.iter("script"))
    assert page.count("<img ") == len(list(root.iter("picture")))
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page
    assert visible(page).count(HOSTILE) == 3
    assert not list(root.iter("b"))


def test_a_diverged_twin_is_said_to_have_diverged(make_comparison: Any) -> None:
    text = visible(render_report(make_comparison(plain_8=None, residual_8=0.25)))

    assert "plain-8 diverged, and was stopped" in text
    assert "diverged at step 1" in text


def test_a_comparison_that_was_stopped_names_what_is_missing(make_comparison: Any) -> None:
    stopped = make_comparison(plain_8=0.5, residual_8=0.5, plain_14=0.5)

    assert "stopped early. Not trained to the end: residual-14." in visible(render_report(stopped))


@pytest.mark.usefixtures("undrawn")
def test_the_conclusion_changes_with_the_numbers(make_comparison: Any) -> None:
    good = visible(render_report(make_comparison(plain_8=0.0, residual_8=0.0)))
    bad = visible(render_report(make_comparison(plain_8=0.9, residual_8=0.0)))

    assert "train alike" in good
    assert "train alike" not in bad
    assert "residual network trains better" in bad


@pytest.mark.long
def test_the_default_comparison_stays_below_two_megabytes(make_comparison: Any) -> None:
    big = make_comparison(
        plain_8=0.1, residual_8=0.1, plain_20=0.2, residual_20=0.1, plain_56=0.9, residual_56=0.1
    )
    for number, run in enumerate(big.runs):
        run.layers = [f"layer{layer}" for layer in range(run.depth)]
        run.steps_per_epoch = 23
        run.loss = [1 / (1 + step % (7 + number)) for step in range(276)]
        run.gradient_norms = [
            [0.001 + ((step * 7919 + layer * 104729) % 1000) for layer in range(run.depth)]
            for step in range(276)
        ]
        run.learning_rate = run.train_error = run.test_error = [0.1] * 12

    assert len(render_report(big).encode()) < 2_000_000
