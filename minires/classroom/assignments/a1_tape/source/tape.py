"""The tape: in which order gradients travel back, and what they become on the way."""

import numpy as np


def topological_order(parents, output):
    """Return the nodes that `output` is computed from, and itself, parents before children.

    Parameters
    ----------
    parents : list of lists of int
        ``parents[i]`` are the nodes that node ``i`` is computed from: none for an input, one node
        twice for ``x * x``. Numbers say nothing about the order.
    output : int

    Returns
    -------
    list of int
        Each of them once, `output` last. Where several orders are right, any of them.
    """
    # BEGIN SOLUTION
    order, seen = [], set()

    def visit(node):
        if node in seen:
            return
        seen.add(node)
        for parent in parents[node]:
            visit(parent)
        order.append(node)

    visit(output)
    return order
    # END SOLUTION


def unbroadcast(g, shape):
    """Sum a gradient over the axes along which an array of `shape` was repeated.

    Parameters
    ----------
    g : array
        Gradient of the broadcast array; its shape is one that `shape` broadcasts to.
    shape : tuple of int
        Of the array before.

    Returns
    -------
    array of that shape
        Not in the memory of `g`.
    """
    # BEGIN SOLUTION
    leading = g.ndim - len(shape)
    summed = g.sum(axis=tuple(range(leading)))
    ones = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return summed.sum(axis=ones, keepdims=True)
    # END SOLUTION


def add_vjp(g, a, b):
    """Return the gradients of a and b, of their shapes, for ``y = a + b`` with gradient `g`."""
    # BEGIN SOLUTION
    return unbroadcast(g, a.shape), unbroadcast(g, b.shape)
    # END SOLUTION


def sub_vjp(g, a, b):
    """Return the gradients of a and b, of their shapes, for ``y = a - b`` with gradient `g`."""
    # BEGIN SOLUTION
    return unbroadcast(g, a.shape), unbroadcast(-g, b.shape)
    # END SOLUTION


def mul_vjp(g, a, b):
    """Return the gradients of a and b, of their shapes, for ``y = a * b`` with gradient `g`."""
    # BEGIN SOLUTION
    da, db = g * b, g * a
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)
    # END SOLUTION


def div_vjp(g, a, b):
    """Return the gradients of a and b, of their shapes, for ``y = a / b`` with gradient `g`."""
    # BEGIN SOLUTION
    da, db = g / b, -g * a / b**2
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)
    # END SOLUTION


def matmul_vjp(g, a, b):
    """Return the gradients of a and b, of their shapes, for ``y = a @ b`` with gradient `g`.

    Parameters
    ----------
    g : array, (..., M, N)
    a : array, (..., M, K)
    b : array, (..., K, N)
        The axes before the last two broadcast.
    """
    # BEGIN SOLUTION
    da = g @ b.swapaxes(-1, -2)  # (..., M, N) @ (..., N, K)
    db = a.swapaxes(-1, -2) @ g  # (..., K, M) @ (..., M, N)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)
    # END SOLUTION


def residual_vjp(g, x, w):
    """Return the gradients of x and w for a residual block, ``y = x + relu(x @ w)``.

    Parameters
    ----------
    g : array, (N, D)
    x : array, (N, D)
    w : array, (D, D)

    Returns
    -------
    dx : array, (N, D)
    dw : array, (D, D)
    """
    # BEGIN SOLUTION
    branch = np.where(x @ w > 0, g, 0.0)
    dx = g + branch @ w.T
    dw = x.T @ branch
    return dx, dw
    # END SOLUTION


def backward(parents, partials, output, gradient):
    """Return the gradient of every node of a graph, given that of its output.

    Parameters
    ----------
    parents : list of lists of int
        As in `topological_order`.
    partials : list of lists of array or None
        ``partials[i][k]`` is the derivative of node ``i`` by its ``k``-th parent, element by
        element. None stands for ones, as an addition has them: the gradient passes unchanged.
    output : int
    gradient : array
        Of the output. All nodes have its shape, and all gradients its dtype.

    Returns
    -------
    list of array or None
        For each node; None where the output does not depend on it.
    """
    # BEGIN SOLUTION
    grads = [None] * len(parents)
    grads[output] = gradient.copy()
    for node in reversed(topological_order(parents, output)):
        for parent, partial in zip(parents[node], partials[node]):
            passed = grads[node] if partial is None else grads[node] * partial
            grads[parent] = passed if grads[parent] is None else grads[parent] + passed
    return grads
    # END SOLUTION
