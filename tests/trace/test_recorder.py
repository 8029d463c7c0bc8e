"""What the recorder writes down, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import nn, ops
from tests.trace.networks import Stack, cotangent, images, made, recorded


def test_steps_stand_in_the_order_in_which_they_happened():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = mr.exp(x)
        (y * y).sum().backward()
    records = trace.records
    assert [step.op for step in records.forward] == ["exp", "mul", "sum"]
    assert [records.values[visit.value].name for visit in records.backward] == [
        "sum",
        "mul",
        "exp",
        "input 0",
    ]
    assert records.steps == [("forward", i) for i in range(3)] + [("backward", i) for i in range(4)]
    assert [part.edge for part in records.backward[2].parts] == ["a", "b"]
    assert [records.forward[part.consumer].op for part in records.backward[2].parts] == [
        "mul",
        "mul",
    ]


def test_a_forward_step_tells_op_module_line_shapes_and_constants():
    model = made(Stack("basic", "A"))
    trace = recorded(model, images())
    conv = trace.records.forward[0]
    assert (conv.op, conv.module) == ("conv2d", "blocks.0.conv1")
    assert conv.source.startswith("minires/nn/residual.py:")
    assert [operand.edge for operand in conv.operands] == ["input", "weight", "bias"]
    values = trace.records.values
    assert values[conv.operands[1].value].name == "blocks.0.conv1.weight"
    assert conv.operands[2].text == "None"
    assert values[conv.output].shape == (3, 4, 6, 6)
    assert values[conv.output].dtype == "float64"
    assert conv.flops == 2 * 3 * 4 * 6 * 6 * 4 * 9
    assert "kernel" in conv.constants["window"]
    assert conv.seconds > 0
    assert conv.bytes == 8 * (3 * 4 * 36 * 2 + 4 * 4 * 9)


@pytest.mark.parametrize(
    ("name", "files"),
    [("resnet18", {"models/resnet.py", "nn/residual.py"}), ("googlenet", {"models/googlenet.py"})],
)
def test_the_lines_are_those_of_the_network_and_its_blocks(name, files):
    model = mr.models.create(name, width=8, num_classes=2).eval()
    with mr.trace.record(model) as trace:
        model(mr.zeros(1, 3, 32, 32))
    lines = {step.source.partition(":")[0] for step in trace.records.forward}
    assert lines == {f"minires/{file}" for file in files}


def test_the_line_is_the_callers_own_where_it_is_no_layer():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        mr.exp(x)
    file, line = trace.records.forward[0].source.rsplit(":", 1)
    assert file.endswith("trace/test_recorder.py")
    assert int(line) > 0


def test_recorded_numbers_are_those_of_the_arrays():
    model, x = made(Stack("pre-activation", "C")), images()
    trace = recorded(model, x, save="full")
    for value in trace.records.values:
        array = trace.arrays[f"value/{value.index}"]
        assert array.shape == value.shape
        assert value.stats.norm == pytest.approx(np.linalg.norm(array))
        assert value.stats.max == array.max()
        assert value.stats.sample == 0
    for name, parameter in model.named_parameters():
        value = trace.value(name)
        gradient = trace.arrays[f"gradient/{value.index}"]
        np.testing.assert_array_equal(gradient, parameter.grad.numpy())
        assert value.gradient.norm == pytest.approx(np.linalg.norm(gradient))


def test_a_step_gives_the_same_numbers_recorded_or_not():
    results = []
    for record in (False, True):
        mr.manual_seed(1)
        model, x = made(Stack("basic", "B"), "float32"), images(dtype="float32")
        if record:
            recorded(model, x, save="full")
        else:
            y = model(x)
            y.backward(cotangent(y))
        results.append([p.grad.numpy() for p in model.parameters()] + [x.grad.numpy()])
    for plain, traced in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, traced)


def test_without_a_replay_blocks_run_fused():
    model, x = made(Stack("basic", "B")), images()
    fused = recorded(model, x, replay=False)
    spelled = recorded(model, x, replay=True)
    assert any(step.op == "batch_norm_relu" for step in fused.records.forward)
    assert not any(step.op == "batch_norm_relu" for step in spelled.records.forward)
    assert len(fused.structure.joins) == len(spelled.structure.joins) == 3
    forks = [
        {f.block: [(p.side, p.norm) for p in f.parts] for f in trace.forks() if f.block}
        for trace in (fused, spelled)
    ]
    assert forks[0].keys() == forks[1].keys()
    for block, parts in forks[0].items():
        for (side, norm), (other_side, other_norm) in zip(
            sorted(parts), sorted(forks[1][block]), strict=True
        ):
            assert side == other_side
            assert norm == pytest.approx(other_norm, rel=1e-9)


def test_selected_values_alone_are_looked_at():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x, select="blocks.1")
    for value in trace.records.values:
        assert (value.stats is not None) == value.name.startswith("blocks.1")
    some = recorded(model, x, select=lambda value: value.kind == "parameter")
    assert {v.kind for v in some.records.values if v.stats} == {"parameter"}
    none = recorded(model, x, select=[])
    assert not any(value.stats for value in none.records.values)
    assert {visit.verdict for visit in none.records.backward} == {"unseen"}
    assert len(none.records.steps) == len(trace.records.steps)


def test_thumbs_are_kept_of_values_and_gradients():
    trace = recorded(made(Stack("basic", "B")), images(), save="thumbs")
    for value in trace.records.values:
        assert value.thumbnail is not None
        assert (value.gradient_thumbnail is None) == (value.gradient is None)


def test_an_exception_passes_and_what_came_before_is_kept():
    x = mr.tensor([1.0], requires_grad=True)
    with pytest.raises(ZeroDivisionError), mr.trace.record() as trace:  # noqa: PT012
        mr.exp(x)
        1 / 0  # noqa: B018
    assert trace.records.error == "ZeroDivisionError: division by zero"
    assert [step.op for step in trace.records.forward] == ["exp"]
    mr.exp(x)
    assert len(trace.records.forward) == 1  # the hook is gone


def test_an_error_inside_an_op_keeps_the_steps_before_it():
    with pytest.raises(ValueError, match="conv2d"), mr.trace.record() as trace:  # noqa: PT012
        x = mr.exp(mr.randn(1, 2, 4, 4))
        ops.conv2d(x, mr.randn(3, 5, 3, 3))
    assert [step.op for step in trace.records.forward] == ["exp"]


def test_a_trace_of_nothing_says_so():
    with mr.trace.record() as trace:
        pass
    assert trace.records.steps == []
    with pytest.raises(ValueError, match="empty: no op ran"):
        trace.path_spectrum()


def test_a_detached_value_is_known_by_its_memory():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = mr.exp(x)
        ops.residual_add(y.detach(), 3 * x).sum().backward()
    cut = next(v for v in trace.records.values if v.detached_from is not None)
    assert trace.records.values[cut.detached_from].name == "exp"


def test_parameters_buffers_and_inputs_are_told_apart():
    model = made(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)))
    x = images()
    trace = recorded(model, x)
    kinds = {value.name: value.kind for value in trace.records.values}
    assert kinds["0.weight"] == "parameter"
    assert kinds["input 0"] == "input"
    assert kinds["0/conv2d"] == "result"
    assert trace.value(x).name == "input 0"


def test_the_steps_of_a_twin_know_their_call():
    model = made(Stack("basic", "B", blocks=1))
    with mr.expand("conv2d", "batch_norm"):
        trace = recorded(model, images())
    twins = {step.twin_of.split(":")[0] for step in trace.records.forward if step.twin_of}
    assert twins == {"conv2d", "batch_norm"}
    calls = [step.twin_of for step in trace.records.forward if step.module == "blocks.0.conv1"]
    assert len(set(calls)) == 1
    assert next(s.op for s in trace.records.forward if s.module == "blocks.0.conv1") == "im2col"


def test_a_recorded_vjp_shows_its_own_ops():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        mr.grad((x * x * x).sum(), x, create_graph=True)
    inner = [step for step in trace.records.forward if step.vjp_of is not None]
    assert inner
    for step in inner:
        assert trace.records.backward[step.vjp_of].op is not None


def test_two_recorders_look_on_at_once():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as outer:
        mr.exp(x)
        with mr.trace.record() as inner:
            mr.sin(x)
        mr.cos(x)
    assert [step.op for step in outer.records.forward] == ["exp", "sin", "cos"]
    assert [step.op for step in inner.records.forward] == ["sin"]


def test_a_recording_is_made_once():
    recording = mr.trace.record()
    with recording:
        mr.exp(mr.ones(1))
    with pytest.raises(RuntimeError, match="made once"), recording:
        pass


@pytest.mark.parametrize(
    ("options", "message"), [({"save": "all"}, "summary"), ({"budget_mb": -1}, "negative")]
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mr.trace.record(**options)


def test_values_made_before_recording_began_are_named_so():
    x = mr.tensor([1.0], requires_grad=True)
    y = mr.exp(x)
    with mr.trace.record() as trace:
        (y * 2).sum().backward()
    names = [value.name for value in trace.records.values]
    assert "exp (before recording)" in names or "input 0" in names[:1]
    assert trace.records.values[trace.records.backward[-1].value].name == "leaf (before recording)"


def test_numbers_stand_as_text():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        x * 2.5
    assert trace.records.forward[0].operands[1].text == "2.5"
    assert trace.records.forward[0].operands[1].value is None


def test_values_are_not_mixed_up_when_memory_is_used_again():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        for _ in range(50):
            mr.exp(mr.tensor([1.0, 2.0])) * x  # the tensors go, and their ids come back
    names = [value.name for value in trace.records.values]
    assert len(names) == len(set(names)) == 151
    assert all(value.detached_from is None for value in trace.records.values)


def test_parameters_that_are_gone_lend_their_names_to_nobody():
    recording = mr.trace.record(nn.Linear(3, 2))  # the model goes at once
    with recording as trace:
        for _ in range(20):
            mr.exp(mr.randn(2, 3))
    assert {value.kind for value in trace.records.values} == {"input", "result"}


def test_a_full_trace_does_not_follow_later_writes():
    model = made(nn.Linear(4, 3))
    x = mr.randn(2, 4, dtype=mr.float64)
    trace = recorded(model, x, save="full")
    before = trace.arrays[f"value/{trace.value('weight').index}"].copy()
    model.weight.data[...] = 7
    np.testing.assert_array_equal(trace.arrays[f"value/{trace.value('weight').index}"], before)


def test_what_arrives_after_a_cast_is_measured_after_the_cast():
    x = mr.tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    with mr.trace.record() as trace:
        (x * mr.tensor(np.array([1 / 3, 1 / 3]))).sum().backward()
    assert trace.records.backward[-1].parts[0].stats == trace.value(x).gradient
    assert trace.value(x).gradient.mean == float(np.float32(1 / 3))


def test_one_pass_after_another_is_another_run():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        first = (x * 2).sum()
        second = (x * 3).sum()
        second.backward()
        first.backward()
    assert sorted({visit.run for visit in trace.records.backward}) == [0, 1]
    assert len({v.value for v in trace.records.backward if v.run == 0}) == 3


def test_work_is_estimated_by_the_formulas():
    x = mr.randn(2, 3, 8, 8, requires_grad=True)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    with mr.trace.record(conv) as trace:
        y = conv(x)
        (y.reshape(2, -1) @ mr.ones(256, 5)).sum().backward()
    forward = {step.op: step.flops for step in trace.records.forward}
    assert forward["conv2d"] == 2 * 2 * 4 * 64 * 27
    assert forward["matmul"] == 2 * 2 * 256 * 5
    assert forward["reshape"] == 0
    back = {
        trace.records.forward[v.op].op: v.flops for v in trace.records.backward if v.op is not None
    }
    assert back["conv2d"] == 2 * forward["conv2d"]  # input and weight
    assert back["matmul"] == forward["matmul"]  # the other factor needs none


def test_a_dropped_trace_lets_go_of_its_arrays_at_once():
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        model, x = made(Stack("basic", "B")), images()
        trace = recorded(model, x, save="full")
        kept = [weakref.ref(array) for array in trace.arrays.values()]
        kept += [weakref.ref(node) for node in trace.tape.nodes.values()]
        del trace
        assert not any(reference() is not None for reference in kept)
    finally:
        gc.enable()


def test_parts_of_the_model_that_are_called_by_themselves_keep_their_paths():
    model, x = made(Stack("basic", "B")), images()
    with mr.trace.record(model) as trace:
        h = x
        for block in model.blocks:
            h = block(h)
        h.sum().backward()
    assert trace.records.forward[0].module == "blocks.0.conv1"
    assert [fork.block for fork in trace.forks() if fork.block] == [
        "blocks.2",
        "blocks.1",
        "blocks.0",
    ]
    model.blocks[0](x)  # and outside of a recording they are their own again
    with mr.trace.record() as trace:
        model.blocks[0](x)
    assert trace.records.forward[0].module == "conv1"


def test_plain_additions_that_join_a_fork_are_told_of():
    x = images()
    with mr.trace.record() as trace:
        h = mr.tanh(x)
        (h + 3 * h).sum().backward()
    assert trace.structure.joins == []
    assert [trace.records.forward[step].op for step in trace.structure.unnamed_joins] == ["add"]
    assert "residual_add(shortcut, branch)" in " ".join(repr(trace).split())


def test_additions_of_weights_and_of_unrelated_values_are_no_joins():
    w = nn.Linear(3, 3)
    with mr.trace.record(w) as trace:
        y = w(mr.randn(2, 3)) + w(mr.randn(2, 3))
        (y + mr.randn(2, 3)).sum().backward()
    assert trace.structure.unnamed_joins == []


@pytest.mark.parametrize("model", ["abc", 3, mr.ones(2)])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(TypeError, match="must be a Module, a function or None"):
        mr.trace.record(model)


def test_a_recording_without_with_says_what_to_write():
    with pytest.raises(AttributeError, match=r"with mr\.trace\.record\(model\) as trace"):
        mr.trace.record().forks()


def test_a_selection_that_matches_nothing_is_told_of():
    trace = recorded(made(Stack("basic", "B")), images(), select="layer9.*")
    assert "no value was looked at" in repr(trace)


def test_sums_that_were_not_looked_at_are_not_called_wrong():
    trace = recorded(made(Stack("basic", "B")), images(), select="blocks.1*")
    told = " ".join(repr(trace).split())
    assert "not looked at (select=...)" in told
    assert "1 of 3" not in told
