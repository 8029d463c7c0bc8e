"""backward(): fan-out, accumulation, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves, share_memory


def test_a_value_used_twice_gets_both_contributions():
    (x,) = leaves([1.0, -2.0, 3.0])
    (x + x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_a_value_used_as_both_factors_gets_both_contributions():
    (x,) = leaves([1.0, -2.0, 3.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, -4.0, 6.0]


@pytest.mark.parametrize(
    ("branch", "slope"),
    [(mr.exp, np.exp), (lambda x: x * x, lambda x: 2 * x), (mr.ops.relu, lambda x: x > 0)],
)
def test_a_residual_block_passes_on_shortcut_and_branch(branch, slope):
    values = np.array([0.5, -1.0, 2.0])
    (x,) = leaves(values)
    (x + branch(x)).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 1 + slope(values))


def test_each_edge_of_a_block_has_its_own_gradient_in_its_own_memory():
    (x,) = leaves([1.0, 2.0])
    shortcut, branch = x * 1.0, 0.5 * x
    joined = shortcut + branch
    values = [joined, branch, shortcut]
    for value in values:
        value.retain_grad()
    (2 * joined).sum().backward()
    assert [value.grad.tolist() for value in [*values, x]] == [[2, 2], [2, 2], [2, 2], [3, 3]]
    assert not share_memory(*(value.grad.numpy() for value in [*values, x]))


def test_gradients_accumulate_over_backward_passes():
    (x,) = leaves([1.0, 2.0])
    (3 * x).sum().backward()
    earlier = x.grad
    (x * x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    assert earlier.tolist() == [3.0, 3.0]


def test_a_gradient_shares_no_memory_with_the_cotangent_it_came_from():
    (x,) = leaves([1.0, 2.0])
    cotangent = mr.tensor([1.0, 10.0])
    (x + 0.0).backward(cotangent)
    assert x.grad.tolist() == [1.0, 10.0]
    assert not share_memory(x.grad.numpy(), cotangent.numpy())


def test_a_leaf_can_be_its_own_root():
    (x,) = leaves(3.0)
    x.backward()
    assert x.grad.item() == 1.0


def test_the_cotangent_may_be_an_array_or_a_list():
    (x,) = leaves([1.0, 2.0])
    (2 * x).backward(np.array([1, 2]))
    (2 * x).backward([0.5, 0.5])
    assert x.grad.tolist() == [3.0, 5.0]


def test_values_that_require_no_gradient_get_none():
    (x,) = leaves([1.0])
    constant = mr.tensor([2.0])
    (x * constant).sum().backward()
    assert constant.grad is None
    assert not constant.requires_grad


def test_an_intermediate_value_has_no_grad_unless_it_retains_it():
    (x,) = leaves([1.0])
    h = x * 2
    (h * 3).sum().backward()
    assert h.grad is None


def test_integers_and_comparisons_stop_the_gradient():
    (x,) = leaves([1.0, -2.0])
    assert not (x > 0).requires_grad
    assert not x.argmax().requires_grad
    assert not x.to("int64").requires_grad


def test_a_second_backward_is_refused_by_name():
    (x,) = leaves([1.0, 2.0])
    y = mr.exp(x).sum()
    y.backward()
    with pytest.raises(mr.AutogradError, match=r"'sum' a second time.*retain_graph=True"):
        y.backward()
    assert x.grad.tolist() == pytest.approx(np.exp([1.0, 2.0]).tolist())


def test_backward_into_a_part_that_another_backward_used_up_is_refused():
    (x,) = leaves([1.0, 2.0])
    shared = x * x
    shared.sum().backward()
    with pytest.raises(mr.AutogradError, match="'mul' a second time"):
        (shared + 1.0).mean().backward()


def test_retain_graph_allows_a_second_backward():
    (x,) = leaves([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]


def test_a_tensor_of_many_values_needs_a_cotangent():
    (x,) = leaves([1.0, 2.0])
    with pytest.raises(mr.AutogradError, match=r"shape \(2,\) needs a gradient.*loss\.mean\(\)"):
        (x * 2).backward()


def test_a_cotangent_of_another_shape_is_refused():
    (x,) = leaves([1.0, 2.0])
    with pytest.raises(mr.AutogradError, match=r"shape \(3,\), the output \(2,\)"):
        (x * 2).backward(mr.ones(3))


def test_backward_from_a_constant_is_refused():
    with pytest.raises(mr.AutogradError, match="does not require a gradient"):
        mr.ones(1).sum().backward()


def test_detach_cuts_the_graph_and_shares_the_values():
    (x,) = leaves([1.0, 2.0])
    y = x * 3
    cut = y.detach()
    (cut * x).sum().backward()
    assert x.grad.tolist() == [3.0, 6.0]
    assert share_memory(cut.numpy(), y.detach().numpy())
    assert cut.is_leaf
    assert not cut.requires_grad


def test_an_optimisers_step_between_two_forward_passes_is_no_error():
    (w,) = leaves([1.0, 2.0])
    for _ in range(3):
        loss = (w * w).sum()
        w.grad = None
        loss.backward()
        w.copy_(w.detach() - 0.25 * w.grad)
    assert w.tolist() == [0.125, 0.25]


def test_backward_through_a_slice_reaches_the_places_it_took():
    (x,) = leaves(np.arange(6.0))
    (x[1:5:2] * mr.tensor([10.0, 20.0])).sum().backward()
    assert x.grad.tolist() == [0, 10, 0, 20, 0, 0]
