"""A recorded step is checked; planted mistakes must be found, and right networks pass."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.trace.replay import OverwrittenSinceError, ReplayError
from minires.trace.verification import Verification
from minires.trace.vjp_check import _stand_in
from tests.trace.nets import STAGES, batch, block_of, network, recorded

NETS = [
    (kind, shortcut, norms)
    for kind in ("basic", "preact")
    for shortcut in ("A", "B", "C", None)
    for norms in (True, False)
]


@pytest.mark.parametrize(("kind", "shortcut", "norms"), NETS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_a_right_network_passes(kind, shortcut, norms, dtype):
    found = recorded(network(kind, 1, shortcut, 3, norms, dtype), 3, dtype).check()
    assert found, str(found)
    assert not found.undecided
    assert "is right" in str(found)


def test_every_vjp_that_ran_and_every_fork_is_checked():
    trace = recorded(network("basic", 2))
    found = trace.check().findings
    ran = [visit.value for visit in trace.records.backward if visit.op is not None]
    forks = [visit.value for visit in trace.records.backward if len(visit.parts) > 1]
    names = [trace.records.values[value].name for value in ran]
    assert [one.place for one in found if one.what == "vjp"] == names
    assert len([one for one in found if one.what == "sum"]) == len(forks) > 0
    assert len([one for one in found if one.what == "again"]) == len(trace.records.backward)


def test_a_network_in_evaluation_mode_passes():
    model = network("preact").eval()
    assert recorded(model).check()


def test_the_steps_inside_of_ops_pass():
    with mr.expand("conv2d", "batch_norm", "residual_add"):
        trace = recorded(network(), replay=True)
    found = trace.check()
    assert found, str(found)
    assert len(found.findings) > 2 * len(recorded(network()).check().findings)


def test_gradients_of_gradients_pass():
    model, (x, y) = network(), batch()
    with mr.trace.record(model, replay=True) as trace:
        loss = mr.ops.cross_entropy(model(x), y)
        gradients = mr.grad(loss, list(model.parameters()), create_graph=True)
        sum((g * g).sum() for g in gradients).backward()
    found = trace.check()
    assert found, str(found)
    assert not found.undecided


@mr.op(name="repeated_rows", has_aux=True)
def repeated_rows(x, rows, *, scale, times):
    return np.concatenate([x[rows]] * times) * scale, len(rows)


@repeated_rows.vjp
def _(g, rows, aux, scale, shapes):
    # It does not ask for `times`.
    total = g.reshape(-1, aux, *g.shape[1:]).sum(0) * scale
    whole = np.zeros(shapes[0], g.dtype)
    np.add.at(whole, rows, total)
    return whole


def test_ops_of_many_kinds_pass():
    mr.manual_seed(0)
    x = mr.randn(4, 6, requires_grad=True)
    with mr.trace.record() as trace:
        y = mr.ops.dropout(x, 0.5) + mr.ops.exp(0.1 * x) - mr.ops.sqrt(x * x + 1.0)
        y = mr.concatenate([y, mr.ops.sigmoid(y)[:, ::2]], 1)
        y = repeated_rows(y, np.array([0, 0, 3]), scale=0.5, times=2)
        y = mr.ops.softmax(y, 1) @ mr.randn(9, 3)
        y.mean(0, keepdim=True).sum().backward()
    found = trace.check()
    assert found, str(found)
    assert not found.undecided, str(found)


def test_a_check_leaves_the_model_and_the_random_numbers_as_they_were():
    model = network()
    trace = recorded(model)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    mr.manual_seed(5)
    trace.check()
    drawn = mr.randn(3).numpy()
    mr.manual_seed(5)
    assert np.array_equal(drawn, mr.randn(3).numpy())
    for name, value in model.state_dict().items():
        assert np.array_equal(before[name], value.numpy()), name


# -- planted mistakes ------------------------------------------------------------------------


@mr.op(name="soft_clip")
def soft_clip(x):
    return x / (1 + np.abs(x))


@soft_clip.vjp
def _(g, x):
    return g / (1 + mr.ops.abs(x))  # the square is forgotten


def test_a_users_op_in_the_middle_is_named_with_both_numbers():
    model = network("basic", 2)
    path, block = block_of(model, 1, 1)
    forward = block.bn1.forward
    block.bn1.forward = lambda x: soft_clip(forward(x))
    trace = recorded(model)
    found = trace.check()
    assert not found
    first = found.first
    assert first.place == f"{path}.bn1/soft_clip"
    assert (first.what, first.edge) == ("vjp", "x")
    assert abs(first.found) > abs(first.expected)
    assert f"{first.found:.9g}" in str(found)
    assert f"{first.expected:.9g}" in str(found)
    wrong = [one for one in found.findings if one.status == "wrong"]
    assert wrong == [first]


@mr.op(name="skewed_add")
def skewed_add(shortcut, branch):
    return shortcut + branch


@skewed_add.vjp
def _(g):
    return 2 * g, g


def test_a_doubled_skip_gradient_is_found():
    x = mr.randn(2, 3, requires_grad=True)
    with mr.trace.record() as trace:
        skewed_add(x, mr.ops.tanh(x)).sum().backward()
    first = trace.check().first
    assert (first.place, first.edge) == ("skewed_add", "shortcut")
    assert first.found == pytest.approx(2 * first.expected, rel=1e-6)


def _patched(name, path, change):
    """Let the VJP of an op, where it runs in a module, send something else."""
    op = mr.autograd.registry[name]
    right = op._call_vjp

    def wrong(node, g, *rest):
        sent = right(node, g, *rest)
        return change(sent) if node.module_path == path else sent

    op._call_vjp = wrong
    return op, right


# For each op of a block, the module that runs it and its inputs.
OPS = {
    "basic": [
        ("conv2d", ".conv1", 2),
        ("batch_norm", ".bn1", 3),
        ("relu", ".relu", 1),
        ("conv2d", ".conv2", 2),
        ("batch_norm", ".bn2", 3),
        ("residual_add", "", 2),
    ],
    "preact": [
        ("batch_norm", ".bn1", 3),
        ("conv2d", ".conv1", 2),
        ("batch_norm", ".bn2", 3),
        ("conv2d", ".conv2", 2),
        ("residual_add", "", 2),
    ],
}


@given(
    st.sampled_from(["basic", "preact"]),
    st.integers(0, 5),
    st.integers(0, 2),
    st.integers(0, STAGES - 1),
    st.sampled_from([2.0, 1.001, -1.0, 0.0]),
    st.integers(0, 1000),
)
def test_a_scaled_gradient_of_any_op_is_named(kind, which, slot, stage, factor, seed):
    name, inner, inputs = OPS[kind][which % len(OPS[kind])]
    slot %= inputs
    model = network(kind, 1, "B", seed)
    path = f"layer{stage + 1}.0{inner}"

    def change(sent):
        sent = sent if isinstance(sent, tuple) else (sent,)
        return tuple(g * factor if n == slot else g for n, g in enumerate(sent))

    op, right = _patched(name, path, change)
    try:
        trace = recorded(model, seed)
        found = trace.check()
    finally:
        op._call_vjp = right
    first = found.first
    assert first is not None, f"{name} in {path}, input {slot}"
    assert first.what == "vjp"
    # A module may run its op several times.
    assert first.place.removesuffix(":2") == f"{path}/{name}"
    assert first.edge == op.input_name(slot)
    assert first.found == pytest.approx(factor * first.expected, rel=1e-5, abs=1e-7)
    wrong = [one for one in found.findings if one.status == "wrong"]
    assert all(one.place.removesuffix(":2") == f"{path}/{name}" for one in wrong)


def test_a_convolution_that_loses_a_term_is_found_first_where_backward_meets_it_first():
    op = mr.autograd.registry["conv2d"]
    right = op._call_vjp

    def lossy(node, g, *rest):
        dx, dw, db = right(node, g, *rest)
        dw = None if dw is None else dw.copy()
        if dw is not None and dw.shape[-1] > 1:
            dw[..., 0, 0] = 0
        return dx, dw, db

    op._call_vjp = lossy
    try:
        trace = recorded(network("basic", 1))
        found = trace.check()
    finally:
        op._call_vjp = right
    assert found.first.place == "layer3.0.conv2/conv2d"
    assert found.first.edge == "weight"
    assert (found.first.found, found.first.expected) == (0, found.first.expected)
    wrong = [one.place for one in found.findings if one.status == "wrong"]
    assert len(wrong) == 7  # every 3x3 convolution
    assert "7 of" in str(found)
    assert "... and 3 more" in str(found)


def test_a_vjp_that_was_wrong_only_then_is_found_by_running_it_again():
    op, right = _patched("conv2d", "layer2.0.conv1", lambda sent: (sent[0] * 1.5, *sent[1:]))
    try:
        trace = recorded(network("basic", 1))
    finally:
        op._call_vjp = right
    first = trace.check().first
    assert first.what == "again"
    assert "layer2.0.conv1/conv2d" in first.message


def test_a_wrong_sum_is_found(monkeypatch):
    from minires.autograd import tape

    def forgetful(parts, recorded):
        return parts[0][0] + 0.5 * parts[1][0]

    monkeypatch.setattr(tape, "_sum", forgetful)
    found = recorded(network("basic", 1)).check()
    assert found.first.what == "sum"
    assert found.first.place.startswith("layer2.0.relu/relu")
    assert found.first.expected == 1
    assert not math.isclose(found.first.found, 1, rel_tol=1e-3)


def test_a_sum_that_lost_everything_has_no_shares(monkeypatch):
    from minires.autograd import tape

    monkeypatch.setattr(tape, "_sum", lambda parts, recorded: parts[0][0] * 0)
    x = mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace:
        (x * 2.0 + x).sum().backward()
    (wrong,) = [one for one in trace.check().findings if one.what == "sum"]
    assert wrong.status == "wrong"
    assert math.isnan(wrong.found)


def test_every_pass_runs_again_and_every_vjp_is_compared_once():
    x = mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace:
        y = mr.ops.tanh(x).sum()
        y.backward(retain_graph=True)
        y.backward()
    found = trace.check()
    assert len([one for one in found.findings if one.what == "vjp"]) == 2
    assert len([one for one in found.findings if one.what == "again"]) == 6


def test_a_mistake_of_the_first_of_two_passes_is_found():
    x = mr.randn(3, requires_grad=True)
    op, right = _patched("tanh", "", lambda sent: sent * 1.5)
    with mr.trace.record() as trace:
        y = mr.ops.tanh(x).sum()
        try:
            y.backward(retain_graph=True)
        finally:
            op._call_vjp = right
        y.backward()
    first = trace.check().first
    assert (first.what, first.place) == ("again", "input 0")


def test_an_op_is_checked_itself_where_it_would_be_spelled_out():
    op, right = _patched("conv2d", "layer2.0.conv1", lambda sent: (sent[0] * 1.5, *sent[1:]))
    try:
        trace = recorded(network("basic", 1))
        with mr.expand("conv2d"):
            first = trace.check().first
    finally:
        op._call_vjp = right
    assert (first.what, first.place) == ("vjp", "layer2.0.conv1/conv2d")


def test_what_stands_for_an_input_that_is_gone_varies_even_where_that_was_constant():
    x = mr.full((4, 5), 3.0).requires_grad_()
    with mr.trace.record() as trace:
        (x + 1.0).sum().backward()
    value = trace.value(x)
    assert value.stats.std == 0
    stand_in = _stand_in(value)
    assert stand_in.std() > 0.1
    assert stand_in.mean() == pytest.approx(3, abs=0.5)


@mr.op(name="rectified_by_mistake")
def rectified_by_mistake(x):
    return x * 3.0


@rectified_by_mistake.vjp
def _(g):
    return mr.ops.reshape(mr.ops.maximum(g, 0.0) * 3.0, g.shape)


def test_a_vjp_that_is_not_linear_is_wrong():
    x = mr.randn(3, 4, requires_grad=True)
    with mr.trace.record() as trace:
        rectified_by_mistake(x).sum().backward()  # on ones, it is right by chance
    first = trace.check().first
    assert first.place == "rectified_by_mistake"


@mr.op(name="tripled")
def tripled(x):
    return x * np.asarray(3, x.dtype)


@tripled.vjp
def _(g):
    return g * (3.0 if g.dtype == np.float64 else 6.0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_vjp_that_is_wrong_only_in_the_dtype_it_ran_in_is_found(dtype):
    x = mr.tensor(np.array([0.5, -1.0, 2.0], dtype), requires_grad=True)
    with mr.trace.record() as trace:
        tripled(x).sum().backward()
    first = trace.check().first
    assert (first.place, first.edge, first.what) == ("tripled", "x", "vjp")
    assert first.found == pytest.approx(2 * first.expected)
    assert dtype in first.message
    assert "float64" in first.message


def test_rounding_that_cancels_is_no_mistake():
    # Of two values per channel a batch norm sends back nearly nothing: what is left is rounding.
    x = mr.randn(2, 5, requires_grad=True)
    with mr.trace.record() as trace:
        mr.ops.batch_norm(x, None, None, training=True).sum().backward()
    found = trace.check()
    assert not [one for one in found.findings if one.status == "wrong"], str(found)


# -- what cannot be checked ------------------------------------------------------------------


def test_without_what_a_replay_needs_it_says_what_to_do():
    with pytest.raises(ReplayError, match="replay=False"):
        recorded(network(), replay=False).check()
    with pytest.raises(ReplayError, match="backward has not run"):
        recorded(network(), backward=False).check()


@pytest.mark.parametrize("write", ["in place", "by new data"])
def test_weights_that_changed_since_are_no_mistake_of_the_step(write):
    model = network()
    trace = recorded(model)
    weight = model.layer2[0].conv1.weight
    if write == "in place":
        weight.data[...] *= 2
    else:
        weight.data = weight.numpy() * 2
    with pytest.raises(OverwrittenSinceError, match=r"'weight' of 'conv2d' in 'layer2\.0\.conv1'"):
        trace.check()


@mr.op(name="blocked_by_nan")
def blocked_by_nan(x):
    return x * np.nan


@blocked_by_nan.vjp
def _(g):
    return g * np.nan


def test_what_could_not_be_compared_does_not_count_as_right():
    x = mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace:
        blocked_by_nan(x * 2.0).sum().backward()
    found = trace.check()
    assert [one.place for one in found.undecided] == ["blocked_by_nan"]
    assert "right: 2 VJPs" in str(found)
    assert "1 could not be compared" in str(found)
    # With nothing left that was compared, there is nothing to call right.
    nothing = Verification(found.undecided)
    assert not nothing
    assert nothing.first is None
    assert "could be checked" in str(nothing)
    assert "right" not in str(nothing)
    assert not Verification(())


def test_a_hook_is_no_mistake_of_the_step():
    model = network()
    model.fc.weight.register_hook(lambda g: g * 2)
    found = recorded(model).check()
    assert found
    assert any("hook" in one.message for one in found.undecided)


def test_what_was_not_looked_at_is_not_decided():
    found = recorded(network(), select="fc").check()
    assert found
    assert any("select" in one.message for one in found.undecided)


def test_an_op_whose_numbers_leave_the_floats_is_not_decided():
    x = mr.tensor([0.0, 1.0], requires_grad=True)
    with mr.trace.record() as trace, np.errstate(all="ignore"):
        mr.ops.log(x).sum().backward()
    found = trace.check()
    assert [one.place for one in found.undecided] == ["log"]
