"""A residual block of two layers, y = relu(x + relu(x @ w1) @ w2), forward and backward."""

import numpy as np


def relu(x):
    """Return max(x, 0)."""
    return np.maximum(x, 0.0)


def two_relus(x, w1, w2, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, D)
    w1, w2 : (D, D)
    g : (N, D)
        Gradient of the loss in y.

    Returns
    -------
    y, dx : (N, D)
    dw1, dw2 : (D, D)
    """
    hidden = relu(x @ w1)
    y = relu(x + hidden @ w2)

    dtotal = g * (y > 0)
    dw2 = hidden.T @ dtotal
    dhidden = dtotal @ w2.T
    dinner = dhidden * (x @ w1 > 0)
    dw1 = x.T @ dinner
    dx = dtotal + dinner @ w1.T
    return y, dx, dw1, dw2
