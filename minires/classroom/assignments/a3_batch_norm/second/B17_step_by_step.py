"""Batch normalisation, each step of the forward and its gradient by itself."""

from __future__ import annotations

import numpy as np


def _axes(x):
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def batch_norm_train(x, gamma, beta, eps):
    axes = _axes(x)
    m = x.size / x.shape[1]
    mean = x.sum(axis=axes, keepdims=True) / m
    centred = x - mean
    var = (centred**2).sum(axis=axes, keepdims=True) / m
    std = (var + eps) ** 0.5
    x_hat = centred / std
    y = gamma.reshape(mean.shape) * x_hat + beta.reshape(mean.shape)
    cache = {"mean": mean.ravel(), "var": var.ravel(), "std": std.ravel()}
    return y, cache | {"x_hat": x_hat, "gamma": gamma}


def batch_norm_train_backward(g, cache):
    axes = _axes(g)
    shape = tuple(n if axis == 1 else 1 for axis, n in enumerate(g.shape))
    m = g.size / g.shape[1]
    std = cache["std"].reshape(shape)
    centred = cache["x_hat"] * std
    dx_hat = g * cache["gamma"].reshape(shape)
    dstd = (dx_hat * -centred / std**2).sum(axis=axes, keepdims=True)
    dvar = dstd / (2 * std)
    dcentred = dx_hat / std + dvar * 2 * centred / m
    dmean = -dcentred.sum(axis=axes, keepdims=True)
    dx = dcentred + dmean / m
    dgamma = (g * cache["x_hat"]).sum(axis=axes)
    dbeta = g.sum(axis=axes)
    return dx, dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    axes = _axes(x)
    m = x.size / x.shape[1]
    mean = x.mean(axis=axes)
    unbiased = x.var(axis=axes) * m / (m - 1)
    new_mean = running_mean + momentum * (mean - running_mean)
    new_var = running_var + momentum * (unbiased - running_var)
    return new_mean, new_var


def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    shape = tuple(n if axis == 1 else 1 for axis, n in enumerate(x.shape))
    std = (running_var + eps) ** 0.5
    x_hat = (x - running_mean.reshape(shape)) / std.reshape(shape)
    y = gamma.reshape(shape) * x_hat + beta.reshape(shape)
    return y, {"std": std, "x_hat": x_hat, "gamma": gamma}


def batch_norm_eval_backward(g, cache):
    shape = tuple(n if axis == 1 else 1 for axis, n in enumerate(g.shape))
    dx_hat = g * cache["gamma"].reshape(shape)
    dx = dx_hat / cache["std"].reshape(shape)
    dgamma = (g * cache["x_hat"]).sum(axis=_axes(g))
    dbeta = g.sum(axis=_axes(g))
    return dx, dgamma, dbeta


HISTORY = {"mean": [], "var": []}


def batch_norm_steps(batches, gs, gamma, beta, lr, momentum, eps):
    running = np.zeros(len(gamma)), np.ones(len(gamma))
    for i in range(len(batches)):
        cache = batch_norm_train(batches[i], gamma, beta, eps)[1]
        dx, dgamma, dbeta = batch_norm_train_backward(gs[i], cache)
        gamma = gamma - lr * dgamma
        beta = beta - lr * dbeta
        HISTORY["mean"].append((running[0], batches[i]))
        HISTORY["var"].append((running[1], batches[i]))
        running = update_running(*running, batches[i], momentum)
    return (gamma, beta, *running)
