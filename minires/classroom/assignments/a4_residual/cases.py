"""What the functions of residual blocks are called with.

Batches of 3, H other than W, and as many channels coming out as going in only where the shortcut
is x itself. The weights of the blocks are such that about half of each ReLU's inputs are negative,
at other places in each.
"""

from __future__ import annotations

import numpy as np


def relu_values(rng, reference):
    yield (rng.standard_normal((3, 5)),)
    yield (np.array([-2.0, 0.0, 3.0]),)


def relu_backward_values(rng, reference):
    x = rng.standard_normal((5, 8))
    x[1, 1] = x[2, 3] = 0.0
    yield rng.standard_normal((5, 8)), x


def max_pool_values(rng, reference):
    yield rng.standard_normal((3, 2, 4, 7)), (2, 3), 2, 0
    yield rng.standard_normal((3, 2, 5, 4)), (3, 2), 1, 0


def max_pool_padding(rng, reference):
    x = -1 - rng.random((3, 2, 4, 5))
    yield x, (3, 3), 2, 1
    yield rng.standard_normal((3, 2, 5, 4)), (2, 3), 1, 1


def max_pool_ties(rng, reference):
    yield rng.integers(0, 2, (3, 2, 4, 7)).astype(float), (2, 3), 2, 0


def max_pool_backward_values(rng, reference):
    _, cache = reference.max_pool(rng.standard_normal((3, 2, 5, 7)), (2, 3), 3, 0)
    yield rng.standard_normal(cache["winner"].shape), cache


def max_pool_backward_overlaps(rng, reference):
    for kernel, stride, padding in ((3, 3), 1, 0), ((2, 3), 1, 1), ((3, 3), 2, 1):
        x = rng.standard_normal((3, 2, 5, 4))
        _, cache = reference.max_pool(x, kernel, stride, padding)
        yield rng.standard_normal(cache["winner"].shape), cache


def average_values(rng, reference):
    yield (rng.standard_normal((3, 2, 4, 5)),)


def average_backward_values(rng, reference):
    yield rng.standard_normal((3, 2)), (3, 2, 4, 5)


def add_values(rng, reference):
    yield tuple(rng.standard_normal((2, 3, 4, 2, 5)))
    yield tuple(rng.standard_normal((2, 3, 4)))


def add_refuses(rng, reference):
    branch = rng.standard_normal((3, 4, 2, 5))
    yield rng.standard_normal((3, 1, 2, 5)), branch
    yield branch, rng.standard_normal((3, 4, 1, 1))


def add_backward_values(rng, reference):
    yield (rng.standard_normal((3, 4, 2, 5)),)


def _layer(rng, c, o, k):
    gamma = rng.uniform(0.6, 1.6, o) * np.where(np.arange(o) % 2, -1, 1)
    beta = 0.5 * rng.standard_normal(o)
    return {"w": rng.standard_normal((o, c, k, k)), "gamma": gamma, "beta": beta}


def _basic(rng, c, o, projected):
    params = {"conv1": _layer(rng, c, o, 3), "conv2": _layer(rng, o, o, 3)}
    return params | ({"projection": _layer(rng, c, o, 1)} if projected else {})


def _narrow(rng, c, m, o, projected):
    params = {"conv1": _layer(rng, c, m, 1), "conv2": _layer(rng, m, m, 3)}
    params["conv3"] = _layer(rng, m, o, 1)
    return params | ({"projection": _layer(rng, c, o, 1)} if projected else {})


def basic_identity(rng, reference):
    yield rng.standard_normal((3, 2, 4, 5)), _basic(rng, 2, 2, False), 1


def basic_projection(rng, reference):
    yield rng.standard_normal((3, 2, 5, 6)), _basic(rng, 2, 3, True), 2
    yield rng.standard_normal((3, 3, 4, 3)), _basic(rng, 3, 2, True), 1


def _back(rng, block, arguments):
    y, cache = block(*arguments)
    return rng.standard_normal(y.shape), cache


def basic_backward_identity(rng, reference):
    for arguments in basic_identity(rng, reference):
        yield _back(rng, reference.basic_block, arguments)


def basic_backward_projection(rng, reference):
    for arguments in basic_projection(rng, reference):
        yield _back(rng, reference.basic_block, arguments)


def bottleneck_values(rng, reference):
    yield rng.standard_normal((3, 4, 4, 5)), _narrow(rng, 4, 2, 4, False), 1
    yield rng.standard_normal((3, 3, 5, 6)), _narrow(rng, 3, 2, 4, True), 2


def bottleneck_backward_values(rng, reference):
    for arguments in bottleneck_values(rng, reference):
        yield _back(rng, reference.bottleneck, arguments)


def stage_values(rng, reference):
    same = [_basic(rng, 2, 2, False) for _ in range(3)]
    yield *rng.standard_normal((2, 3, 2, 4, 5)), same, [1, 1, 1]
    x, g = rng.standard_normal((3, 2, 5, 6)), rng.standard_normal((3, 3, 3, 3))
    yield x, g, [_basic(rng, 2, 3, True), _basic(rng, 3, 3, False)], [2, 1]
