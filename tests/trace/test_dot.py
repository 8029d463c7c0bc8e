"""The graph in Graphviz's language: every name quoted, every use an edge, shortcuts dashed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.trace.views.dot import quoted

TOKEN = re.compile(
    r'\s+|(?P<string>"(?:[^"\\]|\\.)*")|(?P<name>[A-Za-z_]\w*)|(?P<sign>->|[{}\[\];,=])', re.DOTALL
)


def tokens(text: str) -> list[str]:
    """Split DOT as its grammar does; fail at what belongs to no token."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, f"no token at {text[at : at + 40]!r}"
        at = match.end()
        if match.lastgroup:
            found.append(match[match.lastgroup])
    return found


def statements(text: str) -> list[list[str]]:
    """The statements of a graph, in whatever cluster; braces must match."""
    depth, found = 0, [[]]
    for token in tokens(text):
        depth += (token == "{") - (token == "}")
        assert depth >= 0
        if token in ("{", "}", ";"):
            found.append([])
        else:
            found[-1].append(token)
    assert depth == 0
    return [statement for statement in found if statement]


@pytest.fixture(scope="module")
def trace():
    model = mr.models.cifar_resnet(depth=8)
    with mr.trace.record(model) as trace:
        mr.ops.cross_entropy(model(mr.randn(2, 3, 8, 8)), mr.tensor([1, 2])).backward()
    return trace


def test_every_step_is_a_node_and_every_use_an_edge(trace):
    found = statements(trace.to_dot())
    nodes = {s[0] for s in found if len(s) > 1 and s[1] == "["}
    edges = [(s[0], s[2]) for s in found if len(s) > 2 and s[1] == "->"]
    steps = trace.records.forward
    assert {f"f{step.index}" for step in steps} <= nodes
    assert len(edges) == sum(o.value is not None for step in steps for o in step.operands)
    assert {end for edge in edges for end in edge} <= nodes


def test_blocks_are_clusters_and_shortcuts_are_dashed(trace):
    text = trace.to_dot()
    assert re.search(r'subgraph cluster\d+ \{\s+label="layer1\.0";', text)
    dashed = [line for line in text.splitlines() if 'style="dashed"' in line]
    joins = {f"f{join}" for join in trace.structure.joins}
    assert {line.split()[2] for line in dashed} >= joins
    assert len([line for line in text.splitlines() if 'label="branch"' in line]) == len(joins)


@given(name=st.text(max_size=20) | st.text('"\\&;<>{}\n', max_size=8))
def test_any_name_stays_between_its_quotes_and_is_shown_letter_by_letter(name):
    (token,) = tokens(quoted(name))
    shown = token[1:-1].replace('\\"', '"').replace("\\\\", "\\").replace("&amp;", "&")
    assert "&" not in token.replace("&amp;", "")
    if name.isprintable():
        assert shown == name


def test_hostile_titles_and_modules_do_not_break_the_graph():
    class Evil(mr.nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module('a"];evil[x="\\', mr.nn.Linear(2, 2))

        def forward(self, x):
            return next(self.children())(x)

    Evil.__name__ = '"}\nevil->graph\\'
    model = Evil()
    with mr.trace.record(model) as trace:
        model(mr.randn(1, 2)).sum().backward()
    assert all(token != "evil" for token in tokens(trace.to_dot()))


def test_a_trace_of_nothing_is_an_empty_graph():
    with mr.trace.record() as trace:
        pass
    assert statements(trace.to_dot())[0] == ["digraph", '"trace"']


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz's dot is not installed")
def test_graphviz_reads_it(trace):
    subprocess.run(["dot", "-Tsvg"], input=trace.to_dot().encode(), check=True, capture_output=True)
