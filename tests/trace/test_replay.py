"""Running a recorded backward pass again: bit for bit, leaving nothing behind, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import nn, ops
from minires.trace import ReplayError
from tests.trace.networks import BLOCKS, DenseLayer, Head, Stack, images, made, recorded
from tests.trace.test_path_spectrum import gated, gradient_of


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_recorded_gradient_comes_out_bit_for_bit(kind):
    model, x = made(Stack(kind, "B"), "float32"), images(dtype="float32")
    trace = recorded(model, x, save="full")
    for value in trace.records.values:
        if value.gradient is not None:
            total = trace.path_spectrum(value.index).total
            np.testing.assert_array_equal(total, trace.arrays[f"gradient/{value.index}"])


def test_a_replay_changes_nothing_not_even_running_statistics():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x)
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    mr.manual_seed(5)
    first = trace.path_spectrum(x)
    second = trace.path_spectrum(x)
    trace.leave_one_out(x)
    trace.batch_norm_terms("blocks.1.bn1")
    for a, b in zip(first.parts, second.parts, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.grad.numpy(), gradients[name])
    drawn = mr.randn(3).numpy()
    mr.manual_seed(5)
    np.testing.assert_array_equal(drawn, mr.randn(3).numpy())


def test_a_replay_runs_inside_the_block_as_well_and_is_not_recorded():
    model, x = made(Stack("basic", "A")), images()
    with mr.trace.record(model) as trace:
        y = model(x)
        y.backward(y.detach())
        steps = len(trace.records.steps)
        assert len(trace.path_spectrum(x).parts) == 4
        assert len(trace.records.steps) == steps


@pytest.mark.parametrize("how", ["assigned", "in place", "copied"])
def test_a_weight_that_changed_since_is_refused_by_name(how):
    model, x = made(Stack("basic", "A")), images()
    trace = recorded(model, x)
    weight = model.blocks[2].conv2.weight
    if how == "assigned":
        weight.data = weight.data * 2
    elif how == "in place":
        weight.data[0, 0, 0, 0] += 1
    else:
        weight.copy_(weight.numpy() * 2)
    with pytest.raises(
        ReplayError, match=r"'weight' of 'conv2d' in 'blocks\.2\.conv2'.*overwritten"
    ):
        trace.path_spectrum(x)


def test_an_optimizer_step_is_such_a_change():
    model, x = made(Stack("basic", "A")), images()
    trace = recorded(model, x)
    mr.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(ReplayError, match="overwritten"):
        trace.path_spectrum(x)


def test_a_corrupted_vjp_is_noticed_by_the_checksum(monkeypatch):
    model, x = made(Stack("basic", "A")), images()
    trace = recorded(model, x)
    relu = mr.autograd.registry["relu"]
    call = relu._call_vjp
    monkeypatch.setattr(relu, "_call_vjp", lambda *given: call(*given) * 1.0000001)
    with pytest.raises(ReplayError, match="comes out differently"):
        trace.path_spectrum(x)


def test_a_vjp_that_draws_random_numbers_draws_the_same_again():
    @mr.op(name="test_noisy_gradient")
    def noisy(x):
        return x * 2

    @noisy.vjp
    def _(g):
        return g * mr.randn(*g.shape, dtype=g.dtype).numpy()

    x = images()
    with mr.trace.record() as trace:
        noisy(ops.residual_add(x, noisy(x))).sum().backward()
    mr.randn(7)
    np.testing.assert_array_equal(trace.path_spectrum(x).total, x.grad.numpy())
    assert len(trace.path_spectrum(x).parts) == 2


def test_dropout_keeps_the_mask_it_drew():
    x = images()
    with mr.trace.record() as trace:
        ops.residual_add(x, ops.dropout(3 * x, 0.5)).sum().backward()
    np.testing.assert_array_equal(trace.path_spectrum(x).total, x.grad.numpy())


def test_the_last_of_several_backward_passes_is_replayed():
    x = mr.tensor([2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = ops.residual_add(x, x * x)
        y.backward(retain_graph=True)
        (10 * y).backward()
    assert {visit.run for visit in trace.records.backward} == {0, 1}
    assert [part.item() for part in trace.path_spectrum(x).parts] == [10, 40]


def test_grad_of_several_outputs_is_replayed_with_all_its_beginnings():
    x = mr.tensor([2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = ops.residual_add(x, 3 * x)
        (gradient,) = mr.grad(
            [y, y, x * 5], x, grad_outputs=[np.ones(1), 10 * np.ones(1), np.ones(1)]
        )
    spectrum = trace.path_spectrum(x)
    assert spectrum.total.item() == gradient.item() == 49
    assert [part.item() for part in spectrum.parts] == [16, 33]
    assert spectrum.paths == (3, 2)


def test_a_recorded_backward_pass_is_replayed_by_the_formulas_it_used():
    model, x = made(Stack("basic", "B")), images()
    with mr.trace.record(model) as trace:
        y = model(x)
        (gradient,) = mr.grad(y.sum(), x, create_graph=True)
    assert any(step.vjp_of is not None for step in trace.records.forward)
    np.testing.assert_array_equal(trace.path_spectrum(x).total, gradient.detach().numpy())


def test_a_hook_that_changed_the_gradient_is_named():
    x = images()
    with mr.trace.record() as trace:
        y = mr.tanh(x)
        y.register_hook(lambda g: 2 * g)
        ops.residual_add(y, 3 * y).sum().backward()
    with pytest.raises(ReplayError, match="hook was registered on 'tanh'"):
        trace.path_spectrum(x)


def test_without_its_tape_a_trace_says_how_to_keep_it():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x, replay=False)
    with pytest.raises(ReplayError, match="replay=False"):
        trace.path_spectrum(x)


def test_a_large_step_is_recorded_without_a_tape_and_says_so():
    conv = nn.Conv2d(3, 16, 3, padding=1)
    with mr.trace.record(conv) as trace:
        conv(mr.randn(128, 3, 32, 32)).sum().backward()
    assert trace.tape is None
    with pytest.raises(ReplayError, match=r"8\.0 MiB.*replay=True"):
        trace.path_spectrum("weight")


def test_the_budget_holds_for_what_a_replay_needs():
    model, x = made(Stack("basic", "B")), images()
    whole = recorded(model, x).records.budget
    assert 0 < whole.replay <= whole.limit
    assert whole.replay_state == "kept"
    trace = recorded(model, x, budget_mb=whole.replay / 2**20 * 0.9)
    assert trace.tape is None
    assert trace.records.budget.replay == 0
    with pytest.raises(ReplayError, match="budget"):
        trace.path_spectrum(x)


def test_the_budget_holds_for_arrays_and_counts_what_was_left_out():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x, save="full", replay=False, budget_mb=0.05)
    held = sum(array.nbytes for array in trace.arrays.values())
    pictures = [v.thumbnail for v in trace.records.values if v.thumbnail]
    pictures += [v.gradient_thumbnail for v in trace.records.values if v.gradient_thumbnail]
    held += sum(len(picture.pixels) for picture in pictures)
    assert held == trace.records.budget.arrays <= trace.records.budget.limit
    assert trace.records.budget.left_out > 0


def test_where_no_gradient_arrived_the_reason_is_told():
    model, x = made(Stack("basic", "B")), images()
    with mr.trace.record(model) as trace:
        loss = model(x).sum()
    with pytest.raises(ReplayError, match="backward has not run inside the with-block"):
        trace.path_spectrum(x)
    loss.backward()  # too late
    with pytest.raises(ReplayError, match="backward has not run"):
        trace.path_spectrum(x)
    still = images().detach()
    with pytest.raises(ReplayError, match="requires no gradient"):
        recorded(model, still).path_spectrum(still)


def test_places_that_do_not_exist_are_refused_with_near_names():
    trace = recorded(made(Stack("basic", "B")), images())
    with pytest.raises(KeyError, match=r"did you mean 'blocks\.0\.conv1\.weight'"):
        trace.path_spectrum("blocks.0.conv1.wieght")
    with pytest.raises(KeyError, match="took no part"):
        trace.path_spectrum(mr.randn(3))
    with pytest.raises(KeyError, match="no batch_norm ran in 'fc'"):
        trace.batch_norm_terms("fc")
    with pytest.raises(KeyError, match="no residual addition ran in 'fc'"):
        trace.leave_one_out(block="fc")


# -- leaving out a branch --------------------------------------------------------------------


def test_leaving_out_a_branch_is_the_engines_gradient_without_it():
    model, x = gated(4), mr.randn(3, 6, dtype=mr.float64)
    x.requires_grad_()
    trace = recorded(model, x)
    omissions = trace.leave_one_out(x)
    assert [omission.block for omission in omissions] == ["0", "1", "2", "3"]
    whole = x.grad.numpy()
    for block, omission in zip(model, omissions, strict=True):
        block.through = 0.0  # backward only: the gate passes x on
        expected = gradient_of(model, x)
        block.through = 1.0
        np.testing.assert_allclose(omission.gradient, expected, atol=1e-14)
        assert omission.norm == pytest.approx(np.linalg.norm(expected))
        assert omission.change == pytest.approx(
            np.linalg.norm(whole - expected) / np.linalg.norm(whole)
        )
        cosine = (whole * expected).sum() / (np.linalg.norm(whole) * np.linalg.norm(expected))
        assert omission.cosine == pytest.approx(cosine)


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_each_block_of_each_kind_can_be_left_out(kind, shortcut, monkeypatch):
    model, x = made(Stack(kind, shortcut)), images()
    trace = recorded(model, x)
    by_block = {each.block: each for each in trace.leave_one_out(x)}
    add = ops.residual_add
    for number in range(3):
        calls = iter(range(3))

        def cut(s, b, number=number, calls=calls):
            from tests.trace.test_path_spectrum import gate

            return add(s, gate(b, factor=0.0) if next(calls) == number else b)

        monkeypatch.setattr(ops, "residual_add", cut)
        x.grad = None
        recorded(model, x)
        found = by_block[f"blocks.{number}"].gradient
        scale = np.abs(x.grad.numpy()).max() + 1e-300
        np.testing.assert_allclose(found, x.grad.numpy(), atol=1e-12 * scale)


def test_only_blocks_that_the_gradient_comes_by_are_listed():
    trace = recorded(made(Stack("basic", "B")), images())
    listed = [each.block for each in trace.leave_one_out("blocks.1")]
    assert listed == ["blocks.1", "blocks.2"]
    assert [each.block for each in trace.leave_one_out("blocks.1", block="blocks.2")] == [
        "blocks.2"
    ]


# -- the terms of a batch norm ---------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "close"), [("float64", 1e-13), ("float32", 1e-5)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_terms_of_a_batch_norm_add_up_to_what_it_sends(training, affine, dtype, close):
    model = Head(nn.BatchNorm2d(4, affine=affine)).to(dtype).train(training)
    x = images(dtype=dtype)
    trace = recorded(made(model, dtype) if affine else model, x)
    terms = trace.batch_norm_terms("body.0")
    np.testing.assert_array_equal(terms.total, x.grad.numpy())
    whole = terms.direct + terms.mean + terms.variance
    assert terms.direct.dtype == dtype
    np.testing.assert_allclose(whole, terms.total, atol=close * np.abs(terms.direct).max())
    if training:
        assert sum(terms.shares.values()) == pytest.approx(1, abs=1e-4)
    else:
        assert terms.norms["mean"] == terms.norms["variance"] == 0


def test_the_terms_are_those_of_statistics_held_constant():
    # d/dx of (x - mean) / std * w with mean and std as constants is the direct term; with only std
    # constant it is direct and mean together.
    x = images()
    g = np.random.default_rng(3).standard_normal(x.shape)
    norm = made(nn.BatchNorm2d(4))
    with mr.trace.record(norm) as trace:
        norm(x).backward(g)
    terms = trace.batch_norm_terms("")
    values = mr.tensor(x.numpy(), requires_grad=True)
    axes = (0, 2, 3)
    mean = ops.mean(values, axes, keepdim=True)
    std = ops.sqrt(ops.var(values, axes, correction=0, keepdim=True) + norm.eps)
    weight = norm.weight.detach().reshape(1, 4, 1, 1)
    for constant_mean, expected in ((True, terms.direct), (False, terms.direct + terms.mean)):
        centred = values - (mean.detach() if constant_mean else mean)
        (found,) = mr.grad(
            centred / std.detach() * weight, values, grad_outputs=g, retain_graph=True
        )
        np.testing.assert_allclose(expected, found.numpy(), atol=1e-12)


def test_dense_networks_have_the_terms_of_each_norm():
    model, x = made(Head(DenseLayer(4, 2), DenseLayer(6, 2))), images()
    trace = recorded(model, x)
    for layer in range(2):
        terms = trace.batch_norm_terms(f"body.{layer}.norm")
        assert sum(terms.shares.values()) == pytest.approx(1)


def test_what_a_vjp_is_not_linear_in_cannot_be_taken_apart_and_is_named():
    @mr.op(name="test_signed")
    def signed(x):
        return x.copy()

    @signed.vjp
    def _(g):
        return g / abs(g)

    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        h = signed(x)
        ops.residual_add(h, -3 * h).sum().backward()
    with pytest.raises(ReplayError, match=r"'test_signed' is not linear"):
        trace.path_spectrum(x)
    with pytest.raises(ReplayError, match=r"'test_signed' is not linear"):
        trace.leave_one_out(x)
    assert trace.path_spectrum(h).total.tolist() == [-2, -2]  # in front of it all is well


def test_linear_ops_of_the_users_pass():
    @mr.op(name="test_scaled_by_aux", has_aux=True)
    def scaled(x):
        return x * 3, 3

    @scaled.vjp
    def _(g, aux):
        return g * (3 if aux is None else aux)

    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        h = scaled(x)
        ops.residual_add(h, scaled(h)).sum().backward()
    assert [part.tolist() for part in trace.path_spectrum(x).parts] == [[3, 3], [9, 9]]


def test_gradients_are_cast_between_dtypes_as_the_engine_casts_them():
    x = images(dtype="float32")
    weight = mr.randn(4, 4, 3, 3, dtype=mr.float64, requires_grad=True)
    with mr.trace.record() as trace:
        h = ops.residual_add(x, 0.5 * x)
        y = ops.residual_add(h.to("float64"), ops.conv2d(h, weight, padding=1))
        y = ops.residual_add(y, ops.conv2d(y, weight, padding=1))
        y.sum().backward()
    spectrum = trace.path_spectrum(x)
    np.testing.assert_array_equal(spectrum.total, x.grad.numpy())
    assert {part.dtype.name for part in spectrum.parts} == {"float32"}
    assert spectrum.residual < 1e-6


def test_a_hook_that_only_looks_does_not_stand_in_the_way():
    x, seen = images(), []
    with mr.trace.record() as trace:
        y = mr.tanh(x)
        y.register_hook(seen.append)
        ops.residual_add(y, 3 * y).sum().backward()
    assert len(seen) == 1
    assert len(trace.path_spectrum(x).parts) == 2


def test_the_gradient_behind_a_hook_is_the_one_the_engine_went_on_with():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(lambda g: 10 * g)
    with mr.trace.record(save="full") as trace:
        (2 * x).sum().backward()
    value = trace.value(x)
    np.testing.assert_array_equal(trace.arrays[f"gradient/{value.index}"], x.grad.numpy())
    assert value.gradient.norm == pytest.approx(np.linalg.norm(x.grad.numpy()))


def test_after_a_gradient_of_an_intermediate_value_the_next_ops_are_forward_steps():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        h = mr.exp(x)
        mr.grad((h * h).sum(), h)
        y = ops.residual_add(x, mr.exp(x))
        y.sum().backward()
    assert all(step.vjp_of is None for step in trace.records.forward)
    assert len(trace.path_spectrum(x).parts) == 2


def test_a_backward_pass_that_failed_does_not_swallow_what_follows():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = (x * x).sum()
        y.backward()
        with pytest.raises(mr.AutogradError, match="second time"):
            y.backward()
        ops.residual_add(x, 2 * x).sum().backward()
    assert all(step.vjp_of is None for step in trace.records.forward)
    assert len(trace.path_spectrum(x).parts) == 2


def test_a_pass_inside_of_a_vjp_is_a_pass_of_its_own():
    @mr.op(name="test_checkpointed")
    def checkpointed(x):
        return 2 * x * x

    @checkpointed.vjp
    def _(g, x):
        inner = mr.tensor(x.copy(), requires_grad=True)
        with mr.enable_grad():
            ops.residual_add(inner * inner, inner * inner).backward(g)
        return inner.grad.numpy()

    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        ops.residual_add(x, checkpointed(x)).sum().backward()
    assert {visit.run for visit in trace.records.backward} == {0, 1}
    assert len(trace.structure.joins) == 1
    np.testing.assert_array_equal(trace.path_spectrum(x).total, x.grad.numpy())
    assert [part.tolist() for part in trace.path_spectrum(x).parts] == [[1, 1], [4, 8]]


def test_the_second_of_two_derivatives_is_replayed_as_well():
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = ops.residual_add(x, x * x * x)
        (g,) = mr.grad(y.sum(), x, create_graph=True)
        g.sum().backward()
    np.testing.assert_array_equal(trace.path_spectrum(x).total, x.grad.numpy())


def test_a_view_counts_with_the_whole_of_its_memory():
    x = mr.tensor(np.ones((256, 1024), np.float32), requires_grad=True)  # 1 MiB
    with mr.trace.record(budget_mb=2.5) as trace:
        total = 0.0
        for _ in range(4):
            column = (x + 1.0)[:, :1]
            total = total + (column * column).sum()
        total.backward()
    assert trace.tape is None
    assert "budget" in trace.records.budget.replay_state


def test_beginnings_of_backward_passes_count_as_well():
    x = mr.tensor(np.ones((256, 1024), np.float32), requires_grad=True)
    with mr.trace.record(budget_mb=2.5) as trace:
        y = x * 2.0
        for _ in range(4):
            y.backward(np.ones((256, 1024), np.float32), retain_graph=True)
    assert trace.tape is None


def test_a_boundless_budget_is_one():
    with mr.trace.record(budget_mb=float("inf"), save="full") as trace:
        mr.exp(mr.ones(3))
    assert trace.records.budget.left_out == 0


def test_the_beginning_is_kept_as_it_was():
    x, g = mr.tensor([1.0, 2.0], requires_grad=True), np.array([1.0, 3.0], np.float32)
    with mr.trace.record() as trace:
        ops.residual_add(x, 2 * x).backward(mr.tensor(g))
    total = trace.path_spectrum(x).total.copy()
    g[:] = 7
    np.testing.assert_array_equal(trace.path_spectrum(x).total, total)


def test_leaving_out_all_branches_takes_one_replay(monkeypatch):
    from minires.trace import spectrum

    calls = []
    replay = spectrum.replay
    monkeypatch.setattr(spectrum, "replay", lambda *given: calls.append(1) or replay(*given))
    model, x = gated(5), mr.randn(3, 6, dtype=mr.float64)
    x.requires_grad_()
    assert len(recorded(model, x).leave_one_out(x)) == 5
    assert len(calls) == 1


def test_a_norm_whose_input_has_no_gradient_has_no_terms():
    norm = made(nn.BatchNorm2d(4))
    trace = recorded(norm, images().detach())
    with pytest.raises(ReplayError, match="has no gradient to split"):
        trace.batch_norm_terms("")


def test_each_call_of_a_norm_has_its_own_terms():
    norm, x = made(nn.BatchNorm2d(4)), images()
    with mr.trace.record(norm) as trace:
        y = norm(norm(x))
        y.backward(np.random.default_rng(0).standard_normal(y.shape))
    first = trace.batch_norm_terms("batch_norm")
    second = trace.batch_norm_terms("batch_norm:2")
    np.testing.assert_array_equal(first.total, x.grad.numpy())
    assert np.abs(second.total - first.total).max() > 0
    np.testing.assert_array_equal(trace.batch_norm_terms("").total, second.total)


def test_the_terms_of_a_half_precision_norm_have_its_dtype():
    norm = made(nn.BatchNorm2d(4), "float16")
    trace = recorded(norm, images(dtype="float16"))
    terms = trace.batch_norm_terms("")
    assert {terms.total.dtype.name, terms.direct.dtype.name, terms.mean.dtype.name} == {"float16"}


def test_a_norm_that_was_spelled_out_says_so():
    model, x = made(Stack("basic", "B")), images()
    with mr.expand("batch_norm"):
        trace = recorded(model, x)
    with pytest.raises(KeyError, match=r"mr\.expand spelled it out"):
        trace.batch_norm_terms("blocks.0.bn1")


def test_a_refused_replay_says_what_to_do():
    model, x = made(Stack("basic", "A")), images()
    trace = recorded(model, x)
    model.fc.weight.data = model.fc.weight.data * 2
    with pytest.raises(ReplayError, match=r"before optimizer\.step\(\)") as refused:
        trace.path_spectrum(x)
    assert "write after backward" not in str(refused.value)


def test_what_is_printed_of_a_decomposition_holds_no_arrays():
    model, x = made(Stack("basic", "B")), images()
    trace = recorded(model, x)
    for told in (repr(trace.leave_one_out(x)), repr(trace.batch_norm_terms("blocks.0.bn1"))):
        assert "array" not in told
        assert len(told) < 1000
