"""What onlookers are shown: ops, VJPs, and the contributions that meet at a fork."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import Onlooker, leaves


def test_every_op_and_every_vjp_is_shown_in_order():
    (x,) = leaves([1.0, 2.0])
    with Onlooker() as seen:
        (mr.exp(x) * 2 + 1).sum().backward()
    assert seen.ops == ["exp", "mul", "add", "sum"]
    assert seen.vjps == ["sum", "add", "mul", "exp"]


def test_unrecorded_ops_are_shown_without_a_node():
    nodes = []

    class Nodes(mr.autograd.EngineHook):
        def op_ran(self, op, inputs, output, node):
            nodes.append(node)

    (x,) = leaves([1.0])
    with Nodes(), mr.no_grad():
        x * 2
    with Nodes():
        y = x * 2
    assert nodes == [None, y.grad_fn]


def test_a_value_added_to_itself_gets_two_contributions():
    (a,) = leaves([1.0, 2.0])
    with Onlooker() as seen:
        (a + a).sum().backward()
    ((_, parts, total),) = [m for m in seen.meetings if m[0] is a._node]
    assert [(consumer.name, edge) for consumer, edge, _ in parts] == [("add", "a"), ("add", "b")]
    assert [value.tolist() for *_, value in parts] == [[1.0, 1.0], [1.0, 1.0]]
    assert total.tolist() == [2.0, 2.0]


def test_what_came_through_shortcut_and_branch_is_kept_apart_until_the_fork():
    (x,) = leaves([1.0, 2.0])
    with Onlooker() as seen:
        out = mr.ops.residual_add(x, 0.5 * x)
        (2 * out).sum().backward()
    (at_fork, total), (at_add, _) = seen.met_at(x), seen.met_at(out)
    assert {edge: value.tolist() for edge, value in at_fork.items()} == {
        "shortcut": [2.0, 2.0],
        "b": [1.0, 1.0],
    }
    assert total.tolist() == [3.0, 3.0]
    assert list(at_add) == ["b"]


def test_the_shortcuts_contribution_is_not_the_total():
    (x,) = leaves([1.0, 2.0])
    with Onlooker() as seen:
        mr.ops.residual_add(x, x * x).sum().backward()
    parts, total = seen.met_at(x)
    assert parts["shortcut"].tolist() == [1.0, 1.0]
    assert total.tolist() == [3.0, 5.0]


def test_the_named_edges_of_a_residual_add_are_the_consumers_slots():
    x, y = leaves([1.0], [2.0])
    with Onlooker() as seen:
        mr.ops.residual_add(x, y).sum().backward()
    assert list(seen.met_at(x)[0]) == ["shortcut"]
    assert list(seen.met_at(y)[0]) == ["branch"]


def test_the_gradient_that_backward_began_with_comes_from_no_consumer():
    (x,) = leaves([1.0, 2.0])
    y = x * 2
    with Onlooker() as seen:
        y.backward([3.0, 4.0])
    ((_, parts, _),) = [m for m in seen.meetings if m[0] is y._node]
    ((consumer, edge, value),) = parts
    assert consumer is None
    assert edge == "output"
    assert value.tolist() == [3.0, 4.0]


def test_contributions_sum_to_the_total_exactly_in_tape_order():
    (x,) = leaves(np.random.default_rng(0).standard_normal(7).astype("float32"))
    with Onlooker() as seen:
        (mr.ops.sin(x) + x * x + mr.exp(x) / 3).sum().backward()
    ((_, parts, total),) = [m for m in seen.meetings if m[0] is x._node]
    summed = parts[0][2]
    for _, _, value in parts[1:]:
        summed = summed + value
    assert len(parts) == 4
    np.testing.assert_array_equal(summed, total)


def test_an_onlooker_shares_the_total_of_a_node_with_the_vjp_that_uses_it():
    totals, gradients = {}, {}

    class Both(mr.autograd.EngineHook):
        def contributions_met(self, node, contributions, total):
            totals[node] = np.array(total)

        def vjp_ran(self, node, g, contributions):
            gradients[node] = np.array(g)

    (x,) = leaves([1.0, 2.0])
    with Both():
        (mr.exp(x) + x * 2).sum().backward()
    assert gradients
    assert all((gradients[node] == totals[node]).all() for node in gradients)


def test_an_onlooker_is_shown_no_contribution_to_an_input_that_needs_none():
    shown = {}

    class Contributions(mr.autograd.EngineHook):
        def vjp_ran(self, node, g, contributions):
            shown[node.name] = [c is not None for c in contributions]

    (x,) = leaves([1.0, 2.0])
    with Contributions():
        (x * 2 + 1).sum().backward()
    assert shown == {"sum": [True], "add": [True, False], "mul": [True, False]}


def test_onlookers_are_called_in_mr_grad_as_in_backward():
    (x,) = leaves([1.0])
    with Onlooker() as seen:
        mr.grad(mr.exp(x).sum(), x)
    assert seen.vjps == ["sum", "exp"]
    assert len(seen.meetings) == 3


def test_under_create_graph_the_ops_of_the_backward_pass_are_shown():
    (x,) = leaves([1.0])
    y = mr.ops.sin(x).sum()
    with Onlooker() as seen:
        mr.grad(y, x, create_graph=True)
    assert "cos" in seen.ops


def test_onlookers_nest_and_leave():
    outer, inner = Onlooker(), Onlooker()
    with outer:
        mr.ones(1) * 2
        with inner:
            mr.ones(1) + 2
        mr.ones(1) - 2
    mr.ones(1) / 2
    assert outer.ops == ["mul", "add", "sub"]
    assert inner.ops == ["add"]


def test_an_onlookers_error_stops_the_computation_and_removes_it():
    class Stop(mr.autograd.EngineHook):
        def op_ran(self, op, inputs, output, node):
            raise RuntimeError(f"saw {op.name}")

    with pytest.raises(RuntimeError, match="saw mul"), Stop():
        mr.ones(1) * 2
    assert (mr.ones(1) * 2).item() == 2.0
