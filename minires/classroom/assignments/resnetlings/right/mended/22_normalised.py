"""A residual block with batch normalisation, y = x + relu(batch_norm(x)), while it trains."""

import numpy as np

EPS = 1e-5
PIXELS = (0, 2, 3)


def normalised(x, gamma, beta, g):
    """Return what comes out of the block, and the gradients of what went in.

    Each channel is normalised by its own mean and variance in the batch.

    Parameters
    ----------
    x : (N, C, H, W)
    gamma, beta : (1, C, 1, 1)
        Scale and shift.
    g : (N, C, H, W)
        Gradient of the loss in y.

    Returns
    -------
    y, dx : (N, C, H, W)
    dgamma, dbeta : (1, C, 1, 1)
    """
    std = np.sqrt(x.var(PIXELS, keepdims=True) + EPS)
    x_hat = (x - x.mean(PIXELS, keepdims=True)) / std
    inner = gamma * x_hat + beta
    y = x + np.maximum(inner, 0.0)

    dinner = g * (inner > 0)
    dgamma = (dinner * x_hat).sum(PIXELS, keepdims=True)
    dbeta = dinner.sum(PIXELS, keepdims=True)
    m = x.size // x.shape[1]
    through = gamma / std * (dinner - x_hat * dgamma / m)
    dx = g + through - through.mean(PIXELS, keepdims=True)
    return y, dx, dgamma, dbeta
