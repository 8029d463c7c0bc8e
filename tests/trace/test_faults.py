"""Faults are planted in real networks; the explanation must name each, and where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minires as mr
from minires import nn
from tests.trace.nets import STAGES, block_of, network, recorded

# Where a fault is planted: the kind of block, how many there are, which one, from which weights.
PLACES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["basic", "preact"]),
        "blocks": st.integers(1, 3),
        "shortcut": st.sampled_from(["A", "B", "C"]),
        "stage": st.integers(0, STAGES - 1),
        "number": st.integers(0, 2),
        "seed": st.integers(0, 10_000),
    }
)
OPTIONS = st.sampled_from(
    [{}, {"save": "full"}, {"replay": False}, {"save": "full", "replay": False}]
)


def _planted(place: dict[str, Any], **options: Any) -> tuple[nn.Module, str, Any]:
    """A network, and the path of the block in it that something is done to."""
    model = network(place["kind"], place["blocks"], place["shortcut"], place["seed"], **options)
    path, block = block_of(model, place["stage"], place["number"] % place["blocks"])
    return model, path, block


def _first(trace: mr.trace.Trace, at: str) -> Any:
    found = trace.explain(at)
    assert found.causes, f"no cause for {at}"
    assert found.causes[0].alarm, f"no alarm for {at}: {found.causes}"
    assert found.causes[0].sentence in str(found)
    return found.causes[0]


def _named(trace: mr.trace.Trace, at: str, kind: str, place: str) -> Any:
    alarms = trace.explain(at).alarms
    found = [cause for cause in alarms if (cause.kind, cause.place) == (kind, place)]
    assert found, f"no {kind} in {place}: {alarms}"
    return found[0]


class _Then(nn.Module):
    """A layer, and what is done to its output."""

    def __init__(self, inner: nn.Module, function: Any) -> None:
        super().__init__()
        self.inner = inner
        self.function = function

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return self.function(self.inner(x))


@given(PLACES, OPTIONS)
def test_a_dead_relu(place, options):
    model, path, block = _planted(place)
    # The norm before the block's inner ReLU.
    norm, name = (block.bn1, "bn1") if place["kind"] == "basic" else (block.bn2, "bn2")
    norm.bias.data[...] = -100
    trace = recorded(model, place["seed"], **options)
    for at in (f"{path}.conv1.weight", f"{path}.{name}.weight", f"{path}.conv2.weight"):
        assert trace.explain(at).gradient.norm == 0
        cause = _first(trace, at)
        assert cause.kind == "dead_relu"
        assert cause.number == 1
        # Fused, the ReLU has no module of its own; it is named by the norm before it.
        assert cause.place == (f"{path}.{name}" if "replay" in options else f"{path}.relu")
        assert f"{path}.{name}" in cause.sentence


@given(PLACES, OPTIONS)
def test_what_a_dead_branch_would_have_made_large_is_no_cause(place, options):
    # The second norm of the branch gets a constant: gamma / sigma is 316, of a gradient that the
    # ReLU before it turns into 0.
    model, path, block = _planted({**place, "kind": "basic"})
    block.bn1.bias.data[...] = -100
    trace = recorded(model, place["seed"], **options)
    for at in ("conv1.weight", f"{path}.conv1.weight"):
        alarms = trace.explain(at).alarms
        assert not [c for c in alarms if c.kind == "gamma_over_sigma" and c.place.startswith(path)]
        assert "dead_relu" in [cause.kind for cause in alarms]


@given(PLACES, OPTIONS)
def test_a_nearly_dead_relu(place, options):
    # Behind the addition; of its inputs one in a thousand is positive.
    model, path, block = _planted({**place, "kind": "basic"})
    block.downsample = _Then(block.downsample, lambda y: y * 0.0)
    block.bn2.bias.data[...] = -2.0
    trace = recorded(model, place["seed"], **options)
    # Others may follow from it: what samples hardly any but zeros dies as well.
    assume(trace.explain(f"{path}.bn2.bias").gradient.norm > 0)
    where = f"{path}.{'bn2' if 'replay' in options else 'relu'}"
    cause = _named(trace, f"{path}.bn2.bias", "dead_relu", where)
    assert 0.95 <= cause.number <= 1


@given(PLACES, OPTIONS, st.sampled_from(["bn1", "bn2"]))
def test_zero_gamma(place, options, name):
    model, path, block = _planted(place)
    getattr(block, name).weight.data[...] = 0
    trace = recorded(model, place["seed"], **options)
    before = {"basic": "conv{}", "preact": "conv1"}[place["kind"]].format(name[-1])
    if place["kind"] == "preact" and name == "bn1":
        # What is before it is the rest of the network, which has the shortcut, if not projected.
        alarms = trace.explain(path).alarms
        cause = next(cause for cause in alarms if cause.kind == "zero_gamma")
    else:
        cause = _first(trace, f"{path}.{before}.weight")
    assert cause.kind == "zero_gamma"
    assert cause.place == f"{path}.{name}"
    assert cause.number == 1


@given(PLACES, OPTIONS)
def test_a_detached_shortcut(place, options):
    model, path, block = _planted(place)
    block.downsample = _Then(block.downsample, lambda y: y.detach())
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, path)
    assert cause.kind == "detached"
    joins = [
        s.module for s in trace.records.forward if any(o.edge == "shortcut" for o in s.operands)
    ]
    assert cause.place in joins
    assert cause.place.startswith(path)
    assert "'shortcut'" in cause.sentence


@given(PLACES, OPTIONS)
def test_a_detached_input_of_a_block(place, options):
    model, path, block = _planted(place)
    forward = block.forward
    block.forward = lambda x: forward(x.detach())
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, "conv1.weight")
    assert trace.explain("conv1.weight").gradient is None
    assert cause.kind == "detached"
    assert cause.place.startswith(path)


@mr.op(name="doubling_add")
def doubling_add(shortcut, branch):
    return shortcut + branch


@doubling_add.vjp
def _(g):
    return 2 * g, g


class _Doubling(nn.Module):
    """A block that adds by an op whose VJP doubles the skip gradient."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        b = self.block
        y = b.conv2(b.relu(b.bn1(b.conv1(x))))
        return b.relu(doubling_add(b.downsample(x), b.bn2(y)))


