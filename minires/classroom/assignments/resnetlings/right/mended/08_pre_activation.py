"""A stem and residual blocks whose ReLU comes first: each computes x + relu(x) @ w."""

import numpy as np


def relu(x):
    """Return max(x, 0)."""
    return np.maximum(x, 0.0, out=x)


def pre_activation(image, stem, weights, g):
    """Go forward through the stem and all blocks, and back again.

    Parameters
    ----------
    image : (N, P)
    stem : (P, D)
        The first block is given image @ stem.
    weights : list of (D, D)
        One for each block.
    g : (N, D)
        Gradient of the loss in what the last block returns.

    Returns
    -------
    y : (N, D)
    dstem : (P, D)
    dweights : list of (D, D)
        In the order of the weights.
    """
    x = image @ stem
    inputs = []
    for w in weights:
        inputs.append(x)
        x = x + relu(x.copy()) @ w

    dweights = []
    for x_in, w in zip(reversed(inputs), reversed(weights)):
        dweights.append(relu(x_in.copy()).T @ g)
        g = g + (g @ w.T) * (x_in > 0)
    return x, image.T @ g, dweights[::-1]
