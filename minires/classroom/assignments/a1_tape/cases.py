"""What the functions of the tape are called with."""

import numpy as np

# Numbers of nodes that are in no order; node 2 is reached from 5 directly and by way of 0; nothing
# that the output depends on needs 6.
DIAMOND = [[2], [], [1, 4], [0, 5], [], [2], [2, 4]]
# A node that is used three times, one of them twice by the same child.
SHARED = [[], [0, 0], [1, 0], [1, 2], [3, 0]]


def _blocks(count):
    """Return residual blocks y = x + f(x), the derivatives of all edges missing, and the output."""
    parents, x = [[]], 0
    for _ in range(count):
        parents += [[x], [x, len(parents)]]
        x = len(parents) - 1
    return parents, x


def _mixed(parents, output, rng):
    """Return the same graph with its nodes numbered anew."""
    new = [int(each) for each in rng.permutation(len(parents))]
    mixed = [[] for _ in parents]
    for node, of in enumerate(parents):
        mixed[new[node]] = [new[each] for each in of]
    return mixed, new[output]


def _partials(parents, rng, scale, shape):
    """Return derivatives for all edges."""
    return [[scale * rng.standard_normal(shape) + 0.1 for _ in of] for of in parents]


def _graph(parents, output, rng, scale=1.0, shape=(3, 2)):
    return parents, _partials(parents, rng, scale, shape), output, rng.standard_normal(shape)


def _residual_graph(parents, output, rng, scale=1.0):
    """Return a graph in which what has two parents is their sum."""
    parents, partials, output, gradient = _graph(parents, output, rng, scale)
    partials = [[None, None] if len(of) == 2 else of for of in partials]
    return parents, partials, output, gradient


def topological_order_small(rng, reference):
    yield [[], [0], [1]], 2
    yield DIAMOND, 3
    yield SHARED, 4
    yield [[], [0], [0, 1], [2], [2, 3]], 3


def topological_order_residual(rng, reference):
    yield _mixed(*_blocks(5), rng)
    yield _mixed(*_blocks(32), rng)


def unbroadcast_leading(rng, reference):
    yield rng.standard_normal((3, 2, 4)), (2, 4)
    yield rng.standard_normal((3, 2, 4)), (4,)
    yield rng.standard_normal((3, 2)), ()
    yield rng.standard_normal((3, 2)), (3, 2)


def unbroadcast_ones(rng, reference):
    yield rng.standard_normal((3, 2, 4)), (3, 1, 4)
    yield rng.standard_normal((3, 2, 4)), (1, 2, 1)
    yield rng.standard_normal((5, 3, 2, 4)), (3, 1, 4)


def _pairs(rng):
    """Yield g, a and b: of equal shapes, and with each of them broadcast."""
    for a, b in [((3, 2), (3, 2)), ((3, 4), (4,)), ((2, 1, 4), (3, 1))]:
        g = rng.standard_normal(np.broadcast_shapes(a, b))
        # Away from 0, as b is divided by.
        yield g, rng.standard_normal(a), rng.choice([-1, 1], b) * rng.uniform(0.5, 2, b)


def add_vjp_broadcast(rng, reference):
    yield from _pairs(rng)


def sub_vjp_broadcast(rng, reference):
    yield from _pairs(rng)


def mul_vjp_broadcast(rng, reference):
    yield from _pairs(rng)


def div_vjp_broadcast(rng, reference):
    yield from _pairs(rng)


def _products(rng, *shapes):
    for a, b in shapes:
        a, b = rng.standard_normal(a), rng.standard_normal(b)
        yield rng.standard_normal((a @ b).shape), a, b


def matmul_vjp_values(rng, reference):
    yield from _products(rng, ((3, 3), (3, 3)), ((3, 2), (2, 4)))


def matmul_vjp_batches(rng, reference):
    yield from _products(rng, ((5, 3, 2), (5, 2, 4)), ((5, 3, 2), (2, 4)), ((1, 3, 2), (5, 2, 4)))


def residual_vjp_values(rng, reference):
    g, x, w = (rng.standard_normal(shape) for shape in [(4, 3), (4, 3), (3, 3)])
    yield g, x, w
    # Where x is 0, so is x @ w, exactly.
    yield g, x * np.array([[1.0], [0.0], [1.0], [1.0]]), w


def backward_chain(rng, reference):
    yield _graph([[], [0], [1], [2]], 2, rng)


def backward_shared(rng, reference):
    yield _graph(SHARED, 4, rng)


def backward_residual(rng, reference):
    yield _residual_graph(*_mixed(*_blocks(3), rng), rng)


def backward_twice(rng, reference):
    yield _residual_graph(*_blocks(2), rng)
    yield _residual_graph(*_blocks(2), rng)


def backward_lets_go(rng, reference):
    # Arrays of 6 kB, so that one which is kept is seen.
    yield _graph([[], [0], [0, 1]], 2, rng, shape=(25, 30))


def backward_32_blocks(rng, reference):
    yield _residual_graph(*_blocks(32), rng, 0.3)


def backward_precision(rng, reference):
    parents, partials, output, gradient = _graph([[], [0, 0]], 1, rng)
    # Two large contributions that all but cancel.
    yield parents, [[], [partials[1][0] + 1e6, partials[1][1] - 1e6]], output, gradient
