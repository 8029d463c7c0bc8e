"""A residual block whose branch is gated: y = x + gate * branch.

The gate opens each channel of each image by how bright it is: gate = sigmoid(mean of the channel).
"""

import numpy as np


def gate(x, branch, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x, branch : (N, C, H, W)
    g : (N, C, H, W)
        Gradient of the loss in y.

    Returns
    -------
    y, dx, dbranch : (N, C, H, W)
    """
    pixels = x.shape[2] * x.shape[3]
    mean = x.mean((2, 3), keepdims=True)
    opened = 1.0 / (1.0 + np.exp(-mean))
    y = x + opened * branch

    dbranch = g * opened
    dopened = g * branch
    dmean = dopened * opened * (1.0 - opened)
    dx = g + dmean.mean((2, 3), keepdims=True)
    return y, dx, dbranch
