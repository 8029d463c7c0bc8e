"""A naive model of automatic differentiation: every value carries its whole Jacobian.

A `Model` value is a flat vector with one dense matrix per leaf: J[leaf][i, j] is the derivative of
its i-th number by the leaf's j-th. Derivatives are carried *forward* with the values, so that
nothing here resembles a tape. Small integers in float64 make it exact to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Jacobians = dict[int, np.ndarray]


class Model:
    """Values of some shape, and their derivatives by every leaf that they depend on."""

    def __init__(self, values: np.ndarray, jacobians: Jacobians) -> None:
        self.values = values
        self.jacobians = jacobians

    @classmethod
    def leaf(cls, number: int, values: np.ndarray) -> Model:
        return cls(values, {number: np.eye(values.size)})

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def rows(self, leaf: int) -> np.ndarray | None:
        """The Jacobian by a leaf as (*shape, leaf size), so that it can be indexed like values."""
        jacobian = self.jacobians.get(leaf)
        return None if jacobian is None else jacobian.reshape(*self.shape, -1)

    def vjp(self, leaf: int, cotangent: np.ndarray) -> np.ndarray | None:
        """The cotangent carried to a leaf: cotangent^T J."""
        jacobian = self.jacobians.get(leaf)
        return None if jacobian is None else cotangent.reshape(-1) @ jacobian


def moved(x: Model, move: Callable[[np.ndarray], np.ndarray]) -> Model:
    """Values that a linear, value-preserving function takes from others (or repeats, or adds)."""
    values = move(x.values)
    picked = move(np.arange(x.values.size).reshape(x.shape))
    return Model(values, {n: j[picked.reshape(-1)] for n, j in x.jacobians.items()})


def combined(*terms: tuple[np.ndarray, Model], values: np.ndarray) -> Model:
    """Values whose differential is the sum of (factor, model) terms of their own shape."""
    total: Jacobians = {}
    for factor, x in terms:
        column = np.broadcast_to(factor, values.shape).reshape(-1, 1)
        for number, jacobian in x.jacobians.items():
            share = column * jacobian
            total[number] = total[number] + share if number in total else share
    return Model(values, total)


def spread(x: Model, shape: tuple[int, ...]) -> Model:
    return moved(x, lambda a: np.broadcast_to(a, shape))


def add(a: Model, b: Model, sign: int = 1) -> Model:
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = spread(a, shape), spread(b, shape)
    one = np.ones(shape)
    return combined((one, a), (sign * one, b), values=a.values + sign * b.values)


def mul(a: Model, b: Model) -> Model:
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = spread(a, shape), spread(b, shape)
    return combined((b.values, a), (a.values, b), values=a.values * b.values)


def scaled(x: Model, factor: int) -> Model:
    return combined((np.full(x.shape, factor), x), values=factor * x.values)


def reduced(x: Model, axis: int | None) -> Model:
    """The sum over one axis, or all: one term after the other."""
    if axis is None:
        return reduced(moved(x, lambda a: a.reshape(-1)), 0)
    parts = [moved(x, lambda a, i=i: a.take(i, axis)) for i in range(x.shape[axis])]
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


def matmul(a: Model, b: Model) -> Model:
    """(N, K) times (K, M): the sum over k of column k times row k."""
    parts = [
        mul(
            moved(a, lambda v, k=k: v[:, k : k + 1]),
            moved(b, lambda v, k=k: v[k : k + 1, :]),
        )
        for k in range(a.shape[1])
    ]
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


def larger(a: Model, b: Model) -> Model:
    """The larger of two; equal values share their derivative half and half."""
    first = (a.values > b.values) + (a.values == b.values) / 2
    return combined((first, a), (1 - first, b), values=np.maximum(a.values, b.values))


def joined(a: Model, b: Model, axis: int) -> Model:
    values = np.concatenate([a.values, b.values], axis)
    numbers: Any = {**a.jacobians, **b.jacobians}
    jacobians = {}
    for number in numbers:
        width = numbers[number].shape[1]
        rows = [
            np.zeros((*x.shape, width)) if number not in x.jacobians else x.rows(number)
            for x in (a, b)
        ]
        jacobians[number] = np.concatenate(rows, axis).reshape(values.size, width)
    return Model(values, jacobians)