@given(PLACES, OPTIONS)
def test_a_doubled_skip_gradient(place, options):
    place = {**place, "kind": "basic"}
    model, path, block = _planted(place)
    stage = model.get_submodule(path.rpartition(".")[0])
    setattr(stage, path.rpartition(".")[2], _Doubling(block))
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, path)
    assert cause.kind == "wrong_side"
    assert cause.place == path
    assert cause.number == pytest.approx(2, rel=1e-5)
    assert "shortcut" in cause.sentence


@given(PLACES, st.sampled_from([{}, {"save": "full"}]), st.sampled_from(["shortcut", "branch"]))
def test_a_doubled_side_of_the_engines_own_addition(place, options, side):
    add = mr.autograd.registry["residual_add"]
    right = add._call_vjp
    factors = (2, 1) if side == "shortcut" else (1, 2)
    model, path, _ = _planted(place)
    add._call_vjp = lambda node, g, *_: (
        tuple(f * g for f in factors) if node.module_path.startswith(path) else (g, g)
    )
    try:
        trace = recorded(model, place["seed"], **options)
    finally:
        add._call_vjp = right
    cause = _first(trace, path)
    assert cause.kind == "wrong_side"
    assert cause.place.startswith(path)
    assert cause.number == pytest.approx(2, rel=1e-5)
    assert side in cause.sentence


@given(PLACES, OPTIONS, st.sampled_from([("float16", 2.0**-16), ("float32", 2.0**-136)]))
def test_underflow(place, options, dtype_and_scale):
    dtype, scale = dtype_and_scale
    model, path, block = _planted(place, dtype=dtype)
    last = "bn2" if place["kind"] == "basic" else "conv2"
    setattr(block, last, _Then(getattr(block, last), lambda y: y * scale))
    trace = recorded(model, place["seed"], dtype, **options)
    cause = _first(trace, f"{path}.conv1.weight")
    assert cause.kind == "underflow"
    assert cause.place == f"{path}.{last}"
    assert cause.number >= 0.9
    assert dtype in cause.sentence


@given(PLACES, OPTIONS)
def test_a_nan_of_the_forward_pass(place, options):
    model, path, block = _planted(place)
    block.conv2 = _Then(block.conv2, lambda y: mr.ops.log(y - 100.0))
    with np.errstate(all="ignore"):
        trace = recorded(model, place["seed"], **options)
    for at in ("conv1.weight", f"{path}.conv1.weight", "fc.weight", path):
        cause = _first(trace, at)
        assert cause.kind == "not_finite"
        assert cause.place == f"{path}.conv2"
        assert trace.records.forward[cause.step].op == "log"
        assert "forward pass" in cause.sentence


@given(PLACES, OPTIONS)
def test_a_nan_of_the_backward_pass(place, options):
    # The root of 0 is 0, and its slope infinite; times 0, that is NaN.
    model, path, block = _planted(place)
    block.conv2 = _Then(block.conv2, lambda y: y + mr.ops.sqrt(y * 0.0))
    with np.errstate(all="ignore"):
        trace = recorded(model, place["seed"], **options)
    assert all(value.stats.finite for value in trace.records.values)
    cause = _first(trace, "conv1.weight")
    assert cause.kind == "not_finite"
    assert cause.place == f"{path}.conv2"
    assert trace.records.forward[cause.step].op == "sqrt"
    assert "VJP" in cause.sentence
    # The gradient that is behind it, as backward sees it, is healthy.
    assert not trace.explain("fc.weight").alarms


