"""Slopes as diagonal matrices, one for each step, that the gradient is multiplied by."""

import numpy as np


def slope(above, below, h):
    return np.divide(above, 2 * h) - np.divide(below, 2 * h)


def relative_error(a, b):
    signs = np.sign(a - b)
    apart = signs * (a - b)
    size = np.where(a < 0, -a, a) + np.where(b < 0, -b, b)
    size[size < 1e-8] = 1e-8
    return np.amax(apart / size)


def square(x):
    return np.power(x, 2)


def _through(g, slopes):
    back = np.diag(np.ravel(slopes)).T @ np.ravel(g)
    return back.reshape(np.shape(g))


def square_backward(g, x):
    return _through(g, 2 * x)


def total_backward(g, shape):
    return np.ones(shape) * g


def chain_backward(g, x, w):
    middle = _through(g, 2 * (x * w))
    dx = _through(middle, w)
    dw = _through(middle, x)
    return dx, dw


def residual_backward(g, x, w):
    middle = _through(g, 2 * (x * w))
    ways = [_through(g, np.ones_like(x)), _through(middle, w)]
    return np.mean(ways, axis=0), _through(middle, x)
