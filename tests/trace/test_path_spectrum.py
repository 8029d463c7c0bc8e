"""The gradient by branches crossed: against brute force, against the engine, against scaling."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires import nn, ops
from tests.trace.networks import (
    BLOCKS,
    DenseLayer,
    Head,
    Inception,
    Stack,
    cotangent,
    images,
    made,
    recorded,
)


@mr.op(name="test_gate")
def gate(x, *, factor):
    return x.copy()


@gate.vjp
def _(g, factor):
    return g * factor


class GatedBlock(nn.Module):
    """x + f(x), of whose two sides each lets through so much of the gradient, and all of x."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.around, self.through = 1.0, 1.0

    def forward(self, x: Any) -> Any:
        branch = self.outer(mr.relu(self.inner(x)))
        return ops.residual_add(gate(x, factor=self.around), gate(branch, factor=self.through))


def gated(blocks: int, width: int = 6) -> nn.Sequential:
    mr.manual_seed(3)
    return nn.Sequential(*[GatedBlock(width) for _ in range(blocks)]).to("float64")


def gradient_of(model: Any, x: Any) -> np.ndarray:
    x = mr.tensor(x.numpy(), requires_grad=True)
    y = model(x)
    y.backward(cotangent(y))
    return x.grad.numpy()


def test_the_parts_are_those_of_all_two_to_the_l_paths():
    model, x = gated(8), mr.randn(4, 6, dtype=mr.float64)
    x.requires_grad_()
    spectrum = recorded(model, x).path_spectrum(x)
    expected = [np.zeros((4, 6)) for _ in range(9)]
    for path in itertools.product((False, True), repeat=8):
        for block, through in zip(model, path, strict=True):
            block.around, block.through = float(not through), float(through)
        expected[sum(path)] += gradient_of(model, x)
    assert len(spectrum.parts) == 9
    for part, brute in zip(spectrum.parts, expected, strict=True):
        np.testing.assert_allclose(part, brute, rtol=0, atol=1e-14 * np.abs(spectrum.total).max())
    assert spectrum.paths == (1, 8, 28, 56, 70, 56, 28, 8, 1)


@pytest.mark.parametrize("factor", [0.0, 0.5, -1.0])
@pytest.mark.parametrize("at", [None, "blocks.0.conv1.weight", "blocks.1"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_scaled_branches_give_the_polynomial_in_the_parts(kind, at, factor, monkeypatch):
    model, x = made(Stack(kind, "B")), images()
    trace = recorded(model, x)
    spectrum = trace.path_spectrum(x if at is None else at)
    # The forward pass stays as it is; only what goes back through the branches is scaled.
    add = ops.residual_add
    monkeypatch.setattr(ops, "residual_add", lambda s, b: add(s, gate(b, factor=factor)))
    x.grad = None
    model.zero_grad()
    scaled = recorded(model, x)
    engine = scaled.path_spectrum(x if at is None else at).total  # bit for bit the engine's
    expected = sum(factor**k * part for k, part in enumerate(spectrum.parts))
    scale = max(np.abs(part).max() for part in spectrum.parts)
    np.testing.assert_allclose(engine, expected, rtol=0, atol=1e-12 * scale)
    assert len(spectrum.parts) > 1


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-13), ("float32", 2e-5)])
def test_the_parts_add_up_to_the_engines_gradient(kind, shortcut, norm, dtype, close):
    model, x = made(Stack(kind, shortcut, norm), dtype), images(dtype=dtype)
    trace = recorded(model, x)
    spectrum = trace.path_spectrum(x)
    np.testing.assert_array_equal(spectrum.total, x.grad.numpy())  # bit for bit
    assert spectrum.total.dtype == dtype
    difference = np.abs(sum(spectrum.parts) - spectrum.total).max()
    assert difference <= close * np.abs(spectrum.total).max()
    assert len(spectrum.parts) == 4
    assert sum(spectrum.shares) == pytest.approx(1, abs=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(spectrum.norms, [np.linalg.norm(p) for p in spectrum.parts])


@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-13), ("float32", 2e-5)])
def test_residual_blocks_between_concatenations_count_and_those_do_not(dtype, close):
    mixed = Head(
        DenseLayer(4, 2),
        nn.BasicBlock(6, 8, 2, "B"),
        Inception(8),
        nn.PreActBlock(8, 8, 1, "A"),
        DenseLayer(8, 2),
    )
    model, x = made(mixed, dtype), images(dtype=dtype)
    spectrum = recorded(model, x).path_spectrum(x)
    np.testing.assert_array_equal(spectrum.total, x.grad.numpy())
    assert len(spectrum.parts) == 3
    difference = np.abs(sum(spectrum.parts) - spectrum.total).max()
    assert difference <= close * np.abs(spectrum.total).max()


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_parameter_has_a_spectrum_whose_total_is_its_gradient(kind):
    model, x = made(Stack(kind, "B")), images()
    trace = recorded(model, x)
    for name, parameter in model.named_parameters():
        spectrum = trace.path_spectrum(name)
        np.testing.assert_array_equal(spectrum.total, parameter.grad.numpy(), err_msg=name)
        scale = max(np.abs(part).max() for part in spectrum.parts)
        np.testing.assert_allclose(sum(spectrum.parts), spectrum.total, atol=1e-13 * scale)


