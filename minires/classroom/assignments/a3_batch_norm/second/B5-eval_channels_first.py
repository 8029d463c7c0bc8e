"""Batch normalisation of one matrix, a row for each channel; what comes back is a view of one."""

from __future__ import annotations

import numpy as np


def rows(x):
    """(N, C, ...) as (C, N*...)."""
    return np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)


def back(matrix, like):
    """(C, N*...) as (N, C, ...), which does not lie row by row in memory."""
    n, c, *spatial = like.shape
    return np.moveaxis(matrix.reshape(c, n, *spatial), 0, 1)


def batch_norm_train(x, gamma, beta, eps):
    r = rows(x)
    mean, var = r.mean(1), r.var(1)
    std = np.sqrt(var + eps)
    hat = (r - mean[:, None]) / std[:, None]
    y = gamma[:, None] * hat + beta[:, None]
    cache = {"mean": mean, "var": var, "std": std, "gamma": gamma, "x_hat": back(hat, x)}
    return back(y, x), cache


def batch_norm_train_backward(g, cache):
    r, hat = rows(g), rows(cache["x_hat"])
    m = r.shape[1]
    dgamma, dbeta = np.einsum("cm,cm->c", r, hat), np.einsum("cm->c", r)
    inner = m * r - dbeta[:, None] - hat * dgamma[:, None]
    dx = (cache["gamma"] / (m * cache["std"]))[:, None] * inner
    return back(dx, g), dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    r = rows(x)
    kept = 1.0 - momentum
    mean, var = np.mean(r, axis=1), np.var(r, axis=1, ddof=1)
    return kept * running_mean + momentum * mean, kept * running_var + momentum * var


def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    r = rows(x)
    std = np.sqrt(running_var + eps)
    hat = (r - running_mean[:, None]) / std[:, None]
    y = gamma[:, None] * hat + beta[:, None]
    return back(y, x), {"std": std, "gamma": gamma, "x_hat": back(hat, x)}


def batch_norm_eval_backward(g, cache):
    r, hat = rows(g), rows(cache["x_hat"])
    dx = r / cache["std"][:, None]
    return back(dx, g), np.einsum("cm,cm->c", r, hat), np.einsum("cm->c", r)


def batch_norm_steps(batches, gs, gamma, beta, lr, momentum, eps):
    state = [gamma, beta, np.zeros(gamma.shape), np.ones(gamma.shape)]
    for x, g in zip(batches, gs, strict=True):
        cache = batch_norm_train(x, state[0], state[1], eps)[1]
        steps = batch_norm_train_backward(g, cache)[1:]
        state[0], state[1] = (p - lr * d for p, d in zip(state[:2], steps, strict=True))
        state[2:] = update_running(state[2], state[3], x, momentum)
    return tuple(state)
