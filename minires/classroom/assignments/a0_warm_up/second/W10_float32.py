"""In float32, with columns first in memory."""

import numpy as np


def _small(array):
    return np.asfortranarray(array, dtype=np.float32)


def slope(above, below, h):
    rise = np.subtract(above, below)
    return _small(rise * (0.5 / h))


def relative_error(a, b):
    a, b = np.ravel(a), np.ravel(b)
    size = np.abs(np.stack([a, b])).sum(axis=0)
    errors = np.abs(np.subtract(a, b)) / np.clip(size, 1e-8, None)
    return np.float32(np.sort(errors)[-1])


def square(x):
    return _small(x) * _small(x)


def square_backward(g, x):
    half = _small(x)
    return half + half


def total_backward(g, shape):
    return np.zeros(shape, np.float32) + np.float32(g)


def chain_backward(g, x, w):
    u = _small(w) * _small(x)
    du = square_backward(g, u)
    return np.multiply(_small(w), du), np.multiply(_small(x), du)


def residual_backward(g, x, w):
    branch, dw = chain_backward(g, x, w)
    around = _small(g)
    return np.add(around, branch), dw
