from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import minires as mr
from minires.trace import Trace
from minires.trace.views.lines import Lines
from minires.trace.views.page import SCRIPTS, frame_of, page_of, write_page
from minires.trace.views.page_data import data_of
from tests.trace.pages import (
    for_breakpoints,
    nested,
    of_architectures,
    recorded,
    twins,
    two_passes,
)

NASTY = [
    '</script><script>alert("1")</script>',
    "<!-- <b>",
    "a \"quoted\" & 'q' name",
    "größe-层-\U0001d518",
    "{{data}}",
]


@pytest.fixture(scope="module")
def pair() -> tuple[Trace, Trace]:
    left, right = twins(8)
    left.path_spectrum()
    right.path_spectrum()
    return left, right


@pytest.fixture(scope="module")
def page(pair: tuple[Trace, Trace]) -> str:
    return page_of(pair)


def data_in(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


class Elements(HTMLParser):
    """Collects all elements of a page with their attributes, and the texts of scripts and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style") and data.strip():
            self.code.append((*self.elements[-1], data))


def policy_of(page: str) -> str:
    for tag, attributes in Elements(page).elements:
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy":
            return attributes["content"] or ""
    raise AssertionError("the page has no content security policy")


def test_the_page_asks_for_nothing_outside_of_itself(page: str) -> None:
    for tag, attributes in Elements(page).elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "action", "srcset", "data"} & attributes.keys()
    assert "url(" not in page
    assert "@import" not in page
    # The one address there is names the language of the drawings.
    addresses = set(re.findall(r"\w+://[^\s\"'<]*", page))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_the_policy_allows_these_scripts_and_this_style_and_nothing_else(page: str) -> None:
    code = Elements(page).code
    hashes = {"script": set(), "style": set()}  # type: dict[str, set[str]]
    for tag, attributes, text in code:
        if attributes.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            hashes[tag].add(f"'sha256-{digest}'")
    rules = dict(rule.strip().split(" ", 1) for rule in policy_of(page).split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules["script-src"].split()) == hashes["script"]
    assert set(rules["style-src"].split()) == hashes["style"]
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def test_no_element_has_a_style_attribute_or_a_handler(page: str) -> None:
    for _, attributes in Elements(page).elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]


def test_names_from_outside_stay_text(pair: tuple[Trace, Trace]) -> None:
    trace = recorded(mr.models.cifar_resnet(8, width=4))
    plain = len(Elements(page_of([trace])).elements)
    records = trace.records
    records.title = NASTY[0]
    for value, name in zip(records.values, NASTY * len(records.values), strict=False):
        value.name = name
    for step, name in zip(records.forward, NASTY * len(records.forward), strict=False):
        step.source = step.op = step.module = name
    records.error = NASTY[0]
    page = page_of([trace])
    read = data_in(page)
    assert {value["name"] for value in read["panes"][0]["values"]} == set(NASTY)
    assert read["panes"][0]["error"] == NASTY[0]
    assert "<script>alert" not in page
    scripts = [e for e in Elements(page).elements if e[0] == "script"]
    assert len(scripts) == 1 + len(SCRIPTS)
    assert plain > 0


def test_numbers_that_are_not_finite_are_told_as_such() -> None:
    x = mr.tensor([1.0, -1.0], requires_grad=True)
    with mr.trace.record() as trace:
        mr.ops.sum(mr.ops.log(x)).backward()
    (pane,) = data_of([trace])["panes"]
    assert any(value.get("stats", [0])[0] == "NaN" for value in pane["values"])
    page_of([trace])


@pytest.mark.parametrize("factor", [5e-324, 1e-320, 1e300, 1.7e308])
def test_the_ends_of_the_numbers_that_there_are_make_a_page(factor: float) -> None:
    x = mr.tensor([1.0, -1.0], dtype="float64", requires_grad=True)
    with mr.trace.record() as trace:
        mr.ops.residual_add(x * factor, x).sum().backward()
    trace.path_spectrum()
    page_of([trace])


def test_a_number_that_would_be_rounded_past_the_largest_stays_as_it_is() -> None:
    x = mr.tensor([1.0], dtype="float64", requires_grad=True)
    with mr.trace.record() as trace:
        (x * sys.float_info.max).sum().backward()
    page_of([trace])


def test_the_time_line_of_twins_pairs_their_common_steps(pair: tuple[Trace, Trace]) -> None:
    data = data_of(pair)
    left, right = (trace.records for trace in pair)
    for kind, _, a, b in data["ticks"]:
        if a is not None and b is not None:
            steps = (left.forward[a], right.forward[b]) if kind == 0 else None
            names = [
                r.values[
                    (r.backward if kind else r.forward)[s].value if kind else r.forward[s].output
                ].name
                for r, s in ((left, a), (right, b))
            ]
            assert names[0] == names[1]
            assert steps is None or steps[0].op == steps[1].op
    for side, records in enumerate((left, right)):
        seen = [(kind, tick[side]) for kind, _, *tick in data["ticks"] if tick[side] is not None]
        assert seen == [(int(kind == "backward"), index) for kind, index in records.steps]


def test_every_fork_carries_shares_that_add_up_to_one(pair: tuple[Trace, Trace]) -> None:
    (pane, plain) = data_of(pair)["panes"]
    forks = [step for step in pane["backward"] if "parts" in step]
    assert len(forks) == 3
    assert not [step for step in plain["backward"] if "parts" in step]
    for fork in forks:
        assert {part["side"] for part in fork["parts"]} == {"shortcut", "branch"}
        assert math.isclose(sum(part["share"] for part in fork["parts"]), 1, abs_tol=2e-6)


def test_a_fork_is_told_of_at_the_addition_that_it_serves_as_in_the_table(
    pair: tuple[Trace, Trace],
) -> None:
    data = data_of(pair[:1])
    (pane,) = data["panes"]
    told = {
        fork["row"]: {side: fork[side] for side in ("shortcut", "branch")} for fork in pane["forks"]
    }
    lines = [line for line in Lines(pair[:1], expand=True).lines if line.kind == "step"]
    table = {
        line.rows.start: {side: cell.share(side) for side in ("shortcut", "branch")}
        for line in lines
        for cell in line.cells
        if cell is not None and cell.fork is not None
    }
    assert told.keys() == table.keys()
    for row, shares in told.items():
        assert pane["forward"][data["rows"][row][0]]["join"]
        assert shares == pytest.approx(table[row], rel=1e-5)


def test_a_fork_that_serves_no_addition_is_told_of_where_it_is() -> None:
    x = mr.tensor([3.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = x * 2.0
        (y * y).sum().backward()
        (x * x).sum().backward()
    data = data_of([trace])
    (pane,) = data["panes"]
    forks = [step for step in pane["backward"] if "parts" in step]
    names = [pane["values"][fork["value"]]["name"] for fork in forks]
    assert names == ["mul", "input 0"]
    assert pane["forks"] == [{"row": 0, "value": forks[0]["value"]}]


def test_a_leaf_that_forks_is_not_told_of_at_a_row_of_the_other_trace() -> None:
    traces = []
    for factor in (None, 2.0):
        x = mr.tensor([3.0], requires_grad=True)
        with mr.trace.record() as trace:
            y = x if factor is None else mr.ops.exp(x) / factor
            (y * y).sum().backward()
        traces.append(trace)
    left, _ = data_of(traces)["panes"]
    assert [len(step["parts"]) for step in left["backward"] if "parts" in step] == [2]
    assert left["forks"] == []


def test_of_nested_additions_the_nearest_names_the_side_and_all_are_told() -> None:
    data = data_of([nested()])
    (pane,) = data["panes"]
    (fork,) = [step for step in pane["backward"] if "roles" in (step.get("parts") or [{}])[0]]
    joins = [i for i, step in enumerate(pane["forward"]) if "join" in step]
    told = {(part["side"], *map(tuple, part["roles"])) for part in fork["parts"]}
    inner, outer = joins
    assert ("shortcut", ("shortcut", inner), ("branch", outer)) in told
    assert ("shortcut", ("shortcut", outer)) in told
    assert ("branch", ("branch", inner), ("branch", outer)) in told
    seen = {data["rows"][each["row"]][0]: each for each in pane["forks"]}
    assert seen[inner]["sides"] == [None, "shortcut", "branch"]
    assert seen[outer]["sides"] == ["shortcut", "branch", "branch"]
    around, beside, within = (part["share"] for part in fork["parts"])
    assert (seen[inner]["shortcut"], seen[inner]["branch"]) == (beside, within)
    assert seen[outer]["shortcut"] == around
    assert seen[outer]["branch"] == pytest.approx(beside + within, abs=2e-6)


def test_each_backward_pass_has_its_own_numbers() -> None:
    trace = two_passes()
    (pane,) = data_of([trace])["panes"]
    runs = {step.get("run", 0) for step in pane["backward"]}
    assert runs == {0, 1}
    shared = [step for step in pane["backward"] if step["value"] == 0]
    first, second = shared
    # The last pass' summary stands at the value, and is not told twice.
    assert "run" not in first
    assert "stats" in first
    assert second["run"] == 1
    assert "stats" not in second
    assert pane["values"][0]["gradient"][0] == pytest.approx(2 * first["stats"][0])


def test_only_steps_of_the_same_backward_pass_are_one_tick() -> None:
    traces = []
    for passes in (["first"], ["second", "first"]):
        x = mr.tensor([3.0, 4.0], requires_grad=True)
        with mr.trace.record() as trace:
            losses = {"first": (x * 2.0).sum(), "second": (x * 3.0).sum()}
            for name in passes:
                losses[name].backward()
        traces.append(trace)
    data = data_of(traces)
    both = [tick for tick in data["ticks"] if None not in tick]
    assert {kind for kind, *_ in both} == {0}
    assert len(both) == 4


def test_a_loaded_trace_makes_the_same_page(tmp_path: Path) -> None:
    trace = two_passes()
    trace.save(tmp_path / "t.trace")
    assert data_of([mr.trace.load(tmp_path / "t.trace")]) == data_of([trace])


def test_only_what_requires_a_gradient_is_tracked_and_hooks_are_told_of() -> None:
    x, w = mr.tensor([1.0, 2.0]), mr.tensor([3.0, 4.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = x * w
        y.register_hook(lambda gradient: gradient * 2.0)
        y.sum().backward()
    (pane,) = data_of([trace])["panes"]
    tracked = {value["name"]: "tracked" in value for value in pane["values"]}
    assert tracked["input 0"] is False
    assert tracked["mul"] is True
    hooked = [
        pane["values"][step["value"]]["name"] for step in pane["backward"] if "hooked" in step
    ]
    assert hooked == ["mul"]


def test_the_gradient_of_a_leaf_stands_at_its_first_use() -> None:
    w = mr.tensor([3.0, 4.0], requires_grad=True)
    with mr.trace.record() as trace:
        ((w * 2.0) * w).sum().backward()
    data = data_of([trace])
    (pane,) = data["panes"]
    (row,) = [
        row
        for kind, row, index in data["ticks"]
        if kind == 1 and pane["values"][pane["backward"][index]["value"]]["name"] == "input 0"
    ]
    assert row == 0


def test_two_traces_of_one_model_are_called_by_what_differs(pair: tuple[Trace, Trace]) -> None:
    data = data_of(pair)
    assert [pane["name"] for pane in data["panes"]] == ["residual", "plain"]
    assert data["title"] == "CifarResNet, residual and plain"
    assert [p["name"] for p in data_of([pair[0], pair[0]])["panes"]] == ["left", "right"]


def test_only_one_or_two_traces_make_a_page(pair: tuple[Trace, Trace]) -> None:
    with pytest.raises(ValueError, match="one trace, or two"):
        page_of([])
    with pytest.raises(ValueError, match="one trace, or two"):
        page_of([pair[0]] * 3)
    with pytest.raises(ValueError, match="1 names for 2 traces"):
        page_of(pair, ["alone"])


def test_the_figures_are_there_with_their_tables(page: str, pair: tuple[Trace, Trace]) -> None:
    for gain in pair[0].gains():
        assert f"<td>{gain.block}</td>" in page or f'<th scope="row">{gain.block}</th>' in page
    assert page.count("Path spectrum at ") >= 2


def test_a_trace_without_backward_says_so() -> None:
    with mr.trace.record() as trace:
        mr.tensor([1.0], requires_grad=True) * 2
    page = page_of([trace])
    assert page.count("Backward has not run inside the with-block") >= 2


def test_a_trace_of_nothing_still_makes_a_page() -> None:
    with mr.trace.record() as trace:
        pass
    data = data_in(page_of([trace]))
    assert data["rows"] == data["ticks"] == []


def test_a_spectrum_that_was_not_computed_says_how(pair: tuple[Trace, Trace]) -> None:
    page = page_of([recorded(mr.models.cifar_resnet(8, width=4))])
    assert "<code>trace.path_spectrum()</code>" in page
    assert "<code>--spectrum</code>" in page


def test_without_additions_there_is_no_spectrum_to_compute() -> None:
    page = page_of([recorded(mr.models.cifar_plain(8, width=4))])
    assert "no path crosses a branch" in page
    assert "--spectrum" not in page


def test_the_file_is_written_whole(pair: tuple[Trace, Trace], tmp_path: Path) -> None:
    pair[0].to_html(tmp_path / "one.html")
    pair[0].compare(pair[1]).to_html(tmp_path / "two.html")
    write_page(pair, tmp_path / "again.html")
    assert (tmp_path / "one.html").read_text("utf-8") == page_of(pair[:1])
    assert (tmp_path / "two.html").read_text("utf-8") == page_of(pair)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "again.html",
        "one.html",
        "two.html",
    ]


def test_a_notebook_gets_the_same_page_in_a_frame(pair: tuple[Trace, Trace]) -> None:
    frame = pair[0]._repr_html_()
    ((tag, attributes),) = Elements(frame).elements
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"] == page_of(pair[:1])
    assert "style" not in attributes
    assert html.unescape(frame_of(pair)).count("<!DOCTYPE html>") == 1
    assert pair[0].compare(pair[1])._repr_html_() == frame_of(pair)


def test_the_assets_stay_small_and_are_installed() -> None:
    folder = resources.files("minires.trace.views") / "assets"
    assets = {path.name: len(path.read_bytes()) for path in folder.iterdir() if path.is_file()}
    assert set(SCRIPTS) | {"viewer.css", "viewer.html"} == assets.keys()
    # Every page carries them whole: about as much as the records of one small network take.
    assert sum(assets.values()) <= 96 * 1024


@pytest.mark.long
def test_resnet_56_beside_its_twin_with_pictures_is_below_two_megabytes() -> None:
    page = page_of(twins(56, width=16, size=32))
    assert len(page.encode()) < 2_000_000


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        if os.environ.get("MINIRES_REQUIRE_BROWSER"):
            pytest.fail("MINIRES_REQUIRE_BROWSER is set, but there is no node; install nodejs")
        pytest.skip("node is not installed; it runs the tests of the page's logic")
    return found


def shares_in_the_table(trace: Trace, expand: bool) -> list[Any]:
    """For each line that a fork is told of on: its rows, the shares of both sides, the uses."""
    found = []
    for line in Lines([trace], expand).lines:
        (cell,) = line.cells
        if line.kind == "head" or cell is None or cell.fork is None:
            continue
        shares = [cell.share(side) for side in ("shortcut", "branch")]
        rounded = [None if share is None else float(f"{share:.6g}") for share in shares]
        found.append([line.rows[0], line.rows[-1], *rounded, len(cell.fork.parts)])
    return found


@pytest.fixture(scope="module")
def traces_for_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    with mr.expand("conv2d"):
        spelled_out = recorded(mr.models.cifar_resnet(8, width=4), save="summary")
    x = mr.tensor([3.0], requires_grad=True)
    with mr.trace.record() as second_order:
        (x * x * x).sum().backward(create_graph=True)
    x = mr.tensor([3.0, 4.0], requires_grad=True)
    with mr.trace.record() as forward_only:
        mr.ops.residual_add(x * 1.0, x * 0.5).sum()
    cases = {
        "single": twins(8)[:1],
        "twins": twins(8),
        "spelled": [spelled_out],
        "second": [second_order],
        "spectrum": twins(14, save="summary"),
        "passes": [two_passes()],
        "half": [two_passes(), forward_only],
    }
    data = {name: data_of(traces) for name, traces in cases.items()}
    traces = of_architectures()
    data["architectures"] = {name: data_of([trace]) for name, trace in traces.items()}
    data["tables"] = {
        name: [shares_in_the_table(trace, expand) for expand in (False, True)]
        for name, trace in traces.items()
    }
    data["ways"] = {name: Lines([trace]).ways(0) for name, trace in traces.items()}
    data["breakpoints"] = {name: data_of([trace]) for name, trace in for_breakpoints().items()}
    (folder / "traces.json").write_text(json.dumps(data))
    return folder / "traces.json"


def test_the_logic_of_the_page_holds_without_a_document(node: str, traces_for_node: Path) -> None:
    assets = resources.files("minires.trace.views") / "assets"
    ran = subprocess.run(
        [node, "--test", str(Path(__file__).with_name("viewer_logic.test.cjs"))],
        env={**os.environ, "VIEWER_ASSETS": str(assets), "VIEWER_TRACES": str(traces_for_node)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
