"""A residual block that ends in a ReLU, y = relu(x + x @ w), forward and backward."""

import numpy as np


def last_relu(x, w, g):
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
    branch = x @ w
    total = x + branch
    y = np.maximum(total, 0.0)

    dtotal = np.where(total > 0, g, 0.0)
    dw = x.T @ dtotal
    dx = dtotal + dtotal @ w.T
    return y, dx, dw