@given(PLACES, OPTIONS)
def test_a_nan_that_was_given(place, options):
    model, path, block = _planted(place)
    block.conv1.weight.data[0, 0, 0, 0] = np.nan
    with np.errstate(all="ignore"):
        trace = recorded(model, place["seed"], **options)
    cause = _first(trace, "fc.weight")
    assert cause.kind == "not_finite"
    assert cause.place == f"{path}.conv1.weight"
    assert cause.number == 1


@given(PLACES, OPTIONS)
def test_requires_grad_off(place, options):
    model, path, block = _planted(place)
    block.conv2.weight.requires_grad_(False)
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, f"{path}.conv2.weight")
    assert cause.kind == "no_gradient_required"
    assert cause.place == f"{path}.conv2.weight"
    assert not trace.explain(f"{path}.conv1.weight").alarms


@given(PLACES, OPTIONS)
def test_backward_not_run(place, options):
    model, path, _ = _planted(place)
    trace = recorded(model, place["seed"], backward=False, **options)
    for at in (f"{path}.conv2.weight", path):
        cause = _first(trace, at)
        assert cause.kind == "backward_not_run"
    assert "no gradient" in str(trace.explain(path))


@given(PLACES, OPTIONS)
def test_no_grad_in_the_middle(place, options):
    model, path, block = _planted(place)
    forward = block.conv1.forward

    def frozen(x: mr.Tensor) -> mr.Tensor:
        with mr.no_grad():
            return forward(x)

    block.conv1.forward = frozen
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, f"{path}.conv1.weight")
    assert cause.kind == "no_grad"
    assert cause.place == f"{path}.conv1"


@given(PLACES, OPTIONS, st.sampled_from([0.0, 1e-4, 1e4]))
def test_weights_of_a_wrong_size(place, options, scale):
    model, path, block = _planted(place, norms=False)
    block.conv2.weight.data[...] *= scale
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, f"{path}.conv1.weight")
    assert cause.kind == "weight_gain"
    assert cause.place == f"{path}.conv2"
    assert cause.number == pytest.approx(0, abs=1e-2) if scale < 1 else cause.number > 100


@given(PLACES, OPTIONS, st.sampled_from([1e-4, 1e4]))
def test_gamma_over_sigma(place, options, scale):
    model, path, block = _planted(place)
    block.bn2.weight.data[...] = scale
    trace = recorded(model, place["seed"], **options)
    # A norm that comes later undoes what a large one did, and is named beside it.
    cause = _named(trace, f"{path}.conv1.weight", "gamma_over_sigma", f"{path}.bn2")
    assert cause.number < 0.01 if scale < 1 else cause.number > 100


@given(PLACES, OPTIONS)
def test_contributions_that_cancel(place, options):
    model, path, block = _planted(place)
    # Half of what comes out is taken away again, but for a thousandth.
    block.conv1 = _Then(block.conv1, lambda y: y - 0.999 * y)
    trace = recorded(model, place["seed"], **options)
    # A norm behind it makes up for the small numbers, and is named beside it.
    cause = _named(trace, f"{path}.conv1.inner.weight", "cancellation", f"{path}.conv1.inner")
    assert cause.number == pytest.approx(0.0005, rel=0.1)


@given(PLACES, OPTIONS)
def test_a_parameter_that_nothing_uses(place, options):
    model, path, block = _planted(place)
    block.extra = nn.Linear(2, 2)
    trace = recorded(model, place["seed"], **options)
    cause = _first(trace, f"{path}.extra.weight")
    assert cause.kind == "not_used"


def test_a_value_beside_the_loss():
    model = network()
    x = mr.randn(2, 3, 8, 8)
    with mr.trace.record(model) as trace:
        features = model.layer1(model.relu(model.bn1(model.conv1(x))))
        model.layer2(features)
        (features * features).sum().backward()
    cause = _first(trace, "layer2.0.conv1.weight")
    assert cause.kind == "not_reached"
    assert cause.number == 1


def test_a_wrong_sum(monkeypatch):
    from minires.autograd import tape

    right = tape._sum
    monkeypatch.setattr(tape, "_sum", lambda parts, recorded: right(parts, recorded) * 1.5)
    trace = recorded(network("basic", 2))
    cause = _first(trace, "layer1.0.conv1.weight")
    assert cause.kind == "wrong_sum"


def test_an_exception_in_the_block_is_told():
    model, traces = network(), []

    def interrupted() -> None:
        with mr.trace.record(model) as trace:
            traces.append(trace)
            model(mr.randn(2, 3, 8, 8))
            raise RuntimeError("out of patience")

    with pytest.raises(RuntimeError):
        interrupted()
    cause = _first(traces[0], "fc.weight")
    assert cause.kind == "backward_not_run"
    assert "out of patience" in cause.sentence
