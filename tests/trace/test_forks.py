"""What meets at a fork: by named edge, adding up to the engine's gradient bit for bit."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import minires as mr
from minires import nn, ops
from minires.autograd import tape
from minires.devices import cpu
from tests.trace.networks import (
    BLOCKS,
    DenseLayer,
    Head,
    Inception,
    Stack,
    images,
    made,
    recorded,
)

NETWORKS = {
    **{f"{kind}, option {s}": lambda k=kind, s=s: Stack(k, s) for kind in BLOCKS for s in "ABC"},
    "no norm": lambda: Stack("basic", "B", norm=False),
    "dense": lambda: Head(DenseLayer(4, 2), DenseLayer(6, 2), DenseLayer(8, 2)),
    "inception": lambda: Head(Inception(4), Inception(8)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_contributions_of_every_fork_sum_to_the_gradient_bit_for_bit(network, dtype):
    model, x = made(NETWORKS[network](), dtype), images(dtype=dtype)
    trace = recorded(model, x, save="full")
    forks = trace.forks()
    assert forks
    for fork in forks:
        assert fork.verdict == "exact"
        visit = next(v for v in trace.records.backward if v.value == fork.value)
        parts = [trace.arrays[f"part/{visit.index}/{i}"] for i in range(len(fork.parts))]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        np.testing.assert_array_equal(total, trace.arrays[f"gradient/{fork.value}"])
        for array, part in zip(parts, fork.parts, strict=True):
            assert part.norm == pytest.approx(np.linalg.norm(array), rel=1e-5)
            assert part.share == pytest.approx(
                (array * total).sum() / (total * total).sum(), rel=1e-3, abs=1e-6
            )
            cosine = (array * total).sum() / (np.linalg.norm(array) * np.linalg.norm(total))
            assert part.cosine == pytest.approx(cosine, rel=1e-3, abs=1e-6)
        assert math.fsum(part.share for part in fork.parts) == pytest.approx(1, abs=1e-5)


def test_the_engines_gradient_of_the_input_is_the_sum_at_its_fork():
    model, x = made(Head(Inception(4))), images()
    trace = recorded(model, x, save="full")
    fork = next(f for f in trace.forks() if f.value == trace.value(x).index)
    assert len(fork.parts) == 4
    np.testing.assert_array_equal(trace.arrays[f"gradient/{fork.value}"], x.grad.numpy())


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_each_block_forks_into_one_shortcut_and_one_branch(kind, shortcut):
    model, x = made(Stack(kind, shortcut)), images()
    trace = recorded(model, x)
    blocks = {fork.block: fork for fork in trace.forks() if fork.block}
    assert sorted(blocks) == ["blocks.0", "blocks.1", "blocks.2"]
    for fork in blocks.values():
        assert {part.side for part in fork.parts} == {"shortcut", "branch"}
        for part in fork.parts:
            onto = "downsample" in part.consumer or "residual_add" in part.consumer
            assert (part.side == "shortcut") == onto


def test_a_value_added_to_itself_has_two_contributions():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        (x + x).sum().backward()
    (fork,) = trace.forks()
    assert [(part.edge, part.norm, part.share) for part in fork.parts] == [
        ("a", pytest.approx(2**0.5), 0.5),
        ("b", pytest.approx(2**0.5), 0.5),
    ]
    assert fork.block == ""
    assert fork.reinforcement == pytest.approx(math.log(2**0.5))


def test_nested_blocks_give_a_use_a_role_in_each():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        inner = ops.residual_add(x, 2 * x)
        ops.residual_add(x, 5 * inner).sum().backward()
    (fork,) = trace.forks()
    inner_join, outer_join = trace.structure.joins
    roles = [{(role.side, role.join) for role in part.roles} for part in fork.parts]
    assert {("shortcut", inner_join), ("branch", outer_join)} in roles
    assert {("branch", inner_join), ("branch", outer_join)} in roles
    assert {("shortcut", outer_join)} in roles


def test_a_weight_that_both_sides_use_is_not_taken_for_the_start_of_the_block():
    w = mr.tensor([0.5, 0.5], requires_grad=True)
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        start = mr.tanh(x)
        ops.residual_add(w * start, mr.exp(w * start)).sum().backward()
    by_value = {fork.name: {part.side for part in fork.parts} for fork in trace.forks()}
    assert by_value["tanh"] == {"shortcut", "branch"}


def test_a_gradient_that_cancels_has_no_shares_and_is_no_nan():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        ops.residual_add(x, -x).sum().backward()
    (fork,) = trace.forks()
    assert fork.norm == 0
    assert [part.share for part in fork.parts] == [None, None]
    assert [part.cosine for part in fork.parts] == [None, None]
    assert fork.reinforcement == -math.inf


def test_a_sum_that_the_engine_gets_wrong_is_noticed(monkeypatch):
    def careless(parts, recorded):
        total = parts[0][0]
        for value, _, _ in parts[1:]:
            total = total + value
        total = total.copy()
        total.flat[-1] = np.nextafter(total.flat[-1], np.inf, dtype=total.dtype)  # one bit
        return total

    model, x = made(Stack("basic", "A")), images()
    monkeypatch.setattr(tape, "_sum", careless)
    trace = recorded(model, x)
    assert {fork.verdict for fork in trace.forks()} == {"wrong"}


def test_three_terms_are_summed_in_tape_order():
    # In this order 1e8 + 1 loses the 1 before -1e8 comes; in others it does not.
    x = mr.tensor(np.ones(1, np.float32), requires_grad=True)
    with mr.trace.record() as trace:
        first, second, third = -1e8 * x, 1.0 * x, 1e8 * x
        (first + second + third).sum().backward()
    (fork,) = trace.forks()
    assert fork.verdict == "exact"
    assert x.grad.item() == cpu.add(cpu.add(np.float32([1e8]), np.float32([1])), np.float32([-1e8]))


def test_recorded_gradients_are_copies_that_no_later_sum_changes():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x, save="full")
    before = {name: array.copy() for name, array in trace.arrays.items()}
    for _ in range(2):
        y = model(x)
        y.backward(y)  # adds to every .grad
    x.grad.data[...] = 7
    for name, array in trace.arrays.items():
        np.testing.assert_array_equal(array, before[name])


def test_the_gains_add_up_to_the_whole_way():
    for name in NETWORKS:
        model, x = made(NETWORKS[name]()), images()
        trace = recorded(model, x)
        gains = trace.gains()
        whole = math.log(gains[-1].after / gains[0].before)
        assert math.fsum(gain.log_gain for gain in gains) == pytest.approx(whole, abs=1e-12), name
        assert gains[-1].after == pytest.approx(np.linalg.norm(x.grad.numpy())), name
        for gain, following in itertools.pairwise(gains):
            assert gain.input == following.output


def test_the_gains_of_a_residual_network_are_its_blocks():
    model = made(mr.models.cifar_resnet(8, width=2), "float64")
    trace = recorded(model, images(3, 8))
    blocks = [gain.block for gain in trace.gains()]
    assert blocks[:4] == ["fc", "mean", "layer3.0", "layer2.0"]
    assert blocks[4] == "layer1.0"
    forks = [gain.fork for gain in trace.gains() if gain.fork]
    assert [fork.block for fork in forks] == ["layer3.0", "layer2.0", "layer1.0"]
    for gain in trace.gains():
        if gain.fork:
            apart = math.sqrt(sum(part.norm**2 for part in gain.fork.parts))
            assert math.log(apart / gain.before) + gain.fork.reinforcement == pytest.approx(
                gain.log_gain
            )


def test_plain_twins_have_the_same_blocks_on_their_way():
    ways = []
    for make in (mr.models.cifar_resnet, mr.models.cifar_plain):
        model = made(make(8, width=2), "float64")
        gains = recorded(model, images(3, 8)).gains()
        ways.append([gain.block for gain in gains if gain.block.startswith("layer")])
    assert ways[0] == ways[1] == ["layer3.0", "layer2.0", "layer1.0"]


def test_forks_of_an_empty_trace_are_none():
    with mr.trace.record() as trace:
        pass
    assert trace.forks() == []
    assert trace.gains() == []


def test_a_block_without_its_module_call_is_still_found_on_the_tape():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return mr.relu(ops.residual_add(x, self.conv(x)))

    trace = recorded(made(Own()), images())
    assert [{part.side for part in fork.parts} for fork in trace.forks()] == [
        {"shortcut", "branch"}
    ]


def test_the_side_told_is_that_of_the_nearest_addition():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        inner = ops.residual_add(x, 2 * x)
        ops.residual_add(x, 5 * inner).sum().backward()
    sides = {part.consumer: part.side for part in trace.forks()[0].parts}
    assert sides == {"residual_add": "shortcut", "mul": "branch", "residual_add:2": "shortcut"}


def test_a_fork_of_two_blocks_is_told_by_the_inner_one():
    class Inner(nn.Module):
        def forward(self, x):
            return ops.residual_add(x, 2 * x)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return ops.residual_add(x, 5 * self.inner(x))

    x = mr.tensor([1.0], requires_grad=True)
    trace = recorded(Outer(), x)
    assert trace.forks()[0].block == "inner"


def test_a_shortcut_without_a_gradient_is_no_side():
    x, y = mr.tensor([1.0], requires_grad=True), mr.tensor([2.0])
    with mr.trace.record() as trace:
        ops.residual_add(mr.exp(y), x * x).sum().backward()
    assert trace.structure.roles == {}
    assert len(trace.structure.joins) == 1


def test_a_weight_of_both_sides_parts_there_too():
    w = mr.tensor([0.5, 0.5], requires_grad=True)
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        ops.residual_add(w * x, mr.exp(w * x)).sum().backward()
    by_value = {fork.name: {part.side for part in fork.parts} for fork in trace.forks()}
    assert by_value == {
        trace.value(w).name: {"shortcut", "branch"},
        trace.value(x).name: {"shortcut", "branch"},
    }


def test_many_additions_of_one_value_are_followed_quickly():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        h = x
        for _ in range(150):
            h = ops.residual_add(x, 0.5 * h)
        h.sum().backward()
    roles = trace.structure.roles
    assert sum(map(len, roles.values())) >= 300
    assert len(trace.forks()[0].parts) == 151


def test_forks_and_gains_are_those_of_the_last_pass():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = ops.residual_add(x, 3 * x)
        y.backward(retain_graph=True)
        (10 * y).backward()
    (fork,) = trace.forks()
    assert fork.norm == 40
    assert trace.gains()[0].before == 1
    assert trace.gains()[-1].after == 40


def test_two_losses_meet_before_the_whole_gradient_is_on_its_way():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        h = mr.tanh(x)
        mr.grad([mr.exp(h).sum(), (3 * h).sum()], x)
    names = [trace.records.values[value].name for value in trace.structure.main_road]
    assert names == ["tanh", "input 0"]


def test_parameters_lie_beside_the_road():
    model = made(Head(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    trace = recorded(model, images())
    road = [trace.records.values[value] for value in trace.structure.main_road]
    assert [value.kind for value in road] == ["result"] * 4 + ["input"]


def test_contributions_of_ops_before_the_recording_are_named_so():
    x = mr.tensor([1.0], requires_grad=True)
    y = mr.exp(x) + mr.sin(x)
    with mr.trace.record() as trace:
        y.backward()
    (fork,) = trace.forks()
    assert {part.consumer for part in fork.parts} == {"(before recording)"}