def test_a_parameter_inside_a_branch_has_crossed_at_least_its_own():
    model, x = made(Stack("basic", "A")), images()
    trace = recorded(model, x)
    last = trace.path_spectrum("blocks.2.conv1.weight")
    assert len(last.parts) == 2
    assert last.norms[0] == 0
    assert last.paths == (0, 1)


def test_nested_residuals_count_each_branch():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        inner = ops.residual_add(x, 2 * x)  # 1 around, 2 through
        ops.residual_add(x, 5 * inner).sum().backward()
    spectrum = trace.path_spectrum(x)
    assert [part.item() for part in spectrum.parts] == [1, 5, 10]
    assert spectrum.paths == (1, 1, 1)


def test_a_plain_network_has_one_part_and_it_is_the_gradient():
    model, x = made(Stack("basic", None)), images()
    spectrum = recorded(model, x).path_spectrum(x)
    assert len(spectrum.parts) == 1
    np.testing.assert_array_equal(spectrum.parts[0], x.grad.numpy())
    assert spectrum.shares == (pytest.approx(1),)


def test_a_fused_addition_counts_like_the_spelled_out_one():
    x = mr.tensor(np.random.default_rng(0).standard_normal((4, 3)), requires_grad=True)
    w = mr.tensor(np.ones(3), requires_grad=True)

    def parts(fused: bool) -> list[np.ndarray]:
        with mr.trace.record() as trace:
            if fused:
                y = ops.batch_norm_relu(2 * x, None, None, w, shortcut=x, training=True)
            else:
                y = mr.relu(
                    ops.residual_add(x, ops.batch_norm(2 * x, None, None, w, training=True))
                )
            y.backward(cotangent(y))
        assert len(trace.structure.joins) == 1
        inside = trace.path_spectrum(w)
        assert inside.norms[0] == 0
        assert inside.norms[1] > 0
        return trace.path_spectrum(x).parts

    for ours, theirs in zip(parts(True), parts(False), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-14)


def test_the_default_place_is_the_input_of_the_first_block():
    model = made(mr.models.cifar_resnet(8, width=2), "float64")
    trace = recorded(model, images(3, 8))
    assert trace.value().name == "relu/relu"
    assert trace.path_spectrum().at == "relu/relu"
    assert len(trace.path_spectrum().parts) == 4


def test_distribution_and_per_path_figures_follow_from_norms_and_counts():
    model, x = gated(3), mr.randn(4, 6, dtype=mr.float64)
    x.requires_grad_()
    spectrum = recorded(model, x).path_spectrum(x)
    assert sum(spectrum.distribution) == pytest.approx(1)
    for norm, each, paths in zip(spectrum.norms, spectrum.per_path, spectrum.paths, strict=True):
        assert each * paths == pytest.approx(norm)


def test_shares_are_undefined_where_no_gradient_arrives():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        (ops.residual_add(x, 3 * x) * mr.tensor([0.0, 0.0])).sum().backward()
    assert trace.path_spectrum(x).shares == (None, None)


# -- random graphs ---------------------------------------------------------------------------


@st.composite
def programs(draw: Any) -> list[tuple[str, int, int]]:
    """Steps (op, first operand, second operand) over the values made so far; 0 is the input."""
    steps = []
    for made_so_far in range(1, draw(st.integers(2, 8))):
        value = st.integers(0, made_so_far - 1)
        steps.append(
            (
                draw(st.sampled_from(["add", "tanh", "mul", "scale", "join", "join"])),
                draw(value),
                draw(value),
            )
        )
    return steps


OPS = {
    "add": lambda a, b: a + b,
    "tanh": lambda a, b: mr.tanh(a),
    "mul": lambda a, b: a * b,
    "scale": lambda a, b: a * 0.7,
    "join": ops.residual_add,
}


def run(program: list[tuple[str, int, int]], x: Any) -> Any:
    values = [x]
    for op, a, b in program:
        values.append(OPS[op](values[a], values[b]))
    return values[-1]


