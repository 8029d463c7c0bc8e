"""What the programs are called with.

Batches of 3 and more, H other than W, as many channels coming out as going in only where the
shortcut is x itself, and gradients that are random. Several blocks wherever one would hide
something.
"""

from __future__ import annotations

import numpy as np

# Nodes of three residual blocks by their names. What a sum names first is now the shortcut and now
# the branch, so that no walk comes to all of them in the right order by luck.
BLOCKS = {"x": [], "f1": ["x"], "a": ["x", "f1"], "f2": ["a"], "b": ["f2", "a"]}
BLOCKS |= {"f3": ["b"], "y": ["b", "f3"]}


def _weights(rng, count, size):
    """Return square weights that make branches about as large as what they are added to."""
    return [rng.standard_normal((size, size)) / np.sqrt(size) for _ in range(count)]


def _residual(rng, count, shape):
    """Return the parents and slopes of blocks y = x + f(x), and the number of the output.

    Every other block is f(x) + x.
    """
    parents, x = [[]], 0
    for block in range(count):
        both = [x, len(parents)]
        parents += [[x], both[::-1] if block % 2 else both]
        x = len(parents) - 1
    slopes = [[0.5 * rng.standard_normal(shape) + 0.1 for _ in of] for of in parents]
    return parents, slopes, x


def two_ways(rng, reference):
    for n, d in (4, 3), (5, 2):
        yield rng.standard_normal((n, d)), *_weights(rng, 1, d), rng.standard_normal((n, d))


def chain(rng, reference):
    yield rng.standard_normal((4, 3)), _weights(rng, 3, 3), rng.standard_normal((4, 3))
    yield rng.standard_normal((3, 5)), _weights(rng, 2, 5), rng.standard_normal((3, 5))


def fan_out(rng, reference):
    # x + tanh(x), twice; and a value that three others read.
    twice = [("tanh", 0), ("add", 0, 1), ("tanh", 2), ("add", 2, 3)]
    dense = [("tanh", 0), ("add", 0, 1), ("mul", 0, 2), ("add", 3, 1)]
    for steps in twice, dense:
        yield rng.standard_normal((4, 3)), steps, rng.standard_normal((4, 3))


def both_sides(rng, reference):
    yield *rng.standard_normal((2, 3)), rng.standard_normal((4, 3))


def steps(rng, reference):
    batches, targets = rng.standard_normal((2, 3, 4, 3))
    yield list(batches), list(targets), *_weights(rng, 1, 3), 0.1


def last_relu(rng, reference):
    yield rng.standard_normal((6, 4)), *_weights(rng, 1, 4), rng.standard_normal((6, 4))


def two_relus(rng, reference):
    yield rng.standard_normal((6, 4)), *_weights(rng, 2, 4), rng.standard_normal((6, 4))


def pre_activation(rng, reference):
    image, stem = rng.standard_normal((5, 3)), rng.standard_normal((3, 4))
    yield image, stem, _weights(rng, 2, 4), rng.standard_normal((5, 4))


def tanh_branch(rng, reference):
    yield rng.standard_normal((4, 3)), *_weights(rng, 1, 3), rng.standard_normal((4, 3))


def bias(rng, reference):
    x, g = rng.standard_normal((2, 6, 4))
    yield x, *_weights(rng, 1, 4), rng.standard_normal(4), g


def gate(rng, reference):
    yield tuple(rng.standard_normal((3, 3, 2, 4, 5)))


def wider(rng, reference):
    x, w, g = (rng.standard_normal(shape) for shape in [(4, 3), (3, 5), (4, 5)])
    yield x, w, g


def order(rng, reference):
    for _ in range(2):
        slopes = {name: rng.standard_normal(len(of)).tolist() for name, of in BLOCKS.items()}
        yield BLOCKS, slopes, "y", float(rng.standard_normal())


def queue(rng, reference):
    for count in 3, 4:
        yield *_residual(rng, count, (3, 2)), rng.standard_normal((3, 2))


def values(rng, reference):
    x, *weights, g = rng.standard_normal((5, 4, 2))
    yield x, weights, g
    x, *weights, g = rng.standard_normal((4, 3, 5))
    yield x, weights, g


def deep(rng, reference):
    for count in 2, 12:
        yield *_residual(rng, count, (3, 2)), rng.standard_normal((3, 2))


def batch(rng, reference):
    yield rng.standard_normal((3, 2, 4, 5)), *_weights(rng, 1, 2), rng.standard_normal((3, 2, 4, 5))


def _projected(rng):
    shapes = {"conv1": (2, 3), "conv2": (4, 2), "projection": (4, 3)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def projection(rng, reference):
    yield rng.standard_normal((3, 3, 4, 5)), _projected(rng), rng.standard_normal((3, 4, 4, 5))


def windows(rng, reference):
    yield rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((2, 2, 3, 3))


def stride(rng, reference):
    w = rng.standard_normal((2, 2, 3, 3))
    yield rng.standard_normal((3, 2, 5, 8)), w, 2, rng.standard_normal((3, 2, 2, 3))
    yield rng.standard_normal((3, 2, 7, 5)), w, 1, rng.standard_normal((3, 2, 5, 3))


def downsample(rng, reference):
    x = rng.standard_normal((3, 3, 5, 6))
    yield x, _projected(rng), 2, rng.standard_normal((3, 4, 3, 3))


def _scales(rng, channels):
    """Return gamma and beta, (1, C, 1, 1), that let each ReLU stop about half."""
    shape = (1, channels, 1, 1)
    return rng.uniform(0.5, 1.5, shape), 0.3 * rng.standard_normal(shape)


def normalised(rng, reference):
    x, g = 2 * rng.standard_normal((2, 3, 2, 4, 5)) + 0.5
    yield x, *_scales(rng, 2), g


def evaluation(rng, reference):
    batches = [1 + 2 * rng.standard_normal((n, 2, 4, 5)) for n in (3, 4, 3)]
    yield batches, rng.standard_normal((3, 2, 4, 5)), *_scales(rng, 2), 0.1


def fine_tuning(rng, reference):
    gamma, beta = _scales(rng, 2)
    layer = {"w": rng.standard_normal((2, 2)), "gamma": gamma, "beta": beta}
    layer["running_mean"], layer["running_var"] = 0.3 * beta, gamma + 0.5
    yield rng.standard_normal((3, 2, 4, 5)), layer, rng.standard_normal((3, 2, 4, 5))
