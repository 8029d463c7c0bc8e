"""A residual block with batch normalisation, y = x + relu(batch_norm(x)), trained and then used."""

import numpy as np

EPS = 1e-5


def statistics(x, ddof):
    """Return mean and variance of each channel of x (N, C, H, W), (1, C, 1, 1) both."""
    axes = (0, 2, 3)
    return x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=ddof)


def block(x, mean, var, gamma, beta):
    """Return what comes out of the block if it normalises by a mean and a variance."""
    x_hat = (x - mean) / np.sqrt(var + EPS)
    return x + np.maximum(gamma * x_hat + beta, 0.0)


def evaluation(batches, x, gamma, beta, momentum):
    """Let the block see batches in training, and use it on x then.

    Parameters
    ----------
    batches : list of (N, C, H, W)
        N need not be the same.
    x : (N, C, H, W)
        Of which each image is to come out the same, whatever the others are.
    gamma, beta : (1, C, 1, 1)
    momentum : float
        Weight of a new batch in the running statistics, which begin at 0 (mean) and 1 (variance).
        They take the unbiased variance, with N*H*W - 1 below the line.

    Returns
    -------
    outputs : list of (N, C, H, W)
        What comes out for each batch, which in training is normalised by its own mean and variance.
    y : (N, C, H, W)
        What comes out for x.
    """
    running_mean, running_var = np.zeros_like(gamma), np.ones_like(gamma)
    outputs = []
    for images in batches:
        mean, var = statistics(images, ddof=0)
        outputs.append(block(images, mean, var, gamma, beta))
        mean, var = statistics(images, ddof=1)
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var

    y = block(x, running_mean, running_var, gamma, beta)
    return outputs, y
