"""The page of a trace in a real browser; MINIRES_REQUIRE_BROWSER=1 lets nothing here be skipped.

With MINIRES_SCREENSHOTS=folder the pictures that these tests take stay there, to be looked at.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minires as mr
from minires.trace import Trace
from minires.trace.views.page import frame_of, write_page
from tests.helpers import missing_browser
from tests.trace.pages import of_architectures, recorded, twins, two_passes

pytestmark = pytest.mark.long

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pages: single, twins, spelled out, without backward, of nothing, with a NaN."""
    folder = tmp_path_factory.mktemp("pages")
    left, right = twins(8)
    for trace in (left, right):
        trace.path_spectrum()
    write_page([left], folder / "single.html")
    write_page([left, right], folder / "twins.html")
    with mr.expand("conv2d", "batch_norm"):
        write_page([recorded(mr.models.cifar_resnet(8, width=4))], folder / "spelled.html")
    with mr.trace.record() as forward_only:
        mr.nn.Linear(4, 4)(mr.randn(2, 4))
    write_page([forward_only], folder / "forward.html")
    with mr.trace.record() as nothing:
        pass
    write_page([nothing], folder / "nothing.html")
    x = mr.tensor([1.0, -1.0], requires_grad=True)
    with mr.trace.record() as broken:
        mr.ops.sum(mr.ops.log(x) * 0.0).backward()
    write_page([broken], folder / "nan.html")
    for name, trace in of_architectures().items():
        if name in ("dense", "inception", "segmenter"):
            write_page([trace], folder / f"{name}.html")
    write_page([two_passes()], folder / "passes.html")
    write_page([left, left_forward()], folder / "half.html", ["with", "without"])
    return folder


def left_forward() -> Trace:
    """Record the forward pass alone."""
    model = mr.models.cifar_resnet(8, shortcut="A", width=4)
    with mr.trace.record(model, save="thumbs") as trace:
        mr.ops.cross_entropy(model(mr.randn(4, 3, 8, 8)), mr.tensor([0, 1, 2, 3]))
    return trace


