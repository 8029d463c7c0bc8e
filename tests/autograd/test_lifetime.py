"""Graphs live as long as somebody needs them, however long they are."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from contextlib import contextmanager

import numpy as np
import pytest

import minires as mr
from tests.helpers import Onlooker, leaves


@contextmanager
def without_collector():
    """No cycle is collected inside: what vanishes, vanished by reference counting."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def block(x, w, scale, shift):
    h = mr.ops.conv2d(x, w, padding=1)
    h = mr.ops.batch_norm(h, None, None, scale, shift, training=True)
    return mr.ops.residual_add(x, mr.ops.relu(h))


def small_network(size=4):
    rng = np.random.default_rng(0)
    shapes = (2, 3, size, size), (3, 3, 3, 3), (3,), (3,)
    return leaves(*(rng.standard_normal(shape).astype("float32") for shape in shapes))


def train_step(x, *weights):
    loss = mr.ops.cross_entropy(block(x, *weights).mean((2, 3)), np.array([0, 2]))
    loss.backward()
    for weight in weights:
        weight.copy_(weight.detach() - 0.01 * weight.grad)
        weight.grad = None


@pytest.mark.parametrize("backward", [True, False])
def test_a_graph_vanishes_with_its_last_tensor(backward):
    inputs = small_network()
    with without_collector():
        y = block(*inputs)
        nodes = [weakref.ref(node) for node in computed_nodes(y)]
        arrays = [weakref.ref(y._data)]
        if backward:
            y.sum().backward()
        del y
        assert len(nodes) == 4
        assert not [ref for ref in nodes + arrays if ref() is not None]


def computed_nodes(y):
    found, ahead = set(), [y._node]
    while ahead:
        node = ahead.pop()
        if node is not None and node.op is not None and node not in found:
            found.add(node)
            ahead.extend(node.parents)
    return found


def test_200_training_steps_leave_nothing_behind():
    inputs = small_network()
    for _ in range(3):
        train_step(*inputs)
    with without_collector():
        before = len(gc.get_objects())
        for _ in range(200):
            train_step(*inputs)
        after = len(gc.get_objects())
    assert after - before < 20


def test_200_training_steps_use_no_more_memory_than_one():
    inputs = small_network(size=32)
    activation = inputs[0].numpy().nbytes
    with without_collector():
        tracemalloc.start()
        try:
            # Python keeps some freed tuples for later; their number settles.
            for _ in range(300):
                train_step(*inputs)
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(200):
                train_step(*inputs)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 200 * activation / 48


def test_steps_that_look_at_weights_and_gradients_leave_nothing_behind_either():
    (w,) = leaves(np.ones(4, "float32"))

    def step():
        loss = (w * w).sum()
        loss.backward()
        w.data -= 0.1 * w.grad.data
        assert w[:2].detach().numpy().size == 2
        w.grad = None

    for _ in range(3):
        step()
    with without_collector():
        before = len(gc.get_objects())
        for _ in range(200):
            step()
        after = len(gc.get_objects())
    assert after - before < 20


def test_backward_lets_go_of_the_values_it_needed():
    (x,) = leaves(np.ones(3))
    with without_collector():
        h = mr.exp(x)
        values = weakref.ref(h._data)
        y = (h * h).sum()
        del h
        assert values() is not None
        y.backward()
        assert values() is None


def test_retained_graphs_keep_the_values_they_need():
    (x,) = leaves(np.ones(3))
    h = mr.exp(x)
    values = weakref.ref(h._data)
    y = (h * h).sum()
    del h
    y.backward(retain_graph=True)
    assert values() is not None


def test_an_op_keeps_no_input_that_its_gradient_does_not_need():
    x, w = leaves(np.ones(3), np.ones(3))
    with without_collector():
        h = x * 2
        values = weakref.ref(h._data)
        y = h + w
        del h
        assert values() is None
        y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def residual_chain(x, length):
    for _ in range(length):
        x = mr.ops.residual_add(x, x * 0.5 - x * 0.5)
    return x


@pytest.mark.parametrize("length", [100, 5000])
def test_a_chain_of_residual_blocks_is_walked_once_per_node(length):
    (x,) = leaves([1.0])
    y = residual_chain(x, length)
    with Onlooker() as seen:
        y.sum().backward()
    assert len(seen.vjps) == 4 * length + 1
    assert len(seen.meetings) == 4 * length + 2
    assert x.grad.tolist() == [1.0]


def test_mr_grad_walks_a_long_chain_once_per_node():
    (x,) = leaves([1.0])
    y = residual_chain(x, 1000)
    with Onlooker() as seen:
        (found,) = mr.grad(y.sum(), x)
    assert len(seen.vjps) == 4001
    assert found.tolist() == [1.0]


def test_a_doubling_chain_is_not_walked_path_by_path():
    (x,) = leaves([1.0])
    y = x
    for _ in range(60):
        y = y + y
    with Onlooker() as seen:
        (y * 2.0**-60).sum().backward()
    assert len(seen.vjps) == 62
    assert x.grad.tolist() == [1.0]


def test_a_chain_of_100000_ops_can_be_walked_and_freed():
    (x,) = leaves([1.0])
    y = x
    for _ in range(100_000):
        y = -y
    alive = weakref.ref(y._node)
    y.sum().backward()
    del y
    gc.collect()
    assert alive() is None
    assert x.grad.tolist() == [1.0]


def test_a_chain_of_100000_ops_can_be_freed_without_a_backward_pass():
    (x,) = leaves([1.0])
    y = x
    for _ in range(100_000):
        y = -y
    alive = weakref.ref(y._node)
    del y
    gc.collect()
    assert alive() is None
