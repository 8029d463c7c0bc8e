"""What the functions of the warm-up are called with."""

import numpy as np


def slope_values(rng, reference):
    x = rng.standard_normal((3, 4))
    for h in (1e-2, 0.5):
        yield (x + h) ** 3, (x - h) ** 3, h
    yield np.exp(x + 0.1), np.exp(x - 0.1), 0.1


def relative_error_values(rng, reference):
    a = rng.standard_normal((2, 5)) * 10.0 ** rng.integers(-3, 3, (2, 5))
    yield a, a * (1 + 1e-3 * rng.standard_normal(a.shape))
    yield a, a + rng.standard_normal(a.shape)
    # The worst element is one where a is the smaller.
    yield np.array([1.0, -3.0, 2.0]), np.array([1.0, 5.0, 2.5])


def relative_error_zeros(rng, reference):
    a = rng.standard_normal(6)
    a[2:4] = 0
    yield a, a * 1.01
    yield np.zeros(3), np.zeros(3)
    yield np.zeros(3), np.array([0.0, 1e-10, 0.0])


def square_values(rng, reference):
    yield (rng.standard_normal((3, 4)),)
    yield (rng.standard_normal(5),)


def square_backward_values(rng, reference):
    for shape in ((3, 4), (2, 1, 3), (5,)):
        yield rng.standard_normal(shape), rng.standard_normal(shape)


def total_backward_values(rng, reference):
    for shape in ((3, 4), (5,), (2, 3, 2)):
        yield float(rng.standard_normal()), shape


def chain_backward_values(rng, reference):
    for shape in ((3, 4), (6,)):
        yield tuple(rng.standard_normal(shape) for _ in range(3))


def residual_backward_values(rng, reference):
    yield from chain_backward_values(rng, reference)
