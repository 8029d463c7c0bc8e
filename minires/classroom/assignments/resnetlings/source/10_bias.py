"""A residual block with a bias, y = x + relu(x @ w + b), forward and backward."""

import numpy as np


def bias(x, w, b, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, D)
    w : (D, D)
    b : (D,)
    g : (N, D)
        Gradient of the loss in y.

    Returns
    -------
    y, dx : (N, D)
    dw : (D, D)
    db : (D,)
    """
    inner = x @ w + b
    y = x + np.maximum(inner, 0.0)
    dinner = g * (inner > 0)
    dx = g + dinner @ w.T
    dw = x.T @ dinner
    db = dinner.sum(0)
    return y, dx, dw, db
