from __future__ import annotations

import math

import numpy as np
import pytest

import minires as mr
from tests.trace.nets import network, recorded

NETS = [
    (kind, shortcut, norms)
    for kind in ("basic", "preact")
    for shortcut in ("A", "B", "C", None)
    for norms in (True, False)
]


@pytest.mark.parametrize(("kind", "shortcut", "norms"), NETS)
@pytest.mark.parametrize("options", [{}, {"replay": False}, {"save": "full"}], ids=str)
def test_a_healthy_network_raises_no_alarm_anywhere(kind, shortcut, norms, options):
    for seed in range(2):
        model = network(kind, 2, shortcut, seed, norms)
        trace = recorded(model, seed, **options)
        for value in trace.records.values:
            if value.gradient is None:
                continue
            found = trace.explain(value.index)
            assert not found.alarms, f"{value.name}: {found.alarms}"
            assert found.gradient is value.gradient


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_nor_does_it_in_other_dtypes(dtype):
    trace = recorded(network("basic", 2, dtype=dtype), dtype=dtype)
    for name in trace.records.parameters:
        assert not trace.explain(name).alarms


def test_the_factors_along_the_chain_multiply_to_the_gradient():
    trace = recorded(network("preact", 2))
    chain = trace.explain("layer1.0.conv1.weight").chain
    assert chain[0].through == "backward()"
    assert chain[-1].name == "layer1.0.conv1.weight"
    product = chain[0].norm * math.prod(stage.factor for stage in chain[1:])
    assert product == pytest.approx(chain[-1].norm, rel=1e-9)


def test_the_chain_goes_by_the_largest_contribution_at_every_fork():
    trace = recorded(network("basic", 2))
    chain = trace.explain("conv1.weight").chain
    for stage in chain:
        visit = next(v for v in trace.records.backward if v.value == stage.value)
        loudest = max(visit.parts, key=lambda part: part.stats.norm)
        if loudest.consumer is not None:
            step = trace.records.forward[loudest.consumer]
            assert stage.through.startswith(f"{step.op}.{loudest.edge}")
        assert (" more" in stage.through) == (len(visit.parts) > 1)


def test_the_mean_of_the_loss_is_told_with_its_n():
    trace = recorded(network())
    cause = next(c for c in trace.explain("fc.weight").causes if c.kind == "loss_mean")
    assert cause.number == 4
    assert not cause.alarm
    assert "1/4" in cause.sentence


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (lambda terms: terms.sum() / 40, 40),
        (lambda terms: terms.sum() * (1 / 40), 40),
        (lambda terms: terms.sum() / 8, 8),
        (lambda terms: terms.sum() / 7, None),
        (lambda terms: terms.sum(), None),
    ],
)
def test_a_mean_is_told_as_well_where_it_is_a_sum_that_is_divided(loss, count):
    x = mr.randn(8, 5, requires_grad=True)
    with mr.trace.record() as trace:
        loss(x * x).backward()
    causes = trace.explain(x).causes
    assert [c.number for c in causes if c.kind == "loss_mean"] == ([count] if count else [])
    if count:
        assert f"1/{count}" in next(c for c in causes if c.kind == "loss_mean").sentence
        assert "div" not in [c.place for c in causes if c.kind == "factor"]


def test_factors_are_those_of_the_chain_the_largest_first():
    causes = recorded(network("basic", 2)).explain("conv1.weight").causes
    assert {cause.kind for cause in causes} <= {"factor", "fork", "loss_mean"}
    assert [c.effect for c in causes] == sorted((c.effect for c in causes), reverse=True)
    for cause in causes:
        if cause.kind != "loss_mean":
            assert cause.effect == pytest.approx(abs(math.log(cause.number)))
            assert f"{cause.number:.3g}" in cause.sentence


def test_it_is_asked_for_a_tensor_a_module_a_parameter_or_a_value():
    model = network()
    x, w = mr.randn(2, 3), mr.randn(3, 2, requires_grad=True)
    with mr.trace.record(model) as trace:
        y = x @ w
        y.sum().backward()
    assert trace.explain(y).gradient.norm == pytest.approx(2)
    trace = recorded(model)
    block = trace.explain("layer2.0")
    assert block.at.startswith("layer2.0 <- layer1.0.relu/relu")
    assert trace.explain("layer1.0/residual_add").at == "layer1.0/residual_add"
    with pytest.raises(KeyError, match=r"layer1\.0\.conv1\.weight"):
        trace.explain("layer1.0.conv1.wieght")


