"""A residual block that widens its input, on a small tape.

y = shortcut + relu(x @ w) has E features, and x has only D. The shortcut is x with zeros behind it.
"""

import numpy as np


class Var:
    """A value, what it was made of, and how a gradient goes back to that."""

    def __init__(self, data, parents=(), pull_back=None):
        self.data, self.parents, self.pull_back = data, parents, pull_back
        self.grad = np.zeros_like(data)


def matmul(a, b):
    """Return a @ b."""
    return Var(a.data @ b.data, (a, b), lambda g: (g @ b.data.T, a.data.T @ g))


def relu(a):
    """Return max(a, 0)."""
    return Var(np.maximum(a.data, 0.0), (a,), lambda g: (g * (a.data > 0),))


def add(a, b):
    """Return a + b."""
    return Var(a.data + b.data, (a, b), lambda g: (g, g))


def widen(a, width):
    """Return a with zeros behind its features, `width` together."""
    size = a.data.shape[1]
    data = np.pad(a.data, ((0, 0), (0, width - size)))
    return Var(data, (a,), lambda g: (g[:, :size],))


def wider(x, w, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, D)
    w : (D, E)
    g : (N, E)
        Gradient of the loss in y.

    Returns
    -------
    y : (N, E)
    dx : (N, D)
    dw : (D, E)
    """
    x, w = Var(x), Var(w)
    inner = matmul(x, w)
    branch = relu(inner)
    shortcut = widen(x, w.data.shape[1])
    y = add(shortcut, branch)

    y.grad = g
    for each in (y, shortcut, branch, inner):
        if each.pull_back is not None:
            for parent, part in zip(each.parents, each.pull_back(each.grad)):
                parent.grad = parent.grad + part
    return y.data, x.grad, w.grad