class Opened:
    """A page in the browser, and what went wrong in it."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(f"exception: {error}"))
        page.on(
            "console",
            lambda message: (
                message.type in ("error", "warning")
                and self.wrong.append(f"{message.type}: {message.text}")
            ),
        )
        page.route("**/*", self._ask)

    def _ask(self, route: Any) -> None:
        if route.request.url.startswith("file://"):
            route.continue_()
        else:
            self.wrong.append(f"request: {route.request.url}")
            route.abort()

    def open(self, name: str, state: str = "") -> Opened:
        self.page.goto((self.folder / name).as_uri() + state)
        self.page.wait_for_selector("#step h2")
        return self

    def press(self, *keys: str) -> Opened:
        for key in keys:
            self.page.keyboard.press(key)
            if key == "Escape":
                # Chromium tells of it twice, the second time some time later; no hand is so quick.
                self.page.wait_for_timeout(150)
        return self

    @property
    def state(self) -> dict[str, str]:
        text = self.page.input_value("#state")
        return dict(pair.split("=", 1) for pair in text.removeprefix("#").split("&"))

    @property
    def step(self) -> int:
        return int(self.state["step"])

    @property
    def now(self) -> str:
        return str(self.page.inner_text("#now"))

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def picture(self, name: str) -> None:
        folder = os.environ.get("MINIRES_SCREENSHOTS")
        if folder:
            self.page.screenshot(path=str(Path(folder) / name))


@pytest.fixture
def opened(chromium: Any, pages: Path) -> Iterator[Callable[..., Opened]]:
    contexts, all_opened = [], []

    def open_page(name: str, state: str = "", **options: Any) -> Opened:
        context = chromium.new_context(**{"viewport": WIDE, "color_scheme": "light", **options})
        contexts.append(context)
        all_opened.append(Opened(context.new_page(), pages))
        return all_opened[-1].open(name, state)

    yield open_page
    wrong = [each for one in all_opened for each in one.wrong]
    for context in contexts:
        context.close()
    assert wrong == []


def test_arrows_and_signs_step(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("Home")
    assert page.step == 0
    assert page.press("ArrowRight", ".", "ArrowRight", ",", "ArrowLeft").step == 1
    last = page.press("End").step
    assert page.press("ArrowRight").step == last
    assert "forward 1 of" in page.press("Home").now


def test_shift_and_arrows_go_to_the_turning_point(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("Home", "Shift+ArrowRight")
    assert page.now.startswith("backward 1 of")
    assert page.press("Shift+ArrowLeft").now.startswith("forward")


def test_up_and_down_follow_the_road(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("Home", "ArrowDown", "ArrowDown", "ArrowDown")
    selected = '.line[aria-selected="true"]'
    assert "layer1.0" in page.page.text_content(selected)
    assert "relu" in page.press("ArrowUp").page.text_content(selected)


def test_n_and_p_find_forks_with_contributions_that_add_up(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("Home", "n")
    assert page.page.inner_text("#step .badge") == "bit-exact"
    foot = page.page.inner_text("#step tfoot")
    assert foot.startswith("together")
    assert foot.split()[-1] == "1.000"
    assert page.count("#step svg.sum rect") == 3
    first = page.step
    assert page.press("n").step > first
    assert page.press("p").step == first


def test_enter_opens_and_closes_a_block(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("Home", "ArrowDown", "ArrowDown", "ArrowDown")
    closed = page.count(".line")
    assert page.press("Enter").count(".line") > closed
    assert page.state["open"].startswith("g")
    assert page.press("Enter").count(".line") == closed


def test_breakpoints_are_set_gone_to_and_removed(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("Home", "ArrowRight", "ArrowRight", "b", "Home", "]")
    assert page.step == 2
    assert page.count("#strip .stops") == 1
    assert page.press("End", "[").step == 2
    page.press("B")
    page.page.select_option("#stop-kind", "share(branch)>")
    page.page.fill("#stop-text", "-9")
    page.page.click("#stop-add")
    page.page.fill("#stop-text", "nonsense")
    page.page.keyboard.press("Enter")
    assert "Type a number" in page.page.inner_text("#stop-wrong")
    assert "share(branch)>-9" in page.page.inner_text("#stop-list")
    page.page.select_option("#stop-kind", "fork")
    page.page.click("#stop-add")
    page.press("Escape")
    assert page.count("#strip .stops") == 4
    assert "stops here" in page.press("]").page.inner_text("#step")
    page.press("B")
    page.page.click("#stop-list button >> nth=0")
    page.page.click("#stop-list button >> nth=0")
    page.press("Escape")
    assert page.count("#strip .stops") == 1
    assert page.press("Home", "]", "b").count("#strip .stops") == 0


def test_go_to_search_and_help_open_and_close(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("g")
    page.page.keyboard.type("5")
    page.press("Enter")
    assert page.step == 4
    page.press("/")
    page.page.keyboard.type("layer3.0.conv2")
    assert page.count("#found button") > 1
    page.press("Enter")
    assert "layer3.0.conv2" in page.now
    page.press("?")
    assert page.page.is_visible("#keys")
    page.press("Escape")
    assert not page.page.is_visible("#keys")
    assert page.press("ArrowLeft").now


def test_space_plays_pauses_and_stops_at_a_breakpoint(opened: Callable[..., Opened]) -> None:
    page = opened("single.html", "#v=1&step=0&bp=2").press(" ")
    page.page.locator("#now", has_text="forward 3").wait_for()
    page.page.wait_for_selector("#play[aria-label=Play]")
    assert page.step == 2
    page.press(" ")
    page.page.wait_for_selector("#play[aria-label=Pause]")
    page.press(" ")
    assert page.page.get_attribute("#play", "aria-label") == "Play"


def test_the_scrubber_goes_to_any_step(opened: Callable[..., Opened]) -> None:
    page = opened("twins.html")
    page.page.fill("#scrub", "7")
    assert page.step == 7
    assert page.page.get_attribute("#scrub", "aria-valuetext") == page.now
    page.page.focus("#scrub")
    assert page.press("ArrowRight").step == 8
    box = page.page.locator("#scrub").bounding_box()
    page.page.mouse.move(box["x"] + 4, box["y"] + 10)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 10, steps=5)
    page.page.mouse.up()
    assert page.step == int(page.page.get_attribute("#scrub", "max"))
    assert page.count("#strip rect.forward") == page.count("#strip rect.backward") == 1


def test_twins_stand_in_lockstep_with_a_slot_for_the_missing_shortcut(
    opened: Callable[..., Opened],
) -> None:
    page = opened("twins.html")
    assert page.count("#step .pane") == 2
    assert page.count("#drawing .arc.absent") == 3
    page.press("Home", "/")
    page.page.keyboard.type("residual_add")
    page.press("Enter", "Enter")
    assert "no shortcut here" in page.page.inner_text("#tree")
    assert "There is no shortcut here" in page.page.inner_text("#step")
    assert page.press("c").count("#step .pane") == 1
    assert page.count("#drawing .arc.absent") == 0
    assert page.state["cmp"] == "0"
    assert page.press("c").count("#step .pane") == 2


def test_compare_on_a_single_trace_says_what_to_do(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("c")
    assert "trace.compare(other)" in page.page.inner_text("#alone")


def test_the_hash_holds_the_state(opened: Callable[..., Opened]) -> None:
    page = opened("twins.html").press("Home", "n", "b", "Enter")
    page.page.select_option("#scale", "lin")
    page.page.select_option("#show", "value-rms")
    page.page.click("#step button.link >> nth=0")
    page.press("d")
    kept, picked = page.page.input_value("#state"), page.state["sel"]
    page.page.wait_for_url(lambda url: url.endswith(kept))
    again = opened("twins.html", kept)
    assert again.page.input_value("#state") == kept
    assert again.count('#step button.link[aria-pressed="true"]') == 1
    assert picked
    assert again.page.evaluate("document.documentElement.dataset.theme") == "dark"
    again.page.evaluate("location.hash = '#v=1&step=3&cmp=0'")
    again.page.locator("#now", has_text="forward 4").wait_for()
    assert again.state["cmp"] == "0"


def test_d_changes_the_theme_and_f_fits_the_road(opened: Callable[..., Opened]) -> None:
    page = opened("single.html", color_scheme="dark")
    theme = "document.documentElement.dataset.theme"
    assert page.page.evaluate(theme) == "dark"
    page.press("d")
    assert page.page.evaluate(theme) == "light"
    page.page.click("#unfold")
    many = page.count(".line")
    assert page.press("f").count(".line") < many


def test_lines_answer_to_the_mouse(opened: Callable[..., Opened]) -> None:
    page = opened("single.html")
    page.page.click('.line:has-text("layer2.0")')
    assert "layer2.0" in page.now
    before = page.count(".line")
    page.page.click('.line:has-text("layer2.0") .caret')
    assert page.count(".line") > before
    page.page.click(".chart .hit >> nth=0")
    assert "backward 1 of" in page.now


def test_spelled_out_ops_fold_under_one_line(opened: Callable[..., Opened]) -> None:
    page = opened("spelled.html")
    page.page.click("#unfold")
    folds = page.count('.line[id^="line-f"]')
    assert folds > 0
    page.page.click('.line[id^="line-f"] .caret >> nth=0')
    assert "matmul" in page.page.inner_text("#tree")


def test_every_picture_has_a_table(opened: Callable[..., Opened]) -> None:
    page = opened("twins.html").press("n")
    page.page.click("#road-table summary")
    page.page.wait_for_selector("#road-table table")
    assert page.count("#road-table tbody tr") == page.count(".line")
    for summary in page.page.locator(".thumbs summary").all():
        summary.click()
        summary.locator("xpath=../div").wait_for()
    assert page.count(".thumbs table") == page.count(".thumbs canvas") > 0
    assert page.count(".figure svg[role=img]") > page.count(".figure details") >= 4
    assert page.count("#step svg.sum") <= page.count("#step table")


FOCUSED = "document.activeElement.dataset.id || document.activeElement.id"


def test_the_keyboard_stays_where_it_is_when_the_inspector_is_drawn_anew(
    opened: Callable[..., Opened],
) -> None:
    page = opened("single.html").press("Home", "ArrowDown", "ArrowDown")
    page.page.focus("#step button.link >> nth=1")
    link = page.page.evaluate(FOCUSED)
    page.press("Enter")
    assert page.count('#step button.link[aria-pressed="true"]') >= 1
    assert page.page.evaluate(FOCUSED) == link
    page.press("Enter", "ArrowRight")
    assert page.page.evaluate("document.activeElement.closest('#step') !== null")
    page.page.focus(".thumbs summary >> nth=0")
    page.press("Enter")
    page.page.wait_for_selector(".thumbs table")
    page.press("ArrowRight")
    assert page.page.evaluate(FOCUSED) == "0 value head"
    assert page.count(".thumbs details[open] table") == 1


def test_the_keyboard_stays_in_the_quiz(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("q")
    page.page.focus("text=Next question")
    page.press("Enter")
    assert page.page.evaluate(FOCUSED) == "choice 0"
    page.press("Enter")
    assert page.page.evaluate(FOCUSED) == "next"
    page.press("Enter")
    assert page.page.evaluate(FOCUSED) == "choice 0"


def test_sentence_line_and_table_tell_of_one_backward_pass(opened: Callable[..., Opened]) -> None:
    page = opened("passes.html").press("Home", "n")
    for number, norm in ((0, "2.12"), (1, "4.24")):
        assert f"pass {number}, mul. gradient norm {norm}" in page.now
        line = page.page.text_content('.line[aria-selected="true"]')
        assert f"gradient norm, pass {number} {norm}" in line
        statistics = page.page.locator('#step table:has-text("Statistics of mul")')
        assert f"gradient, pass {number}" in statistics.locator("thead").inner_text()
        assert statistics.locator("tbody tr >> nth=0").inner_text().split()[-1] == norm
        assert page.count("#step canvas") == 1 + number
        page.press("n")


def test_beside_a_network_without_backward_the_page_says_so(opened: Callable[..., Opened]) -> None:
    page = opened("half.html").press("n")
    assert "Backward has not run" in page.page.inner_text("#step .pane >> nth=1")
    assert "backward has not run" in page.now


@pytest.mark.parametrize("width", [1560, 1440, 1300, 1100, 390])
def test_what_stands_side_by_side_does_not_overlap(
    opened: Callable[..., Opened], width: int
) -> None:
    page = opened("twins.html", viewport={"width": width, "height": 900})
    page.picture(f"twins-{width}.png")
    wide = (
        "[...document.querySelectorAll('.panes > *')]"
        ".filter((pane) => pane.scrollWidth > pane.clientWidth).length"
    )
    assert page.page.evaluate(wide) == 0


def test_the_learner_predicts_and_keeps_score(opened: Callable[..., Opened]) -> None:
    page = opened("single.html").press("q")
    assert not page.page.is_visible("#gains-title")
    assert page.count("#drawing .dot") <= 1
    page.page.click("text=Next question")
    assert "yours to predict" in page.now
    assert "Shown when you have answered" in page.page.inner_text("#step")
    page.press("1")
    assert "of 1" in page.page.inner_text("#quiz-title")
    assert page.page.inner_text("#quiz .prose").startswith(("Yes.", "No."))
    page.page.click("text=Next question")
    page.page.click("#quiz .choices button >> nth=1")
    assert "of 2" in page.page.inner_text("#quiz-title")
    page.picture("predict.png")
    assert page.press("q").page.is_visible("#gains-title")


def test_without_backward_the_page_says_so(opened: Callable[..., Opened]) -> None:
    page = opened("forward.html")
    assert "Backward has not run inside the with-block" in page.page.inner_text("#notice")
    assert "loss.backward()" in page.page.inner_text(".figure >> nth=0")
    page.press("n", "p", "Shift+ArrowRight", "ArrowUp", "ArrowDown", "q", "q")
    assert "there is no gradient" in page.page.inner_text("#step")


def test_of_nothing_the_page_says_so_and_no_key_breaks_it(opened: Callable[..., Opened]) -> None:
    page = opened("nothing.html")
    assert "Nothing was recorded" in page.page.inner_text("#notice")
    page.press("ArrowRight", "ArrowUp", "n", "]", "b", "f", "d", " ", "Enter", "q", "c", "Escape")
    page.press("B", "Escape", "/", "x", "Escape", "End")


def test_nan_and_zero_are_shown_as_such(opened: Callable[..., Opened]) -> None:
    page = opened("nan.html")
    page.page.select_option("#show", "value")
    assert "NaN" in page.page.text_content("#drawing")
    page.page.select_option("#show", "gradient")
    assert "0" in page.page.text_content("#drawing")
    page.picture("nan.png")


def test_in_a_frame_the_state_is_text(chromium: Any, pages: Path, tmp_path: Path) -> None:
    trace = recorded(mr.models.cifar_resnet(8, width=4))
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html>{frame_of([trace])}", "utf-8")
    context = chromium.new_context(viewport=WIDE)
    one = Opened(context.new_page(), tmp_path)
    one.page.goto((tmp_path / "notebook.html").as_uri())
    frame = one.page.frame_locator("iframe")
    frame.locator("#tree").press("Home")
    frame.locator("text=This frame has no address").wait_for()
    assert "step=0" in frame.locator("#state").input_value()
    frame.locator("#state").fill("#v=1&step=4")
    frame.locator("#state").press("Enter")
    frame.locator("text=forward 5 of").first.wait_for()
    context.close()
    assert one.wrong == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("device", "viewport"), [("wide", WIDE), ("phone", PHONE)])
@pytest.mark.parametrize("name", ["single", "twins"])
def test_nothing_sticks_out_of_the_page(
    opened: Callable[..., Opened], name: str, device: str, viewport: dict[str, int], theme: str
) -> None:
    page = opened(f"{name}.html", viewport=viewport, color_scheme=theme).press("Enter")
    page.picture(f"{name}-{device}-{theme}.png")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.press("Home").picture(f"{name}-{device}-{theme}-forward.png")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize("name", ["dense", "inception", "segmenter"])
def test_of_a_long_name_the_end_is_seen(opened: Callable[..., Opened], name: str) -> None:
    page = opened(f"{name}.html", viewport={"width": 480, "height": 900})
    ends = """[...document.querySelectorAll('.cell .name')].map((span) => {
        const [box, text] = [span, span.firstChild].map((each) => each.getBoundingClientRect());
        return [text.left - box.left, text.right - box.right];
    })"""
    found = page.page.evaluate(ends)
    assert any(left < -1 for left, _ in found)
    assert all(right < 1 for _, right in found)


@pytest.mark.parametrize("width", [1400, 480, 390])
@pytest.mark.parametrize("name", ["dense", "inception", "segmenter", "twins"])
def test_arcs_and_headings_are_whole(opened: Callable[..., Opened], name: str, width: int) -> None:
    page = opened(f"{name}.html", viewport={"width": width, "height": 900}).press("p", "n")
    page.picture(f"{name}-{width}.png")
    arcs = "[...document.querySelectorAll('#drawing .arc')].map((arc) => arc.getBBox().x)"
    assert min(page.page.evaluate(arcs)) > 1
    lines = (
        "[...document.querySelectorAll('#step thead th')]"
        ".filter((head) => head.clientHeight > 40).map((head) => head.textContent)"
    )
    assert page.page.evaluate(lines) == []


@pytest.mark.parametrize(("name", "sides"), [("segmenter", 2), ("dense", 0)])
def test_the_legend_names_the_sides_where_there_are_any(
    opened: Callable[..., Opened], name: str, sides: int
) -> None:
    page = opened(f"{name}.html")
    assert page.page.locator(".for-sides:visible").count() == sides


@pytest.mark.parametrize("width", [1440, 1100, 390])
def test_names_of_any_length_stay_inside(
    opened: Callable[..., Opened], pages: Path, width: int
) -> None:
    traces = twins(8)
    for trace in traces:
        trace.path_spectrum()
        records = trace.records
        records.title = records.error = "W" * 200
        for value in records.values:
            value.name = "value" * 30
        for step in records.forward:
            step.module = step.source = "module" * 30
            step.op += "op" * 30
            step.constants = {"key" * 20: "constant" * 20}
    write_page(traces, pages / "long.html", ["left" * 30, "right" * 30])
    write_page(traces[:1], pages / "long-alone.html")
    for name in ("long.html", "long-alone.html"):
        page = opened(name, viewport={"width": width, "height": 900})
        page.picture(f"{name}-{width}.png")
        for key in ("n", "Home", "Enter", "q"):
            page.press(key)
            assert page.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which npm fetches into a folder of its own."""
    npm = shutil.which("npm")
    if npm is None:
        missing_browser("npm is not installed; it fetches axe-core, which looks for barriers")
    folder = tmp_path_factory.mktemp("axe")
    ran = subprocess.run(
        [npm, "install", "--silent", "--no-audit", "--prefix", str(folder), "axe-core@4"],
        capture_output=True,
        text=True,
        check=False,
    )
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.is_file():
        missing_browser(f"npm could not fetch axe-core: {ran.stderr[-300:]}")
    return source.read_text("utf-8")


VIEWS = {
    "at a fork": ("n",),
    "forward": ("Home",),
    "opened": ("Enter",),
    "predicting": ("q",),
    "keys": ("?",),
    "breakpoints": ("b", "B"),
    "search": ("/",),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "views"),
    [("single", VIEWS), ("twins", VIEWS), ("forward", ["forward"]), ("nothing", ["forward"])],
)
def test_axe_finds_no_serious_barrier(
    opened: Callable[..., Opened], axe: str, name: str, views: Iterable[str], theme: str
) -> None:
    found = {}
    for view in views:
        page = opened(f"{name}.html", color_scheme=theme).press(*VIEWS[view])
        page.page.evaluate(
            "for (const each of document.querySelectorAll('details')) each.open = true"
        )
        page.page.evaluate(axe)
        result = page.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        grave = [v for v in result["violations"] if v["impact"] in ("serious", "critical")]
        if grave:
            found[view] = [
                f"{v['id']}: {html.unescape(node['html'])[:160]} {node['failureSummary'][:200]}"
                for v in grave
                for node in v["nodes"][:3]
            ]
    assert found == {}