def test_a_trace_from_a_file_explains_the_same(tmp_path):
    model = network("basic", 2)
    model.layer2[0].bn1.weight.data[...] = 0
    trace = recorded(model)
    trace.save(tmp_path / "step.trace")
    loaded = mr.trace.load(tmp_path / "step.trace")
    for at in ("layer2.0.conv1.weight", "conv1.weight", "layer3.0"):
        assert str(loaded.explain(at)) == str(trace.explain(at))


def test_a_later_backward_pass_counts():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        (3 * x).sum().backward()
        mr.ops.relu(-1.0 * mr.ops.relu(x)).sum().backward()
    found = trace.explain(x)
    assert found.gradient.norm == 0
    assert "dead_relu" in [cause.kind for cause in found.alarms]


def test_a_deep_network_is_told_in_few_lines():
    text = str(recorded(network("basic", 8)).explain("conv1.weight"))
    assert len(text.splitlines()) < 40
    assert "more)" in text
    assert "nothing is out of the ordinary" in text


def _explained(function, *shape, x=None):
    """The alarms at x for the gradient of function(x)."""
    mr.manual_seed(0)
    x = mr.randn(*shape) if x is None else mr.tensor(x)
    x.requires_grad_()
    with mr.trace.record() as trace, np.errstate(all="ignore"):
        y = function(x)
        (y * mr.randn(*y.shape)).sum().backward()
    return trace.explain(x)


def _alarm(*arguments, **named):
    found = _explained(*arguments, **named)
    assert found.alarms, str(found)
    return found.alarms[0]


def test_inputs_of_a_relu_that_are_exactly_zero_are_a_kink():
    x = np.random.default_rng(0).standard_normal((8, 8)) * (np.arange(8) < 3)
    cause = _alarm(lambda x: mr.ops.relu(x), x=x)
    assert cause.kind == "kink"
    assert cause.number == pytest.approx(5 / 8)


def test_a_kink_in_all_units_is_traced_to_what_made_them_zero():
    weight = mr.zeros(6, 4)
    causes = _explained(lambda x: mr.ops.relu(x * 0.0 @ mr.randn(4, 5)), 3, 4).alarms
    del weight
    assert [cause.kind for cause in causes] == ["zero_value", "kink"]
    assert causes[0].place == "mul"


@pytest.mark.parametrize("function", [mr.ops.tanh, mr.ops.sigmoid])
def test_saturation(function):
    cause = _alarm(lambda x: function(50 + x), 4, 4)
    assert cause.kind == "saturation"
    assert cause.number < 0.01
    assert not _explained(function, 4, 4).alarms


def test_a_cause_beside_the_loudest_way_says_so():
    def gated(x):
        gate = mr.ops.sigmoid(x - 10)
        return (1 - gate) * x

    cause = _alarm(gated, 4, 4)
    assert cause.place == "sigmoid"
    assert cause.sentence.endswith("The largest part of the gradient came another way.")


def test_a_batch_norm_of_two_values_per_channel_leaves_nothing():
    def normed(x):
        return mr.ops.batch_norm(x, None, None, training=True)

    cause = _alarm(normed, 2, 5)
    assert cause.kind == "batch_norm_projection"
    assert cause.number < 1e-3
    assert not _explained(normed, 16, 5).alarms


def test_a_batch_norm_of_a_constant_sends_much():
    def normed(x):
        return mr.ops.batch_norm(x, None, None, training=True)

    constant = 3 + 1e-6 * np.random.default_rng(0).standard_normal((16, 5))
    cause = _alarm(normed, x=constant)
    assert cause.kind == "gamma_over_sigma"
    assert cause.number == pytest.approx(316, rel=0.01)
    assert "hardly varies" in cause.sentence


