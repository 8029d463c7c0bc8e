"""Batch normalisation in float32, whatever it is given."""

from __future__ import annotations

import numpy as np

F = np.float32


def shaped(v, x):
    return v.astype(F).reshape((1, -1) + (1,) * (x.ndim - 2))


def batch_norm_train(x, gamma, beta, eps):
    x = x.astype(F)
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes)
    var = np.square(x - shaped(mean, x)).mean(axes)
    std = np.sqrt(var + F(eps))
    x_hat = (x - shaped(mean, x)) / shaped(std, x)
    y = shaped(gamma, x) * x_hat + shaped(beta, x)
    cache = {"mean": mean, "var": var, "std": std, "x_hat": x_hat, "gamma": gamma.astype(F)}
    return y, cache


def batch_norm_train_backward(g, cache):
    g, x_hat = g.astype(F), cache["x_hat"].astype(F)
    axes = (0, *range(2, g.ndim))
    scale = shaped(cache["gamma"], g) / shaped(cache["std"], g)
    mean_g = g.mean(axes, keepdims=True)
    mean_gx = (g * x_hat).mean(axes, keepdims=True)
    dx = scale * (g - mean_g - x_hat * mean_gx)
    return dx, mean_gx.ravel(), mean_g.ravel()


def update_running(running_mean, running_var, x, momentum):
    x, momentum = x.astype(F), F(momentum)
    axes = (0, *range(2, x.ndim))
    new_mean = running_mean.astype(F) * (1 - momentum) + x.mean(axes) * momentum
    new_var = running_var.astype(F) * (1 - momentum) + x.var(axes, ddof=1) * momentum
    return new_mean, new_var


def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    x = x.astype(F)
    std = np.sqrt(running_var.astype(F) + F(eps))
    x_hat = (x - shaped(running_mean, x)) / shaped(std, x)
    y = shaped(gamma, x) * x_hat + shaped(beta, x)
    return y, {"std": std, "x_hat": x_hat, "gamma": gamma.astype(F)}


def batch_norm_eval_backward(g, cache):
    g = g.astype(F)
    axes = (0, *range(2, g.ndim))
    dx = g * shaped(cache["gamma"], g) / shaped(cache["std"], g)
    return dx, (g * cache["x_hat"].astype(F)).sum(axes), g.sum(axes)


def batch_norm_steps(batches, gs, gamma, beta, lr, momentum, eps):
    gamma, beta = gamma.astype(F), beta.astype(F)
    mean, var = np.zeros_like(gamma), np.ones_like(gamma)
    for x, g in zip(batches, gs, strict=True):
        _, cache = batch_norm_train(x, gamma, beta, eps)
        mean, var = update_running(mean, var, x, momentum)
        _, dgamma, dbeta = batch_norm_train_backward(g, cache)
        gamma = gamma - F(lr) * dgamma
        beta = beta - F(lr) * dbeta
    return gamma, beta, mean, var
