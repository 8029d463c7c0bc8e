from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import minires as mr
from minires.trace.breakpoints import Breakpoint, next_hit
from tests.trace.pages import for_breakpoints


def _recorded(model=None, **options):
    mr.manual_seed(0)
    model = model or mr.models.cifar_resnet(8, shortcut="B", width=4)
    with mr.trace.record(model, **options) as trace:
        loss = mr.ops.cross_entropy(model(mr.randn(2, 3, 8, 8)), mr.tensor(np.array([1, 2])))
        loss.backward()
    return trace


@pytest.fixture(scope="module")
def trace():
    return _recorded()


def _hits(trace, text):
    stop = Breakpoint.parse(text)
    return [n for n in range(len(trace.records.steps)) if stop.hits(trace, n)]


def _backward(trace, number):
    kind, index = trace.records.steps[number]
    assert kind == "backward"
    return trace.records.backward[index]


@pytest.mark.parametrize("text", ["norm<0.08", "norm > 0.5"])
def test_norm_stops_at_exactly_the_gradients_of_such_a_norm(trace, text):
    limit = float(text.strip("norm <>"))
    expected = {
        step.index
        for step in trace.records.backward
        if (step.stats.norm < limit if "<" in text else step.stats.norm > limit)
    }
    assert {_backward(trace, n).index for n in _hits(trace, text)} == expected != set()


def test_fork_stops_where_contributions_are_summed(trace):
    stops = [_backward(trace, n) for n in _hits(trace, "fork")]
    assert [len(step.parts) for step in stops] == [2, 2, 2]


def test_shares_of_both_sides_are_compared_one_by_one(trace):
    fork = next(
        s
        for s in trace.records.backward
        if "shortcut" in [p.edge for p in s.parts] and len(s.parts) == 2
    )
    shortcut, branch = sorted(fork.parts, key=lambda part: part.edge != "shortcut")
    for side, share in (("shortcut", shortcut.share), ("branch", branch.share)):
        just_below, just_above = share - 1e-9, share + 1e-9
        over = [_backward(trace, n).index for n in _hits(trace, f"share({side})>{just_below!r}")]
        assert fork.index in over
        over = [_backward(trace, n).index for n in _hits(trace, f"share({side})>{just_above!r}")]
        assert fork.index not in over


def test_a_side_that_starts_with_a_projection_counts_as_well(trace):
    assert len(_hits(trace, "share(shortcut)>-100")) == 3


def test_a_value_that_does_not_fork_has_no_share(trace):
    assert not _hits(_recorded(mr.models.cifar_plain(8, width=4)), "share(branch)>-100")


def test_at_stops_where_a_module_is_entered_by_either_pass(trace):
    records = trace.records
    forward, backward = _hits(trace, "at:layer2.0")
    assert records.steps[forward][0] == "forward"
    assert records.forward[records.steps[forward][1]].op == "conv2d"
    assert records.forward[records.steps[forward][1]].module == "layer2.0.conv1"
    value = records.values[_backward(trace, backward).value]
    assert value.name == "layer2.0.relu/relu:2"
    assert records.forward[value.op].index == max(
        step.index for step in records.forward if step.module.startswith("layer2.0")
    )


def test_at_stops_at_a_value_and_at_the_gradient_of_a_parameter(trace):
    (number,) = _hits(trace, "at:layer1.0.conv1.weight")
    value = trace.records.values[_backward(trace, number).value]
    assert value.name == "layer1.0.conv1.weight"
    assert len(_hits(trace, "at:layer1.0/residual_add")) == 2


def test_at_takes_no_module_for_another_that_begins_alike():
    trace = _recorded(_Eleven())
    paths = {
        trace.records.forward[index].module
        for kind, index in (trace.records.steps[n] for n in _hits(trace, "at:layers.1"))
        if kind == "forward"
    }
    assert paths == {"layers.1"}


class _Eleven(mr.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = mr.nn.ModuleList([mr.nn.Linear(192, 192) for _ in range(11)])

    def forward(self, x):
        x = x.reshape(len(x), -1)
        for layer in self.layers:
            x = layer(x)
        return x


def test_nan_stops_first_at_the_step_that_made_it():
    x = mr.tensor([-1.0, 4.0], requires_grad=True)
    with mr.trace.record() as trace, np.errstate(all="ignore"):
        y = x * 1.0
        mr.ops.sqrt(y).sum().backward()
    first = next_hit(trace, [Breakpoint.parse("nan")], -1)
    assert trace.records.forward[trace.records.steps[first][1]].op == "sqrt"


def test_next_hit_walks_both_ways_and_leaves_out_where_it_starts(trace):
    stops = [Breakpoint.parse("fork")]
    numbers = _hits(trace, "fork")
    assert next_hit(trace, stops, -1) == numbers[0]
    assert next_hit(trace, stops, numbers[0]) == numbers[1]
    assert next_hit(trace, stops, numbers[1], direction=-1) == numbers[0]
    assert next_hit(trace, stops, numbers[0], direction=-1) is None
    assert next_hit(trace, stops, numbers[-1]) is None
    assert next_hit(trace, stops, 10**6, direction=-1) == numbers[-1]
    assert next_hit(trace, [], -1) is None


def test_several_breakpoints_stop_at_the_earliest(trace):
    both = [Breakpoint.parse("fork"), Breakpoint.parse("at:layer2.0")]
    assert next_hit(trace, both, -1) == _hits(trace, "at:layer2.0")[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("norm<", "norm<1e-3"),
        ("norm<small", "no number"),
        ("norm<nan", "no number"),
        ("share(skip)>0.5", "'shortcut' and 'branch'"),
        ("at:", "names no place"),
        ("forks", "did you mean 'fork'"),
        ("", "unknown breakpoint ''"),
        ("norm==1", "unknown breakpoint"),
    ],
)
def test_what_is_no_breakpoint_is_refused_with_advice(text, told):
    with pytest.raises(ValueError, match="breakpoint") as caught:
        Breakpoint.parse(text)
    assert told in str(caught.value)


def test_a_place_that_the_trace_does_not_have_is_named_with_its_neighbours(trace):
    Breakpoint.parse("at:layer2").require(trace)
    Breakpoint.parse("fork").require(trace)
    with pytest.raises(ValueError, match=r"near it are .*'layer2\.0'"):
        Breakpoint.parse("at:layer2.O").require(trace)


def test_a_step_beyond_the_trace_is_refused(trace):
    with pytest.raises(IndexError, match="there is no step -1"):
        Breakpoint.parse("nan").hits(trace, -1)
    with pytest.raises(ValueError, match="direction"):
        next_hit(trace, [], 0, direction=2)


CASES = json.loads(Path(__file__).with_name("breakpoint_cases.json").read_text())


@pytest.fixture(scope="module")
def traces_of_cases():
    return for_breakpoints()


@pytest.mark.parametrize(("name", "text", "steps"), CASES["hits"])
def test_a_breakpoint_stops_where_the_table_that_the_page_reads_says(
    traces_of_cases, name, text, steps
):
    assert _hits(traces_of_cases[name], text) == steps


def test_breakpoints_are_read_as_the_table_that_the_page_reads_says():
    for text, limit in CASES["read"]:
        read = Breakpoint.parse(text).limit
        assert math.isnan(read) if limit is None else read == float(limit), text
    for text in CASES["refused"]:
        with pytest.raises(ValueError, match="breakpoint"):
            Breakpoint.parse(text)