def brute_force(node: Any, g: np.ndarray, target: Any, crossed: int, found: dict) -> None:
    """Walk every path of the tape, one by one."""
    if node is target:
        found[crossed] = found.get(crossed, 0) + g
    if node is None or node.op is None:
        return
    sent = node.op.pull_back(node, g, tuple(parent is not None for parent in node.parents), False)
    for slot, (parent, gradient) in enumerate(zip(node.parents, sent, strict=True)):
        if parent is not None:
            edge = node.op.input_name(slot)
            brute_force(parent, gradient, target, crossed + (edge == "branch"), found)


@given(programs())
def test_random_graphs_agree_with_every_path_walked_by_itself(program):
    x = mr.tensor(np.array([0.3, -1.2, 0.8]), requires_grad=True)
    with mr.trace.record() as trace:
        y = run(program, x)
        if y is x:
            return
        g = np.array([0.5, -2.0, 1.5])
        expected: dict[int, np.ndarray] = {}
        brute_force(y._node, g, x._node, 0, expected)
        if not expected:
            return
        y.backward(g)
    spectrum = trace.path_spectrum(x)
    scale = max(np.abs(part).max() for part in expected.values())
    np.testing.assert_array_equal(spectrum.total, x.grad.numpy())
    for crossed, part in enumerate(spectrum.parts):
        np.testing.assert_allclose(part, expected.get(crossed, np.zeros(3)), atol=1e-13 * scale)
    assert len(spectrum.parts) == max(expected) + 1


def test_the_paths_counted_are_those_of_the_pass_that_is_replayed():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = ops.residual_add(x, 2 * x)
        y.backward(retain_graph=True)
        ops.residual_add(y, 3 * y).backward()
    assert trace.path_spectrum(x).paths == (1, 2, 1)


def test_a_spectrum_computed_again_takes_the_place_of_the_first():
    model, x = gated(2), mr.randn(4, 6, dtype=mr.float64)
    x.requires_grad_()
    trace = recorded(model, x)
    for _ in range(2):
        trace.path_spectrum(x)
    trace.path_spectrum("1")
    assert len(trace.records.spectra) == 2
    held = sum(array.nbytes for array in trace.arrays.values())
    assert held == trace.records.budget.arrays


def test_shares_of_what_is_not_finite_are_undefined():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        ops.residual_add(x, 3 * x).backward(np.array([np.inf, 1.0]))
    assert trace.path_spectrum(x).shares == (None, None)


def test_more_paths_than_a_float_can_count():
    x = mr.tensor([1.0], requires_grad=True)
    with mr.trace.record() as trace:
        h = x
        for _ in range(8):
            h = ops.residual_add(h, 1e-3 * h)
        h.backward()
    spectrum = trace.path_spectrum(x)
    deep = type(spectrum)(**(vars(spectrum) | {"paths": tuple([10**400] * len(spectrum.paths))}))
    assert max(deep.per_path) == 0
    assert "1.000e+400" in repr(deep)


def test_the_residual_says_how_well_the_parts_add_up():
    model, x = gated(4), mr.randn(4, 6, dtype=mr.float64)
    x.requires_grad_()
    spectrum = recorded(model, x).path_spectrum(x)
    assert spectrum.residual < 1e-15
    broken = type(spectrum)(**(vars(spectrum) | {"total": spectrum.total * 1.01}))
    assert broken.residual > 1e-3


def test_a_mask_in_front_of_a_block_is_not_taken_for_its_input():
    class Masked(nn.Module):
        def forward(self, x):
            return ops.residual_add(mr.ones(2) * x, 3 * x)

    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Masked()

        def forward(self, x):
            return self.block(x)

    x = mr.tensor([1.0, 2.0], requires_grad=True)
    trace = recorded(Around(), x)
    assert trace.value("block").index == trace.value(x).index == trace.value().index


@pytest.mark.parametrize("kind", BLOCKS)
def test_spelling_ops_out_changes_neither_parts_nor_paths(kind):
    model, x = made(Stack(kind, "B")), images()
    plain = recorded(model, x).path_spectrum(x)
    with mr.expand("conv2d", "batch_norm"):
        spelled = recorded(model, x).path_spectrum(x)
    assert plain.paths == spelled.paths == (1, 3, 3, 1)
    scale = np.abs(plain.total).max()
    for ours, theirs in zip(plain.parts, spelled.parts, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12 * scale)


def test_a_module_is_asked_for_by_its_path():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x)
    with pytest.raises(TypeError, match="named by its path"):
        trace.path_spectrum(model.blocks[0])
