"""Gradient descent on a residual block, y = x + x @ w, one step for each batch."""

import numpy as np


def steps(batches, targets, w, lr):
    """Fit the block, beginning with w, which stays as it is.

    The loss of a batch is the mean over its examples of half the squared length of y - target.

    Parameters
    ----------
    batches, targets : list of (N, D)
    w : (D, D)
    lr : float
        Length of a step.

    Returns
    -------
    w : (D, D)
        After the last step.
    losses : list of float
        Of each batch, before its step.
    """
    losses = []
    dw = np.zeros_like(w)
    for x, target in zip(batches, targets):
        loss = 0.0
        for example, wanted in zip(x, target):
            error = example + example @ w - wanted
            loss += 0.5 * (error**2).sum()
            dw += np.outer(example, error)
        losses.append(loss / len(x))
        w = w - lr * (dw / len(x))
    return w, losses
