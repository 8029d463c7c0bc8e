"""What the functions of the training are called with."""

import numpy as np


def _batch(rng, rows=4, classes=5, scale=2.0):
    return scale * rng.standard_normal((rows, classes)), rng.integers(0, classes, rows)


def cross_entropy_values(rng, reference):
    yield _batch(rng)
    yield _batch(rng, 7, 3)
    # The right class is seldom the likeliest.
    logits, _ = _batch(rng, 6, 4)
    yield logits, logits.argmin(axis=1)


def cross_entropy_large(rng, reference):
    logits, labels = _batch(rng, 5, 4)
    yield logits + 800 * np.array([-1, 0, 1, 0, 1])[:, None], labels
    logits[:, 1] += 900
    yield logits, labels


def cross_entropy_backward_values(rng, reference):
    yield _batch(rng)
    yield _batch(rng, 7, 3)


def cross_entropy_backward_large(rng, reference):
    yield from cross_entropy_large(rng, reference)


def _weights(rng, shape=(3, 4)):
    return rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(shape)


def sgd_plain(rng, reference):
    weight, grad, velocity = _weights(rng)
    yield weight, grad, np.zeros_like(velocity), 0.1, 0.0, 0.0
    yield weight, grad, velocity, 0.3, 0.0, 0.0


def sgd_momentum(rng, reference):
    yield *_weights(rng), 0.1, 0.9, 0.0
    yield *_weights(rng, (5,)), 0.25, 0.5, 0.0


def sgd_decay(rng, reference):
    yield *_weights(rng), 0.1, 0.0, 0.05
    yield *_weights(rng), 0.2, 0.7, 0.3


def _chain(rng, blocks=3, rows=4, width=5):
    weights = [0.7 * rng.standard_normal((width, width)) for _ in range(blocks)]
    return rng.standard_normal((rows, width)), weights


def forward_plain(rng, reference):
    yield *_chain(rng), False
    yield *_chain(rng, 1), False


def forward_shortcut(rng, reference):
    yield *_chain(rng), True
    yield *_chain(rng, 5, 3, 4), True


def _back(rng, reference, shortcut, *sizes):
    x, weights = _chain(rng, *sizes)
    hidden = reference.forward(x, weights, shortcut)
    return rng.standard_normal(x.shape), hidden, weights, shortcut


def backward_plain(rng, reference):
    yield _back(rng, reference, False)
    yield _back(rng, reference, False, 2, 6, 3)


def backward_shortcut(rng, reference):
    yield _back(rng, reference, True)
    yield _back(rng, reference, True, 4, 3, 4)


def norms_values(rng, reference):
    yield ([rng.standard_normal((3, 4)), rng.standard_normal(5), 10 * rng.standard_normal((2, 2))],)
    yield ([np.zeros((2, 2)), rng.standard_normal((1, 3))],)


def shares_values(rng, reference):
    yield rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    part = rng.standard_normal((4, 3))
    # Parts that work against each other: one share is below 0, the other one above 1.
    yield 3 * part, -part + 0.1 * rng.standard_normal((4, 3))


def train_step_values(rng, reference):
    for shortcut in (False, True):
        x, weights = _chain(rng)
        params = [*weights, rng.standard_normal((5, 3))]
        velocities = [0.1 * rng.standard_normal(each.shape) for each in params]
        yield x, rng.integers(0, 3, len(x)), params, velocities, 0.1, 0.9, 0.01, shortcut
