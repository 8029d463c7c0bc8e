"""What protects a user's own op, and everyone else from it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minires as mr
from minires.autograd import EngineHook, OverwriteError
from tests.helpers import leaves


def squared(vjp):
    @mr.op
    def sq(x):
        return x * x

    sq.vjp(vjp)
    return sq


def test_a_vjp_that_writes_into_its_gradient_is_refused_and_changes_nothing():
    def doubling(g, x):
        g *= 2
        return g * x

    (u,) = leaves([1.0, 2.0])
    cotangent = mr.ones(2)
    with pytest.raises(OverwriteError, match=r"the VJP of 'sq' wrote into .* g \* 2"):
        mr.ops.residual_add(u, squared(doubling)(u)).backward(cotangent)
    assert cotangent.tolist() == [1, 1]
    assert u.grad is None


def test_a_vjp_or_forward_that_writes_into_an_input_is_refused():
    def greedy(g, x):
        x *= 2
        return g * x

    @mr.op
    def halve(x):
        x *= 0.5
        return x

    (u,) = leaves([3.0])
    with pytest.raises(OverwriteError, match="VJP of 'sq'"):
        squared(greedy)(u).backward()
    with pytest.raises(OverwriteError, match="forward of op 'halve'"):
        halve(u)
    assert u.item() == 3


def test_an_op_that_returns_its_input_gives_memory_of_its_own():
    @mr.op
    def same(x):
        return x

    same.vjp(lambda g: g)
    (x,) = leaves([1.0])
    y = same(x)
    assert not np.shares_memory(y.detach().numpy(), x.detach().numpy())
    y.detach().data[0] = 5
    assert x.item() == 1


def test_two_outputs_without_has_aux_are_refused():
    @mr.op
    def two(x):
        return x * 2, x

    with pytest.raises(TypeError, match=r"'two' returned a tuple.*has_aux"):
        two(mr.ones(2))


@pytest.mark.parametrize("returned", [[1.0], 2.0])
def test_a_vjp_that_returns_no_array_is_named(returned):
    (x,) = leaves([1.0])
    with pytest.raises(TypeError, match=rf"VJP of 'sq' returned a {type(returned).__name__}"):
        squared(lambda g: returned)(x).backward()


def test_the_names_of_minires_ops_are_taken():
    with pytest.raises(ValueError, match="'relu'"):

        @mr.op
        def relu(x):
            return x


def test_freezing_and_thawing_a_leaf_loses_no_gradient():
    (p,) = leaves([1.0, 2.0])
    loss = (p * 3).sum()
    p.requires_grad_(False)
    assert not (p * 2).requires_grad
    p.requires_grad_(True)
    loss.backward()
    assert p.grad.tolist() == [3, 3]


@pytest.mark.parametrize("update", ["+=", "-=", "*=", "/="])
def test_an_update_in_place_that_would_do_nothing_is_refused(update):
    (p,) = leaves([1.0])
    namespace = {"p": p}
    with mr.no_grad(), pytest.raises(TypeError, match=r"p\.data -= "):
        exec(f"p {update} 2", namespace)


def test_elsewhere_an_augmented_assignment_binds_the_name_anew():
    x = before = mr.ones(2, requires_grad=True)
    x += 1
    assert x is not before
    assert before.tolist() == [1, 1]


def test_a_copy_made_by_indexing_is_not_mistaken_for_a_view():
    (w,) = leaves([2.0, 2.0])
    x = mr.tensor([1.0, 2.0, 3.0])
    y = (x[[1, 2]] * w).sum()
    x.copy_(0.0)
    y.backward()
    assert w.grad.tolist() == [2, 3]


def test_reading_many_views_of_a_tensor_leaves_nothing_behind():
    data = mr.randn(100, 4)
    for row in range(100):
        data[row].numpy()
    version = data._versioned()
    assert version._array is data._data
    assert {type(getattr(version, name)) for name in version.__slots__} <= {
        np.ndarray,
        int,
        bool,
        type(None),
    }


def test_a_parameter_made_of_a_tensor_shares_its_watch():
    t = mr.ones(2)
    p = mr.nn.Parameter(t)
    y = (p * p).sum()
    t.copy_(5.0)
    with pytest.raises(mr.AutogradError, match="overwritten"):
        y.backward()


def test_grad_gives_every_asker_memory_of_its_own_and_so_does_assignment():
    (x,) = leaves([1.0])
    first, second = mr.grad((x * x).sum(), [x, x])
    assert not np.shares_memory(first.numpy(), second.numpy())
    mine = mr.ones(1, dtype=x.dtype)
    x.grad = mine
    assert not np.shares_memory(x.grad.numpy(), mine.numpy())


def test_hooks_may_leave_in_any_order():
    class Count(EngineHook):
        ran = 0

        def op_ran(self, op, inputs, output, node):
            self.ran += 1

    a, b = Count(), Count()
    a.__enter__()
    b.__enter__()
    a.__exit__()
    mr.ones(1) + 1
    b.__exit__()
    mr.ones(1) + 1
    assert (a.ran, b.ran) == (0, 1)


def test_threads_that_share_a_leaf_lose_no_contribution():
    (x,) = leaves([0.0])

    def work():
        for _ in range(200):
            (x * 1.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert x.grad.item() == 800


def test_a_tensor_is_iterated_by_rows_and_a_0d_one_not_at_all():
    assert [row.tolist() for row in mr.tensor([[1.0], [2.0]])] == [[1.0], [2.0]]
    with pytest.raises(TypeError, match="0-d"):
        list(mr.tensor(1.0))


def test_a_single_value_can_be_formatted():
    assert f"{mr.tensor(0.5):.3f}" == "0.500"
    assert f"{mr.tensor([1.0])}" == "tensor([1.])"