@pytest.mark.parametrize(
    ("gamma", "sigma", "told", "untold"),
    [
        (1000.0, 0.5, "gamma is large, 1e+03", "its input"),
        (1e-3, 2.0, "gamma is small, 0.001", "its input"),
        (1.0, 1.7e3, "its input varies much", "gamma is"),
        (1.0, 1e-4, "its input hardly varies", "gamma is"),
        (1e-2, 1e2, "gamma is small, 0.01 and its input varies much", "hardly"),
    ],
)
def test_of_gamma_and_sigma_the_one_out_of_range_is_named(gamma, sigma, told, untold):
    def normed(x):
        return mr.ops.batch_norm(x, None, None, mr.full((5,), gamma), training=True)

    values = np.random.default_rng(0).standard_normal((64, 5)) * sigma
    cause = _alarm(normed, x=values)
    assert cause.kind == "gamma_over_sigma"
    assert told in cause.sentence
    assert untold not in cause.sentence


def test_gamma_of_a_batch_norm_gets_nothing_from_a_constant_input():
    gamma = mr.ones(5).requires_grad_()
    with mr.trace.record() as trace:
        y = mr.ops.batch_norm(mr.full((4, 5), 2.0), None, None, gamma, training=True)
        (y * mr.randn(4, 5)).sum().backward()
    cause = trace.explain(gamma).causes[0]
    assert cause.kind == "constant_input"
    assert cause.number == pytest.approx(1e-5**0.5)


def test_what_is_multiplied_by_zeros_is_traced_to_who_gave_them():
    cause = _alarm(lambda x: x * mr.zeros(4, 4), 4, 4)
    assert (cause.kind, cause.place) == ("zero_value", "input 1")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda w: (w * w).sum() * 0, "multiplies by the constant 0"),
        (lambda w: 0.0 * (w * w), "multiplies by the constant 0"),
        (lambda w: (w * w).sum() / math.inf, "divides with the constant inf"),
        (lambda w: 0 / (w * w), "divides with the constant 0"),
    ],
)
def test_a_constant_by_which_nothing_is_left_is_named(function, told):
    found = _explained(function, 4, 5)
    assert [cause.kind for cause in found.alarms] == ["zero_value"]
    assert told in found.alarms[0].sentence


def test_what_a_maximum_compares_with_is_no_factor_that_could_underflow():
    for bound in (0.0, mr.zeros(4, 5)):
        found = _explained(lambda x, bound=bound: mr.maximum(x - 10.0, bound), 4, 5)
        assert [cause.kind for cause in found.alarms] == ["blocked"]
        assert found.alarms[0].place == "maximum"


def test_a_product_with_small_numbers_underflows():
    found = _explained(lambda x: (x * 1e-30) * 1e-30, 4, 5)
    assert "underflow" in [cause.kind for cause in found.alarms]
    found = _explained(lambda x: x * mr.full((4, 5), 1e-30) * mr.full((4, 5), 1e-30), 4, 5)
    assert "underflow" in [cause.kind for cause in found.alarms]


def _normed(gamma, training):
    return lambda x: mr.ops.batch_norm(
        x, mr.zeros(5), mr.ones(5), mr.full((5,), gamma), training=training
    )


@pytest.mark.parametrize(
    ("function", "kind", "place"),
    [
        (lambda x: _normed(0.0, False)(x) ** 2, "zero_gamma", "batch_norm"),
        (lambda x: _normed(1.0, True)(x * 0.0 + 3.0) ** 2, "constant_input", "batch_norm"),
        (lambda x: mr.ops.dropout(x, 1.0), "dropout", "dropout"),
        (lambda x: mr.ops.dropout(x, 1.0) ** 2, "dropout", "dropout"),
        (lambda x: mr.ops.softmax(x * 1e6, 1), "saturation", "softmax"),
        (
            lambda x: mr.ops.cross_entropy(x * 1e6, mr.ops.argmax(x, 1)),
            "saturation",
            "cross_entropy",
        ),
    ],
)
def test_what_leaves_nothing_is_named_rather_than_blocked(function, kind, place):
    found = _explained(function, 8, 5)
    assert found.gradient.norm == 0
    assert (kind, place) in [(cause.kind, cause.place) for cause in found.alarms], str(found)
    assert "blocked" not in [cause.kind for cause in found.alarms]


