"""The built site: links that lead somewhere, and pages that need no network."""

from __future__ import annotations

import functools
import html
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

pytest.importorskip("myst_nb", reason="needs the extra docs")

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "index.html",
    "start.html",
    "tutorials/index.html",
    "tutorials/01_tape.html",
    "tutorials/09_residual_add.html",
    "tutorials/10_step_through.html",
    "gallery.html",
    "exactness.html",
    "reference/ops.html",
    "lab-measured.html",
    "glossary.html",
    "zh/index.html",
    "zh/tutorials/09_residual_add.html",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the built site: MINIRES_SITE, or one built now."""
    if os.environ.get("MINIRES_SITE"):
        return Path(os.environ["MINIRES_SITE"])
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "docs.build", "--out", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, timeout=500)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Silent, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Links(HTMLParser):
    """What a page links to, and the places on it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.places: set[str] = set()
        self.without_alt: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag == "img" and not found.get("alt"):
            self.without_alt.append(str(found.get("src")))
        for name in ("href", "src"):
            if found.get(name):
                self.targets.add(str(found[name]))
        self.places.update(str(found[name]) for name in ("id", "name") if found.get(name))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    paths = [path for path in site.rglob("*.html") if not {"traces", "_static"} & set(path.parts)]
    return {path: Links(path.read_text(encoding="utf-8")) for path in paths}


def test_every_link_within_the_site_leads_to_a_file_and_a_place(pages: dict[Path, Links]) -> None:
    broken = []
    for path, links in pages.items():
        for link in links.targets:
            target, place = urldefrag(link)
            if "://" in link or link.startswith(("mailto:", "data:", "javascript:")):
                continue
            target = unquote(target.partition("?")[0])
            file = (path.parent / target).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            known = pages[file].places if file in pages else None
            if not file.is_file() or (place and known is not None and unquote(place) not in known):
                broken.append(f"{path.name}: {link}")

    assert sorted(set(broken)) == []


def test_help_of_commands_is_whole_and_examples_are_code(site: Path) -> None:
    page = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    told = html.unescape(re.sub(r"<[^>]+>", "", page))

    assert "minires train --resume runs/r20\n" in told
    assert "--freeze 'conv1.*'" in told
    assert "\N{EN DASH}" not in told
    assert "train: Train a network, and keep the run in a folder." in told


def test_every_figure_of_a_tutorial_has_a_text(pages: dict[Path, Links]) -> None:
    without = {
        path.name: links.without_alt for path, links in pages.items() if "tutorials" in path.parts
    }

    assert {name: images for name, images in without.items() if images} == {}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_needs_no_network_and_fails_no_request(
    page: str, address: str, chromium: Any
) -> None:
    failed, foreign, faults = [], [], []
    with chromium.new_context() as context:

        def let_through(route: Any) -> None:
            if route.request.url.startswith((address, "data:", "blob:")):
                route.continue_()
            else:
                foreign.append(route.request.url)
                route.abort()

        context.route("**/*", let_through)
        tab = context.new_page()
        tab.on("requestfailed", lambda request: failed.append(request.url))
        tab.on("response", lambda answer: answer.ok or failed.append(answer.url))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(f"{address}/{page}", wait_until="networkidle")

    assert (failed, foreign, faults) == ([], [], [])


def test_formulas_are_set(address: str, chromium: Any) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/exactness.html", wait_until="networkidle")
    tab.wait_for_selector("mjx-container")

    assert tab.locator("mjx-container").count() > 20
    assert tab.locator("mjx-merror").count() == 0
    tab.close()


@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("page", PAGES)
def test_no_page_is_wider_than_the_screen(
    page: str, width: int, address: str, chromium: Any
) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(f"{address}/{page}", wait_until="networkidle")
    over = tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    tab.close()

    assert over <= 0


@pytest.mark.parametrize(
    ("language", "words", "found"),
    [
        ("", "path spectrum", "path_spectrum"),
        ("", "im2col", "convolution"),
        ("zh/", "残差", "residual_add"),
        ("zh/", "路径谱", "path_spectrum"),
        ("zh/", "im2col", "convolution"),
    ],
)
def test_search_finds(language: str, words: str, found: str, address: str, chromium: Any) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/{language}search.html?q={words}")
    tab.wait_for_selector("#search-results li a")
    targets = [
        link.get_attribute("href") or "" for link in tab.locator("#search-results li a").all()
    ]
    tab.close()

    assert any(found in target for target in targets), targets


def test_the_dark_theme_is_dark(address: str, chromium: Any) -> None:
    with chromium.new_context(color_scheme="dark") as context:
        tab = context.new_page()
        tab.goto(f"{address}/index.html")
        ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")

    red, green, blue = (int(each) for each in ground.strip("rgb()").split(","))
    assert max(red, green, blue) < 80


def test_each_language_leads_to_the_other(address: str, chromium: Any) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/tutorials/09_residual_add.html")
    tab.locator(".minires-language").first.click()
    assert tab.url.endswith("/zh/tutorials/09_residual_add.html")
    assert tab.evaluate("document.documentElement.lang").startswith("zh")
    tab.locator(".minires-language").first.click()
    assert tab.url.endswith("/tutorials/09_residual_add.html")
    assert "/zh/" not in tab.url
    tab.close()


def test_solutions_are_folded_and_open(address: str, chromium: Any) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/tutorials/01_tape.html")
    solution = tab.locator("details.hide", has_text="A solution").first
    code = solution.locator("pre").first

    assert not code.is_visible()
    solution.locator("summary").first.click()
    assert code.is_visible()
    tab.close()


def test_a_trace_in_the_gallery_steps(address: str, chromium: Any) -> None:
    tab = chromium.new_page()
    tab.goto(f"{address}/gallery.html", wait_until="networkidle")
    frame = tab.frame_locator("iframe.trace").first
    frame.locator("body").press("ArrowRight")

    assert "CifarResNet" in frame.locator("body").inner_text()
    tab.close()
