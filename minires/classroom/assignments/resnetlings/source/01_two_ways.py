"""A residual block, y = x + relu(x @ w), forward and backward."""

import numpy as np


def two_ways(x, w, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, D)
    w : (D, D)
    g : (N, D)
        Gradient of the loss in y.

    Returns
    -------
    y, dx : (N, D)
    dw : (D, D)
    """
    inner = x @ w
    y = x + np.maximum(inner, 0.0)
    dinner = g * (inner > 0)
    dw = x.T @ dinner
    dx = g + dinner @ w.T
    return y, dx, dw