def test_a_batch_norm_of_zeros_names_who_gave_them():
    found = _explained(lambda x: _normed(1.0, True)(x) ** 2, x=np.zeros((8, 5)))
    assert [cause.kind for cause in found.alarms] == ["zero_value", "constant_input"]


def test_an_op_that_sends_nothing_for_no_known_reason_is_named_as_well():
    cause = _alarm(lambda x: mr.clip(x, 10.0, 20.0), 4, 4)
    assert cause.kind == "blocked"
    assert cause.number == 0


def test_integers_have_no_gradient():
    x = mr.randn(4, requires_grad=True)
    with mr.trace.record() as trace:
        order = mr.ops.argmax(x)
        (x * 2.0).sum().backward()
    cause = trace.explain(order).causes[0]
    assert cause.kind == "not_differentiable"
    assert "int64" in cause.sentence


def test_what_needs_no_gradient_is_told_apart_from_what_lost_it():
    a, b = mr.randn(3), mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace:
        c = a * 2.0
        (c * b).sum().backward()
    assert trace.explain(a).causes[0].kind == "no_gradient_required"
    assert trace.explain(c).causes[0].kind == "no_gradient_required"
    assert trace.explain(c).causes[0].place == "mul"


def test_a_mask_is_no_cut_of_the_graph():
    x = mr.randn(8, requires_grad=True)
    with mr.trace.record() as trace:
        mr.where(x > 0, x, 0.1 * x).sum().backward()
    assert not trace.explain(x).alarms


def test_a_measurement_beside_the_loss_is_no_cut_of_the_graph():
    model = network()
    x = mr.randn(2, 3, 8, 8)
    with mr.trace.record(model) as trace:
        logits = model(x)
        (logits.detach() * 2.0).sum()
        with mr.no_grad():
            (logits * 3.0).sum()
        mr.ops.cross_entropy(logits, mr.tensor(np.array([1, 2]))).backward()
    for name in trace.records.parameters:
        assert not trace.explain(name).alarms


def test_what_was_not_looked_at_is_told():
    trace = recorded(network(), select="fc")
    cause = trace.explain("layer1.0.conv1.weight").causes[0]
    assert cause.kind == "not_looked_at"
    assert "select" in str(trace.explain("layer1.0.conv1.weight"))
    assert not trace.explain("fc.weight").alarms


def test_a_hook_that_replaced_a_gradient_does_not_confuse_the_chain():
    model = network()
    x, y = mr.randn(4, 3, 8, 8), mr.tensor(np.array([1, 2, 3, 4]))
    with mr.trace.record(model) as trace:
        features = model.layer1(model.relu(model.bn1(model.conv1(x))))
        features.register_hook(lambda g: g * 0.0)
        features = model.layer3(model.layer2(features))
        mr.ops.cross_entropy(model.fc(mr.ops.mean(features, (2, 3))), y).backward()
    found = trace.explain("conv1.weight")
    assert found.gradient.norm == 0
    assert found.alarms[0].kind == "hook"


@pytest.mark.parametrize("where", ["leaf", "result"])
def test_a_hook_that_makes_nan_is_named(where):
    x = mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace:
        y = x * 2.0
        (x if where == "leaf" else y).register_hook(lambda g: g * math.nan)
        y.sum().backward()
    found = trace.explain(x)
    assert found.gradient.nans == 3
    assert [cause.kind for cause in found.alarms] == ["hook"]
    assert found.alarms[0].place == ("input 0" if where == "leaf" else "mul")
    assert found.alarms[0].number == 3
    assert "3 NaN" in found.alarms[0].sentence


def test_a_loss_that_is_nan_is_told_though_the_gradient_is_finite():
    x = mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace:
        (x * 2.0 + math.nan).sum().backward()
    found = trace.explain(x)
    assert found.gradient.finite
    (cause,) = found.alarms
    assert (cause.kind, cause.place) == ("not_finite", "add")
    assert "began at sum, which holds 1 NaN" in cause.sentence
    assert "nothing is out of the ordinary" not in str(found)


