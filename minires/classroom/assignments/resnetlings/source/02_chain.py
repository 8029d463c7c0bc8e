"""Residual blocks in a row: each adds relu(x @ w) to what it was given."""

import numpy as np


def chain(x, weights, g):
    """Go forward through all blocks, and back again.

    Parameters
    ----------
    x : (N, D)
    weights : list of (D, D)
        One for each block.
    g : (N, D)
        Gradient of the loss in what the last block returns.

    Returns
    -------
    y, dx : (N, D)
    dweights : list of (D, D)
        In the order of the weights.
    """
    inputs = []
    for w in weights:
        inputs.append(x)
        x = x + np.maximum(x @ w, 0.0)

    dweights = []
    for x_in, w in zip(reversed(inputs), reversed(weights)):
        dinner = g * (x_in @ w > 0)
        dweights.append(x_in.T @ dinner)
        dx = dinner @ w.T
        g = g + dx
    return x, g, dweights[::-1]
