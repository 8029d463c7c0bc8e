"""Random graphs, grown and differentiated step by step beside a naive model of the chain rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, basic_indices
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import minires as mr
from tests.autograd import chain_rule
from tests.autograd.chain_rule import Model
from tests.helpers import share_memory

SHAPES = [(2, 3), (3,), (2, 2), (), (1, 3), (3, 2), (2,), (2, 1, 3)]
LARGEST = 2.0**24  # products of two such numbers, and their sums, are exact in float64


class Twins(NamedTuple):
    """A value on the tape, and its model."""

    tensor: mr.Tensor
    model: Model


def integers(shape: tuple[int, ...]) -> Any:
    return arrays("float64", shape, elements=st.integers(-3, 3).map(float))


def broadcasts(*shapes: tuple[int, ...]) -> bool:
    try:
        return len(np.broadcast_shapes(*shapes)) >= 0
    except ValueError:
        return False


class GraphsOfIntegers(RuleBasedStateMachine):
    """All values are whole numbers small enough to be exact, so that nothing need be 'close'."""

    @initialize(data=st.data())
    def begin(self, data):
        self.pool: list[Twins] = []
        self.leaves: list[mr.Tensor] = []
        self.expected: list[Any] = []
        self.new_leaf(data)

    def add(self, tensor: mr.Tensor, model: Model) -> None:
        """Put a pair of equal values into the pool; drop them where they grow too large."""
        np.testing.assert_array_equal(tensor.detach().numpy(), model.values)
        assert tensor.requires_grad == bool(model.jacobians)
        numbers = [model.values, *model.jacobians.values()]
        if model.values.size <= 24 and all(np.abs(n).max(initial=0) < LARGEST for n in numbers):
            self.pool.append(Twins(tensor, model))

    def pick(self, data: Any, fits: Callable[[Model], bool] = lambda model: True) -> Twins | None:
        """Any value of the pool that fits, a later one for choice."""
        fitting = [twins for twins in reversed(self.pool) if fits(twins.model)]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    @rule(data=st.data())
    def new_leaf(self, data):
        values = data.draw(st.sampled_from(SHAPES).flatmap(integers))
        leaf = mr.tensor(values, requires_grad=True)
        self.leaves.append(leaf)
        self.expected.append(None)
        self.add(leaf, Model.leaf(len(self.leaves) - 1, values))

    @rule(data=st.data())
    def new_constant(self, data):
        values = data.draw(st.sampled_from(SHAPES).flatmap(integers))
        self.add(mr.tensor(values), Model(values, {}))

    @rule(data=st.data(), kind=st.sampled_from("+-*"))
    def combine(self, data, kind):
        a = self.pick(data)
        b = self.pick(data, lambda model: broadcasts(model.shape, a.model.shape))
        if kind == "*":
            self.add(a.tensor * b.tensor, chain_rule.mul(a.model, b.model))
        elif kind == "+":
            self.add(a.tensor + b.tensor, chain_rule.add(a.model, b.model))
        else:
            self.add(a.tensor - b.tensor, chain_rule.add(a.model, b.model, -1))

    @rule(data=st.data(), factor=st.integers(-3, 3))
    def scale(self, data, factor):
        x = self.pick(data)
        self.add(factor * x.tensor, chain_rule.scaled(x.model, factor))

    @rule(data=st.data())
    def negate(self, data):
        x = self.pick(data)
        self.add(-x.tensor, chain_rule.scaled(x.model, -1))

    @rule(data=st.data())
    def double(self, data):
        x = self.pick(data)
        self.add(x.tensor + x.tensor, chain_rule.add(x.model, x.model))

    @rule(data=st.data())
    def square(self, data):
        x = self.pick(data)
        self.add(x.tensor**2, chain_rule.mul(x.model, x.model))

    @rule(data=st.data(), factor=st.integers(-2, 2))
    def residual_block(self, data, factor):
        x = self.pick(data)
        branch = x.tensor * x.tensor * factor
        model = chain_rule.scaled(chain_rule.mul(x.model, x.model), factor)
        self.add(mr.ops.residual_add(x.tensor, branch), chain_rule.add(x.model, model))

    @rule(data=st.data())
    def choose_the_larger(self, data):
        a = self.pick(data)
        b = self.pick(data, lambda model: model.shape == a.model.shape)
        self.add(mr.maximum(a.tensor, b.tensor), chain_rule.larger(a.model, b.model))

    @rule(data=st.data())
    def sum(self, data):
        x = self.pick(data)
        ndim = len(x.model.shape)
        axis = data.draw(st.none() | st.integers(0, ndim - 1)) if ndim else None
        self.add(x.tensor.sum(axis), chain_rule.reduced(x.model, axis))

    @rule(data=st.data(), move=st.sampled_from(["flatten", "transpose", "repeat", "flip"]))
    def move(self, data, move):
        x = self.pick(data)
        as_tensor, as_array = {
            "flatten": (lambda t: t.reshape(-1), lambda a: a.reshape(-1)),
            "transpose": (lambda t: t.T, np.transpose),
            "repeat": (
                lambda t: t.expand(2, *t.shape),
                lambda a: np.broadcast_to(a, (2, *a.shape)),
            ),
            "flip": (lambda t: t.flip(None), np.flip),
        }[move]
        self.add(as_tensor(x.tensor), chain_rule.moved(x.model, as_array))

    @rule(data=st.data())
    def slice(self, data):
        x = self.pick(data)
        index = data.draw(basic_indices(x.model.shape, allow_newaxis=True, max_dims=3))
        taken = chain_rule.moved(x.model, lambda a: np.asarray(a[index]))
        if taken.values.size:
            self.add(x.tensor[index], taken)

    @rule(data=st.data())
    def take_with_repetition(self, data):
        x = self.pick(data, lambda model: len(model.shape) > 0)
        if x is not None:
            places = st.integers(-x.model.shape[0], x.model.shape[0] - 1)
            index = np.array(data.draw(st.lists(places, min_size=1, max_size=4)))
            self.add(x.tensor[index], chain_rule.moved(x.model, lambda a: a[index]))

    @rule(data=st.data())
    def matmul(self, data):
        a = self.pick(data, lambda model: len(model.shape) == 2)
        if a is not None:
            columns = a.model.shape[1]
            b = self.pick(data, lambda m: len(m.shape) == 2 and m.shape[0] == columns)
            if b is not None:
                self.add(a.tensor @ b.tensor, chain_rule.matmul(a.model, b.model))

    @rule(data=st.data())
    def concatenate(self, data):
        a = self.pick(data, lambda model: len(model.shape) > 0)
        if a is not None:
            b = self.pick(data, lambda m: m.shape != () and m.shape[1:] == a.model.shape[1:])
            both = mr.concatenate([a.tensor, b.tensor])
            self.add(both, chain_rule.joined(a.model, b.model, 0))

    @rule(data=st.data())
    def detach(self, data):
        x = self.pick(data)
        self.add(x.tensor.detach(), Model(x.model.values, {}))

    @rule(data=st.data())
    def backward(self, data):
        x = self.pick(data, lambda model: len(model.jacobians) > 0)
        cotangent = data.draw(integers(x.model.shape))
        x.tensor.backward(cotangent, retain_graph=True)
        for number in x.model.jacobians:
            share = x.model.vjp(number, cotangent)
            earlier = self.expected[number]
            self.expected[number] = share if earlier is None else earlier + share

    @rule(data=st.data(), recorded=st.booleans())
    def grad(self, data, recorded):
        x = self.pick(data, lambda model: len(model.jacobians) > 0)
        cotangent = data.draw(integers(x.model.shape))
        numbers = list(x.model.jacobians)
        found = mr.grad(
            x.tensor,
            [self.leaves[number] for number in numbers],
            grad_outputs=mr.tensor(cotangent),
            create_graph=recorded,
            retain_graph=True,
        )
        for number, gradient in zip(numbers, found, strict=True):
            expected = x.model.vjp(number, cotangent).reshape(gradient.shape)
            np.testing.assert_array_equal(gradient.detach().numpy(), expected)

    @precondition(lambda self: any(leaf.grad is not None for leaf in self.leaves))
    @rule(data=st.data())
    def reset(self, data):
        number = data.draw(st.sampled_from(range(len(self.leaves))))
        self.leaves[number].grad = None
        self.expected[number] = None

    @invariant()
    def accumulated_gradients_are_exact(self):
        for leaf, expected in zip(self.leaves, self.expected, strict=True):
            assert (leaf.grad is None) == (expected is None)
            if expected is not None:
                np.testing.assert_array_equal(leaf.grad.numpy(), expected.reshape(leaf.shape))

    @invariant()
    def gradients_share_no_memory(self):
        gradients = [leaf.grad._data for leaf in self.leaves if leaf.grad is not None]
        assert not share_memory(*gradients, *(leaf._data for leaf in self.leaves))


TestGraphsOfIntegers = GraphsOfIntegers.TestCase
TestGraphsOfIntegers.settings = settings(
    max_examples=settings().max_examples * 2, stateful_step_count=40
)
