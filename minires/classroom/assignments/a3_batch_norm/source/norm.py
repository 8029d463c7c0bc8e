"""Batch normalisation, forward and backward (Ioffe and Szegedy 2015, arXiv 1502.03167).

N images in a batch, C channels, H rows, W columns. Each channel is normalised by itself, over all
the values it has: N of them in (N, C), N*H*W in (N, C, H, W).
"""

from __future__ import annotations

import numpy as np


def along_channels(v, x):
    """Give a vector of the channels the shape in which it broadcasts against x.

    Parameters
    ----------
    v : (C,)
    x : (N, C) or (N, C, H, W)

    Returns
    -------
    array, (1, C) or (1, C, 1, 1)
    """
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def batch_norm_train(x, gamma, beta, eps):
    """Normalise each channel by its own mean and variance in the batch, then scale and shift it.

    Parameters
    ----------
    x : (N, C) or (N, C, H, W)
    gamma, beta : (C,)
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    y : of x's shape
    cache : dict
        mean, var, std and gamma, (C,) each, and x_hat, of x's shape. The variance is the biased
        one, the mean of the squares; std is the root of var + eps.
    """
    # PROMPT Over which axes does a channel have its values?
    # BEGIN SOLUTION
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes)
    var = x.var(axes)
    std = np.sqrt(var + eps)
    x_hat = (x - along_channels(mean, x)) / along_channels(std, x)
    y = along_channels(gamma, x) * x_hat + along_channels(beta, x)
    return y, {"mean": mean, "var": var, "std": std, "x_hat": x_hat, "gamma": gamma}
    # END SOLUTION


def batch_norm_train_backward(g, cache):
    """Return the gradients of `batch_norm_train`.

    Parameters
    ----------
    g : (N, C) or (N, C, H, W)
        Gradient of the loss in y.
    cache : dict
        Of `batch_norm_train`.

    Returns
    -------
    dx : of g's shape
    dgamma, dbeta : (C,)
    """
    # PROMPT x counts three times: in the numerator, in the mean, in the variance.
    # BEGIN SOLUTION
    x_hat = cache["x_hat"]
    axes = (0, *range(2, g.ndim))
    dgamma = (g * x_hat).sum(axes)
    dbeta = g.sum(axes)
    # With m values in a channel, std * dx_i = gamma * (g_i - sum(g)/m - x_hat_i * sum(g*x_hat)/m).
    m = g.size // g.shape[1]
    through_mean = along_channels(dbeta / m, g)
    through_variance = x_hat * along_channels(dgamma / m, g)
    scale = along_channels(cache["gamma"] / cache["std"], g)
    dx = scale * (g - through_mean - through_variance)
    return dx, dgamma, dbeta
    # END SOLUTION


def update_running(running_mean, running_var, x, momentum):
    """Move the running statistics towards those of a batch, as PyTorch does.

    Parameters
    ----------
    running_mean, running_var : (C,)
        As they were; they stay so.
    x : (N, C) or (N, C, H, W)
    momentum : float
        Weight of the *new* batch.

    Returns
    -------
    running_mean, running_var : (C,)
        New arrays. The variance that goes into them is the unbiased one.
    """
    # BEGIN SOLUTION
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes)
    var = x.var(axes, ddof=1)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * var
    return new_mean, new_var
    # END SOLUTION


def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    """Normalise each channel by the running statistics, then scale and shift it.

    Parameters
    ----------
    x : (N, C) or (N, C, H, W)
    gamma, beta, running_mean, running_var : (C,)
    eps : float
        Added to the variance.

    Returns
    -------
    y : of x's shape
    cache : dict
        std and gamma, (C,) each, and x_hat, of x's shape.
    """
    # BEGIN SOLUTION
    fixed_std = np.sqrt(running_var + eps)
    x_hat = (x - along_channels(running_mean, x)) / along_channels(fixed_std, x)
    out = along_channels(gamma, x) * x_hat + along_channels(beta, x)
    return out, {"std": fixed_std, "x_hat": x_hat, "gamma": gamma}
    # END SOLUTION


def batch_norm_eval_backward(g, cache):
    """Return the gradients of `batch_norm_eval`.

    Parameters
    ----------
    g : (N, C) or (N, C, H, W)
        Gradient of the loss in y.
    cache : dict
        Of `batch_norm_eval`.

    Returns
    -------
    dx : of g's shape
    dgamma, dbeta : (C,)
    """
    # PROMPT What of all that the formula is made of still depends on x?
    # BEGIN SOLUTION
    axes = (0, *range(2, g.ndim))
    slope = cache["gamma"] / cache["std"]
    return along_channels(slope, g) * g, (g * cache["x_hat"]).sum(axes), g.sum(axes)
    # END SOLUTION


def batch_norm_steps(batches, gs, gamma, beta, lr, momentum, eps):
    """Train a layer for some steps: forward, backward, running statistics, gradient descent.

    Parameters
    ----------
    batches : list of (N, C) or (N, C, H, W)
        N need not be the same.
    gs : list of arrays
        For each batch the gradient of the loss in y.
    gamma, beta : (C,)
        As they are at first; they stay so.
    lr : float
        Length of a step against the gradients dgamma and dbeta.
    momentum, eps : float

    Returns
    -------
    gamma, beta, running_mean, running_var : (C,)
        After the last step. The running mean begins at 0, the running variance at 1.
    """
    # BEGIN SOLUTION
    running_mean = np.zeros_like(gamma)
    running_var = np.ones_like(gamma)
    for x, g in zip(batches, gs, strict=True):
        _, cache = batch_norm_train(x, gamma, beta, eps)
        running_mean, running_var = update_running(running_mean, running_var, x, momentum)
        _, dgamma, dbeta = batch_norm_train_backward(g, cache)
        gamma = gamma - lr * dgamma
        beta = beta - lr * dbeta
    return gamma, beta, running_mean, running_var
    # END SOLUTION
