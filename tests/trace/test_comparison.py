"""Two traces side by side."""

from __future__ import annotations

import pytest

import minires as mr
from minires.trace.layout import layout_of
from tests.trace.networks import DenseLayer, Head, Inception, Stack, images, made, recorded


def twins(depth: int = 8) -> list:
    return [
        recorded(mr.models.cifar_resnet(depth, shortcut, width=2, seed=0), images(3, 8, "float32"))
        for shortcut in ("A", None)
    ]


def test_twins_are_aligned_by_module_with_a_ghost_where_there_is_no_shortcut():
    residual, plain = twins()
    comparison = residual.compare(plain)
    for row in comparison.layout.rows:
        left, right = row.steps
        if left is not None and right is not None:
            a, b = residual.records.forward[left], plain.records.forward[right]
            assert (a.module, a.op) == (b.module, b.op)
        else:
            assert right is None
            assert residual.records.forward[left].op in ("residual_add", "getitem", "pad")
    ghosts = [row for row in comparison.layout.rows if None in row.steps]
    assert len(ghosts) == 7  # three additions, and two paddings of two steps
    groups = [group.path for group in comparison.layout.groups]
    assert groups == ["conv1", "bn1", "relu", "layer1.0", "layer2.0", "layer3.0", "mean", "fc"]


def test_what_only_one_trace_has_stands_where_its_stage_is():
    longer, shorter = (
        recorded(mr.models.create(name, width=2, seed=0), images(3, 32, "float32"))
        for name in ("resnet18_a", "cifar_plain20")
    )
    layout = longer.compare(shorter).layout
    blocks = [group.path for group in layout.groups if group.path.startswith("layer")]
    assert blocks == sorted(blocks)
    assert blocks[-3:] == ["layer3.2", "layer4.0", "layer4.1"]


def test_every_step_of_both_stands_in_exactly_one_row():
    residual, plain = twins()
    rows = residual.compare(plain).layout.rows
    for side, trace in enumerate((residual, plain)):
        steps = [row.steps[side] for row in rows if row.steps[side] is not None]
        assert steps == list(range(len(trace.records.forward)))


def test_twins_have_no_differences_and_one_scale():
    residual, plain = twins()
    comparison = residual.compare(plain)
    assert comparison.differences == []
    low, high = comparison.scale
    for trace in (residual, plain):
        for value in trace.records.values:
            if value.gradient and value.gradient.norm:
                assert low <= value.gradient.norm <= high


def test_a_model_that_changed_between_the_traces_is_told_by_name():
    model, x = made(Stack("basic", "B")), images()
    before = recorded(model, x)
    model.blocks[1].conv1.weight.data = model.blocks[1].conv1.weight.data * 2
    after = recorded(model, x)
    assert before.compare(after).differences == [
        "blocks.1.conv1.weight has other numbers on the left than on the right"
    ]
    for change in (lambda w: -w, lambda w: w[::-1].copy()):
        weight = model.blocks[1].conv1.weight
        weight.data = change(weight.numpy().copy())
        assert recorded(model, x).compare(after).differences == before.compare(after).differences
    wider = recorded(made(mr.models.cifar_resnet(8, width=4)), images(3, 8))
    narrow = recorded(made(mr.models.cifar_resnet(8, width=2)), images(3, 8))
    assert any("conv1.weight has shape" in text for text in wider.compare(narrow).differences)


def test_traces_without_a_common_step_are_refused():
    trace = recorded(made(Stack("basic", "B")), images())
    with mr.trace.record() as empty:
        pass
    with mr.trace.record() as other:
        mr.exp(mr.ones(2))
    with pytest.raises(ValueError, match="empty"):
        trace.compare(empty)
    with pytest.raises(ValueError, match="no step in common"):
        trace.compare(other)


def test_a_shortcut_is_an_arc_over_its_block():
    residual, plain = twins()
    layout = residual.compare(plain).layout
    residual_arcs, plain_arcs = layout.arcs
    shortcuts = [arc for arc in residual_arcs if arc.side == "shortcut"]
    assert len(shortcuts) == 3
    forward = residual.records.forward
    for arc in shortcuts:
        ends = {forward[layout.rows[row].steps[0]].op for row in (arc.end,)}
        assert ends <= {"residual_add", "getitem"}
    assert plain_arcs == []


def test_behind_its_projection_a_shortcut_is_known_by_the_edge_that_it_ends_in():
    trace = recorded(made(Stack("basic", "C")), images())
    forward = trace.records.forward
    layout = layout_of(trace.structure)
    into = {
        (forward[layout.rows[arc.start].steps[0]].module.rpartition(".")[2], arc.side)
        for arc in layout.arcs[0]
        if forward[layout.rows[arc.end].steps[0]].op == "residual_add"
    }
    assert into == {("bn2", "branch")}


def test_ways_beside_each_other_hand_nothing_on():
    trace = recorded(made(Head(Inception(4))), images())
    forward = trace.records.forward
    layout = layout_of(trace.structure)
    (handed,) = layout.handed
    for row in range(len(layout.rows) - 1):
        made_here = forward[layout.rows[row].steps[0]].output
        used = [operand.value for operand in forward[layout.rows[row + 1].steps[0]].operands]
        assert (row in handed) == (made_here in used)
    assert handed == [0, 4, 5]  # pool and projection, the last way and the concatenation, mean


def test_arcs_that_overlap_lie_in_different_lanes():
    for model in (Head(DenseLayer(4, 2), DenseLayer(6, 2), DenseLayer(8, 2)), Head(Inception(4))):
        trace = recorded(made(model), images())
        (arcs,) = layout_of(trace.structure).arcs
        assert arcs
        for one in arcs:
            for other in arcs:
                if one is not other and one.start < other.end and other.start < one.end:
                    assert one.lane != other.lane


def test_a_comparison_prints_one_table_of_both():
    residual, plain = twins()
    comparison = residual.compare(plain)
    told = repr(comparison)
    assert told == str(comparison.table())
    assert "CifarResNet, residual" in told
    assert "CifarResNet, plain" in told
    assert told.count("layer1.0") == 1


def test_what_is_no_trace_is_refused():
    residual, _ = twins()
    with pytest.raises(TypeError, match="another Trace is needed"):
        residual.compare(mr.nn.Identity())
