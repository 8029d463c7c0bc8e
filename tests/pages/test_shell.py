from __future__ import annotations

import base64
import hashlib
import re
from xml.etree import ElementTree

from minires.pages import page


def test_the_policy_allows_the_pages_own_style_and_no_other() -> None:
    written = page("A run", ["<p>text</p>"], style="p { color: red; }")
    (style,) = re.findall(r"<style>(.*?)</style>", written, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert style.endswith("p { color: red; }")
    assert f"style-src &#x27;sha256-{digest}&#x27;" in written
    ElementTree.fromstring(written)


def test_only_a_page_that_is_told_so_is_read_again() -> None:
    assert 'http-equiv="refresh" content="30"' in page("A run", [], reload_after=30)
    assert "refresh" not in page("A run", [])


def test_a_title_is_escaped() -> None:
    assert "<title>&lt;b&gt;</title>" in page("<b>", [])
