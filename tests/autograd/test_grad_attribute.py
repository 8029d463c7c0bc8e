""".grad: who has it, assigning to it, and hooks that see it pass."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minires as mr
from minires.checking.op_cases.collectives import Mirrored
from tests.helpers import leaves, share_memory


@pytest.mark.parametrize(("reset", "expected"), [(0, [2.0, 4.0]), (None, [2.0, 4.0])])
def test_resetting_the_gradient_really_resets_it(reset, expected):
    (x,) = leaves([1.0, 2.0])
    (100 * x).sum().backward()
    x.grad = reset
    (x * x).sum().backward()
    assert x.grad.tolist() == expected


def test_a_number_fills_the_gradient():
    (x,) = leaves([1.0, 2.0])
    x.grad = 0.5
    assert x.grad.tolist() == [0.5, 0.5]
    x.grad = np.array([1, 2])
    assert x.grad.tolist() == [1.0, 2.0]
    assert x.grad.dtype == x.dtype


def test_a_gradient_of_another_shape_or_dtype_is_refused():
    (x,) = leaves([1.0, 2.0])
    with pytest.raises(ValueError, match=r"grad of shape \(3,\).*shape \(2,\)"):
        x.grad = mr.ones(3)
    with pytest.raises(ValueError, match="dtype float64"):
        x.grad = mr.ones(2, dtype="float64")
    with pytest.raises(ValueError, match="does not require a gradient"):
        mr.ones(2).grad = mr.ones(2)
    mr.ones(2).grad = None


def test_a_gradient_given_to_grad_is_not_written_into():
    (x,) = leaves([1.0, 2.0])
    given = mr.tensor([1.0, 1.0])
    x.grad = given
    (x * x).sum().backward()
    assert x.grad.tolist() == [3.0, 5.0]
    assert given.tolist() == [1.0, 1.0]


def test_retain_grad_keeps_the_gradient_of_an_intermediate_value():
    (x,) = leaves([1.0, 2.0])
    h = x * x
    h.retain_grad()
    (h * 3).sum().backward()
    assert h.grad.tolist() == [3.0, 3.0]
    assert not share_memory(h.grad.numpy(), x.grad.numpy())


def test_retain_grad_survives_that_nobody_else_holds_the_value():
    kept = []
    (x,) = leaves([1.0])

    def middle():
        h = x * 2
        h.retain_grad()
        kept.append(h)
        return h * 5

    middle().sum().backward()
    assert kept[0].grad.item() == 5.0


def test_retain_grad_and_hooks_need_a_gradient():
    with pytest.raises(ValueError, match="retain_grad"):
        mr.ones(1).retain_grad()
    with pytest.raises(ValueError, match="register_hook"):
        mr.ones(1).register_hook(print)


def test_a_hook_sees_the_sum_of_all_contributions_once():
    (x,) = leaves([1.0, 2.0])
    h = x * 1
    seen = []
    h.register_hook(lambda g: seen.append(g.tolist()))
    (h + 2 * h + h * h).sum().backward()
    assert seen == [[5.0, 7.0]]


def test_a_hook_gets_a_copy_that_it_may_spoil():
    (x,) = leaves([1.0, 2.0])
    h = x * 3

    def spoil(g):
        g.data[:] = np.nan

    h.register_hook(spoil)
    h.retain_grad()
    h.sum().backward()
    assert h.grad.tolist() == [1.0, 1.0]
    assert x.grad.tolist() == [3.0, 3.0]


def test_what_a_hook_returns_takes_the_gradients_place():
    (x,) = leaves([1.0, 2.0])
    h = x * 3
    h.register_hook(lambda g: g * 10)
    h.register_hook(lambda g: g + 1)
    h.sum().backward()
    assert x.grad.tolist() == [33.0, 33.0]


def test_what_a_hook_returns_stays_its_own():
    (x,) = leaves([1.0, 2.0])
    mine = mr.tensor([5.0, 6.0])
    x.register_hook(lambda g: mine)
    x.sum().backward()
    assert x.grad.tolist() == [5.0, 6.0]
    assert not share_memory(x.grad.numpy(), mine.numpy())


@pytest.mark.parametrize("wrong", [mr.ones(3), np.ones(2), 1.0])
def test_a_hook_that_returns_no_fitting_tensor_is_refused(wrong):
    (x,) = leaves([1.0, 2.0])
    h = mr.exp(x)
    h.register_hook(lambda g: wrong)
    with pytest.raises(ValueError, match=r"hook on 'exp'.*shape \(2,\)"):
        h.sum().backward()


def test_a_hook_can_be_removed_also_twice():
    (x,) = leaves([1.0])
    seen = []
    handle = x.register_hook(lambda g: seen.append("first"))
    handle.remove()
    x.register_hook(lambda g: seen.append("second"))
    handle.remove()
    (x * 2).sum().backward()
    assert seen == ["second"]


def test_hooks_see_recorded_gradients_under_create_graph():
    (x,) = leaves([3.0])
    seen = []
    h = x * x
    h.register_hook(lambda g: seen.append(g.requires_grad))
    (h * h).sum().backward(create_graph=True)
    assert seen == [True]
    assert x.grad.item() == 4 * 27.0


def test_an_error_in_a_hook_reaches_the_caller():
    (x,) = leaves([1.0])

    def fail(g):
        raise KeyError("mine")

    x.register_hook(fail)
    with pytest.raises(KeyError, match="mine"):
        (x * 2).sum().backward()


def normed(op, x, *others):
    zeros, ones = mr.zeros(3), mr.ones(3)
    return op(x, zeros, ones, *leaves(np.ones(3), np.zeros(3)), *others, training=True)


GIVING = {
    "conv2d": lambda x: mr.ops.conv2d(x, *leaves(np.ones((3, 3, 1, 1)), np.ones(3))),
    "conv2d_relu": lambda x: mr.ops.conv2d_relu(x, *leaves(np.ones((3, 3, 1, 1)), np.ones(3))),
    "batch_norm": lambda x: normed(mr.ops.batch_norm, x),
    "batch_norm_relu": lambda x: normed(mr.ops.batch_norm_relu, x, x),
    "batch_norm_relu_conv2d": lambda x: normed(
        mr.ops.batch_norm_relu_conv2d, x, *leaves(np.ones((3, 3, 1, 1)), np.ones(3))
    ),
    "sync_batch_norm": lambda x: normed(
        partial(mr.ops.sync_batch_norm, communicator=Mirrored()), x
    ),
    "linear": lambda x: mr.ops.linear(x[0, 0], *leaves(np.ones((1, 3)), np.ones(1))),
}


class Seen(mr.autograd.EngineHook):
    keeps_fused = True

    def __init__(self, name):
        self.name, self.checked = name, 0

    def vjp_ran(self, node, g, contributions):
        if node.op.name != self.name:
            return
        others = [g, node.output, *(getattr(value, "_data", None) for value in node.kept)]
        for slot, gradient in enumerate(contributions):
            if gradient is not None and node.gives_away(slot):
                self.checked += 1
                rest = [c for i, c in enumerate(contributions) if i != slot]
                held = [a for a in (*others, *rest) if a is not None]
                assert not any(np.shares_memory(gradient, array) for array in held)


def test_every_op_that_gives_gradients_away_is_tested():
    assert {name for name, op in mr.autograd.registry.items() if op._fresh} == set(GIVING)


@pytest.mark.parametrize("name", GIVING)
def test_a_gradient_that_an_op_gives_away_shares_memory_with_nothing(name):
    with Seen(name) as seen:
        y = GIVING[name](mr.randn(2, 3, 3, 3, dtype="float64", requires_grad=True))
        y.backward(np.ones(y.shape))
    assert seen.checked == len(mr.autograd.registry[name]._fresh)


def test_a_gradient_that_was_given_away_becomes_the_parameters_own():
    x, weight = leaves([[1.0, 2.0]], [[3.0, 4.0]])
    mr.ops.linear(x, weight).backward([[1.0]])
    first = weight.grad
    mr.ops.linear(x, weight).backward([[1.0]])
    assert first.tolist() == [[1.0, 2.0]]
    assert weight.grad.tolist() == [[2.0, 4.0]]


def test_what_a_hook_of_the_engine_keeps_is_not_written_by_the_owner_of_the_gradient():
    class Keep(mr.autograd.EngineHook):
        def __init__(self):
            self.seen = []

        def contributions_met(self, node, contributions, total):
            if node.op is None:
                self.seen.append(total)

    layer = mr.nn.Linear(3, 2)
    with Keep() as hook:
        layer(mr.ones(4, 3)).sum().backward()
    for parameter in layer.parameters():
        parameter.grad.data[...] = 0.0

    assert [float(np.min(np.asarray(total))) for total in hook.seen] == [4.0, 4.0]
