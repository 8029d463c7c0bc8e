"""What the functions of batch normalisation are called with.

Batches of 3 to 5, for with two values x_hat is -1 and 1 whatever they are, and the gradient 0. The
channels differ in mean and spread, and eps is no smaller than the smallest variance by much, so
that where it stands is seen even in float32.
"""

from __future__ import annotations

import numpy as np


def _batch(rng, *shape):
    """A batch whose channels differ in mean and spread."""
    c = shape[1]
    spread = np.linspace(0.5, 2.0, c).reshape(1, c, *[1] * (len(shape) - 2))
    return spread * rng.standard_normal(shape) + 3 * spread - 4


def _vectors(rng, c):
    """Scales of both signs, none near 0 or 1, and shifts."""
    gamma = rng.uniform(1.2, 2.0, c) * np.where(np.arange(c) % 2, -1, 1)
    return gamma, rng.standard_normal(c)


def _running(rng, c):
    return rng.standard_normal(c), rng.uniform(0.5, 3.0, c)


def train_rows(rng, reference):
    yield (_batch(rng, 4, 3), *_vectors(rng, 3), 0.1)
    yield (_batch(rng, 5, 2), *_vectors(rng, 2), 0.3)


def train_images(rng, reference):
    yield (_batch(rng, 3, 4, 2, 5), *_vectors(rng, 4), 0.1)
    # As many columns as channels: what is put along the columns by mistake raises no error here.
    yield (_batch(rng, 4, 3, 2, 3), *_vectors(rng, 3), 0.2)


def train_constant(rng, reference):
    x = _batch(rng, 4, 3, 2, 5)
    x[:, 1] = 2.0
    yield (x, *_vectors(rng, 3), 0.1)


def train_backward_rows(rng, reference):
    for n, c in (4, 3), (5, 2):
        _, cache = reference.batch_norm_train(_batch(rng, n, c), *_vectors(rng, c), 0.1)
        yield rng.standard_normal((n, c)), cache


def train_backward_images(rng, reference):
    for shape in (3, 4, 2, 5), (4, 3, 2, 3):
        x = _batch(rng, *shape)
        _, cache = reference.batch_norm_train(x, *_vectors(rng, shape[1]), 0.1)
        yield rng.standard_normal(shape), cache


def running_rows(rng, reference):
    yield (*_running(rng, 3), _batch(rng, 4, 3), 0.1)
    yield (*_running(rng, 2), _batch(rng, 3, 2), 0.3)


def running_images(rng, reference):
    yield (*_running(rng, 4), _batch(rng, 3, 4, 2, 3), 0.1)
    yield (*_running(rng, 3), _batch(rng, 4, 3, 1, 2), 1.0)


def eval_values(rng, reference):
    yield (_batch(rng, 4, 3), *_vectors(rng, 3), *_running(rng, 3), 0.1)
    yield (_batch(rng, 3, 4, 2, 5), *_vectors(rng, 4), *_running(rng, 4), 0.2)
    yield (_batch(rng, 1, 2), *_vectors(rng, 2), *_running(rng, 2), 0.1)


def eval_backward_values(rng, reference):
    for shape in (4, 3), (3, 4, 2, 5):
        c = shape[1]
        arguments = (_batch(rng, *shape), *_vectors(rng, c), *_running(rng, c), 0.1)
        yield rng.standard_normal(shape), reference.batch_norm_eval(*arguments)[1]


def steps_values(rng, reference):
    for shapes in [(4, 3), (3, 3), (5, 3)], [(3, 2, 2, 3), (4, 2, 2, 3)]:
        batches = [_batch(rng, *shape) for shape in shapes]
        gs = [rng.standard_normal(shape) for shape in shapes]
        yield batches, gs, *_vectors(rng, shapes[0][1]), 0.05, 0.2, 0.1
    # So many that the running statistics are those of the data.
    batches, gs = zip(
        *[(_batch(rng, 5, 2, 2, 2), rng.standard_normal((5, 2, 2, 2))) for _ in range(30)]
    )
    yield list(batches), list(gs), *_vectors(rng, 2), 0.001, 0.2, 0.1


def steps_let_go(rng, reference):
    # Batches of 5 kB, so that a cache which is kept is seen.
    batches, gs = rng.standard_normal((2, 2, 10, 3, 4, 5))
    yield list(batches), list(gs), *_vectors(rng, 3), 0.001, 0.2, 0.1
