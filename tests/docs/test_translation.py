"""The Chinese edition is complete, and keeps what code and formulas say."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("babel", reason="needs the extra docs")
pytest.importorskip("jupytext", reason="needs the extra docs")

from babel.messages.catalog import Catalog

from docs import translation

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_is_untranslated_or_fuzzy_and_code_links_formulas_and_items_are_kept() -> None:
    assert list(translation.faults()) == []  # python -m docs.translation says what is missing


def test_the_chinese_readme_is_that_of_its_catalogue() -> None:
    assert (ROOT / "README.zh-CN.md").read_text(encoding="utf-8") == translation.readme()


def test_catalogues_have_no_message_that_the_texts_have_not() -> None:
    for name, parts in translation.sources().items():
        ids = {m.id for m in translation.catalog_of(name) if m.id}
        assert ids == {m.id for m in translation.updated(name, parts) if m.id}


def test_code_pictures_and_formulas_alone_are_no_messages() -> None:
    text = "A word.\n\n```sh\na\n\nb\n```\n\n$$x$$\n\n![alt](p.png)\n\n</details>\n\n- a list"

    assert [piece for piece, told in translation.chunks(text) if told] == ["A word.", "- a list"]


def test_a_text_is_put_together_as_it_was() -> None:
    catalog = Catalog(locale="zh_CN")
    catalog.add("A word.", "一个词。")

    assert (
        translation.translated("A word.\n\n```\ncode\n```", catalog) == "一个词。\n\n```\ncode\n```"
    )


def test_a_missing_translation_is_named() -> None:
    with pytest.raises(LookupError, match="A word"):
        translation.translated("A word.", Catalog(locale="zh_CN"))


def fault_of(
    original: str, chinese: str, monkeypatch: pytest.MonkeyPatch, *, fuzzy: bool = False
) -> list[str]:
    catalog = Catalog(locale="zh_CN")
    catalog.add(original, chinese, flags={"fuzzy"} if fuzzy else set())
    monkeypatch.setattr(translation, "catalog_of", lambda name: catalog)
    monkeypatch.setattr(translation, "sources", lambda: {"page": [original]})
    return list(translation.faults())


@pytest.mark.parametrize(
    ("original", "chinese", "fault"),
    [
        ("A word.", "", "not translated"),
        ("Call `f(x)`.", "调用 `g(x)`。", "code differ"),
        ("See [it](a.md).", "见 [它](b.md)。", "links differ"),
        ("Then $x > 0$.", "于是 $x < 0$。", "formulas differ"),
        ("1. One.\n2. Two.", "1. 一。2. 二。", "items and rows differ"),
    ],
)
def test_a_planted_fault_is_found(
    original: str, chinese: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = fault_of(original, chinese, monkeypatch)

    assert fault in found


def test_a_fuzzy_translation_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = fault_of("A word.", "一个词。", monkeypatch, fuzzy=True)

    assert "fuzzy" in found