@pytest.mark.parametrize("factor", [1e30, 1e-20])
def test_an_extreme_factor_without_a_name_is_an_alarm(factor):
    found = _explained(lambda x: x * factor, 3, 4)
    (cause,) = found.alarms
    assert (cause.kind, cause.place) == ("factor", "mul")
    assert cause.number == pytest.approx(factor)
    assert not _explained(lambda x: x * 65536.0, 3, 4).alarms


def test_norms_at_the_ends_of_the_floats_are_explained_as_well():
    for scale in (1e300, 1e-300):
        x = mr.tensor(np.array([1.0, 2.0]), requires_grad=True)
        with mr.trace.record() as trace:
            y = x * scale
            (y - y * (1 - 1e-9)).sum().backward()
        assert "cancellation" in [cause.kind for cause in trace.explain(y).alarms]


# -- the text ---------------------------------------------------------------------------------


def test_the_note_counts_what_is_really_smaller_and_is_left_out_for_few():
    x = [mr.ones(2, 2).requires_grad_() for _ in range(3)]
    with mr.trace.record() as trace:
        (x[0] * 3.0 + x[1] * 3.0 + x[2]).sum().backward()
    # Of two that are alike, neither is smaller.
    assert "1 of the other 2 inputs have a smaller rms" in str(trace.explain(x[0]))
    assert "0 of the other 2 inputs have a smaller rms" in str(trace.explain(x[2]))
    with mr.trace.record() as trace:
        (x[0] * 3.0 + x[1]).sum().backward()
    assert trace.explain(x[0]).note == ""


def test_the_step_that_left_nothing_is_shown_on_a_long_way():
    x = mr.randn(4, requires_grad=True)
    with mr.trace.record() as trace:
        y = x
        for _ in range(20):
            y = y * 1.5
        y = mr.clip(y, 1e6, 2e6)
        for _ in range(20):
            y = y * 2.0
        y.sum().backward()
    found = trace.explain(x)
    assert any(stage.factor == 0 for stage in found.chain)
    assert "clip.x" in str(found)
    assert "more)" in str(found)


# -- what is no cause -------------------------------------------------------------------------


@mr.op(name="weighted_sides")
def weighted_sides(shortcut, branch):
    return 3.0 * shortcut + branch


@weighted_sides.vjp
def _(g):
    return 3.0 * g, g


def test_an_op_with_a_shortcut_that_is_no_addition_may_send_more():
    x = mr.full((3, 4), 2.0).requires_grad_()
    with mr.trace.record() as trace:
        weighted_sides(x, mr.ops.tanh(x)).sum().backward()
    assert "wrong_side" not in [cause.kind for cause in trace.explain(x).causes]


def test_nan_in_a_detached_copy_is_traced_to_its_source():
    w, x = mr.randn(3, requires_grad=True), mr.randn(3, requires_grad=True)
    with mr.trace.record() as trace, np.errstate(all="ignore"):
        (w * mr.ops.log(x - 100.0).detach()).sum().backward()
    (cause,) = trace.explain(w).alarms
    assert (cause.kind, cause.place) == ("not_finite", "log")


# -- records that were written by others ------------------------------------------------------


@pytest.mark.parametrize(
    "notes", [{}, {"odd": 1.0}, {"gamma_over_sigma": 0.0}, {"gamma_over_sigma": -3.0}], ids=str
)
def test_notes_that_are_missing_or_odd_are_no_obstacle(notes):
    trace = recorded(network("basic", 2))
    for step in trace.records.forward:
        step.notes = dict(notes) if step.notes else {}
    for value in trace.records.values:
        assert str(trace.explain(value.index))


@pytest.mark.parametrize("change", ["norms", "dtype", "zeros"])
def test_nor_are_numbers_at_the_ends_and_unknown_dtypes(change):
    trace = recorded(network("basic", 1))
    for visit in trace.records.backward:
        for stats in (visit.stats, *(p.stats for p in visit.parts), *(s.stats for s in visit.sent)):
            stats.norm = {"norms": 1.7e308, "zeros": 0.0}.get(change, stats.norm)
    for value in trace.records.values:
        value.dtype = "float99" if change == "dtype" else value.dtype
        trace.records.backward[0].stats.norm = 1.0
    for value in trace.records.values:
        assert str(trace.explain(value.index))
