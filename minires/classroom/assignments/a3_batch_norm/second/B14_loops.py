"""Batch normalisation in loops over channels and values."""

from __future__ import annotations

import math

import numpy as np


def values_of(x, c):
    """All values of a channel, in a list."""
    return [float(v) for v in x[:, c].ravel()]


def statistics(x, c):
    values = values_of(x, c)
    mean = math.fsum(values) / len(values)
    squares = math.fsum((v - mean) ** 2 for v in values)
    return mean, squares, len(values)


def batch_norm_train(x, gamma, beta, eps):
    channels = x.shape[1]
    y, x_hat = np.empty(x.shape), np.empty(x.shape)
    means, variances, stds = np.empty(channels), np.empty(channels), np.empty(channels)
    for c in range(channels):
        mean, squares, count = statistics(x, c)
        var = squares / count
        std = math.sqrt(var + eps)
        x_hat[:, c] = (x[:, c] - mean) / std
        y[:, c] = gamma[c] * x_hat[:, c] + beta[c]
        means[c], variances[c], stds[c] = mean, var, std
    cache = {"mean": means, "var": variances, "std": stds, "x_hat": x_hat}
    cache["gamma"] = np.array(gamma)
    return y, cache


def batch_norm_train_backward(g, cache):
    dx = np.empty(g.shape)
    dgamma, dbeta = np.zeros(g.shape[1]), np.zeros(g.shape[1])
    for c in range(g.shape[1]):
        grads, hats = values_of(g, c), values_of(cache["x_hat"], c)
        count = len(grads)
        for grad, hat in zip(grads, hats, strict=True):
            dgamma[c] += grad * hat
            dbeta[c] += grad
        scale = cache["gamma"][c] / cache["std"][c]
        found = []
        for grad, hat in zip(grads, hats, strict=True):
            found.append(scale * (grad - dbeta[c] / count - hat * dgamma[c] / count))
        dx[:, c] = np.reshape(found, g[:, c].shape)
    return dx, dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    means, variances = [], []
    for c in range(x.shape[1]):
        mean, squares, count = statistics(x, c)
        var = squares / count
        means.append(running_mean[c] * (1 - momentum) + mean * momentum)
        variances.append(running_var[c] * (1 - momentum) + var * momentum)
    return np.array(means), np.array(variances)


def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    y, x_hat, stds = np.empty(x.shape), np.empty(x.shape), np.empty(x.shape[1])
    for c in range(x.shape[1]):
        mean, var = running_mean[c], running_var[c]
        std = math.sqrt(var + eps)
        x_hat[:, c] = (x[:, c] - mean) / std
        y[:, c] = gamma[c] * x_hat[:, c] + beta[c]
        stds[c] = std
    return y, {"std": stds, "x_hat": x_hat, "gamma": np.array(gamma)}


def batch_norm_eval_backward(g, cache):
    dx = np.empty(g.shape)
    dgamma, dbeta = np.zeros(g.shape[1]), np.zeros(g.shape[1])
    for c in range(g.shape[1]):
        slope = cache["gamma"][c] / cache["std"][c]
        grads, hats = values_of(g, c), values_of(cache["x_hat"], c)
        found = []
        for grad, hat in zip(grads, hats, strict=True):
            found.append(slope * grad)
            dgamma[c] += grad * hat
            dbeta[c] += grad
        dx[:, c] = np.reshape(found, g[:, c].shape)
    return dx, dgamma, dbeta


def batch_norm_steps(batches, gs, gamma, beta, lr, momentum, eps):
    scale, shift = [float(v) for v in gamma], [float(v) for v in beta]
    running_mean, running_var = [0.0] * len(scale), [1.0] * len(scale)
    for x, g in zip(batches, gs, strict=True):
        _, cache = batch_norm_train(x, np.array(scale), np.array(shift), eps)
        running_mean, running_var = update_running(running_mean, running_var, x, momentum)
        _, dgamma, dbeta = batch_norm_train_backward(g, cache)
        for c in range(len(scale)):
            scale[c] -= lr * dgamma[c]
            shift[c] -= lr * dbeta[c]
    return np.array(scale), np.array(shift), running_mean, running_var
