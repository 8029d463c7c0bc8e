"""Batch normalisation as a straight line for each channel: y = a * x + b."""

from __future__ import annotations

import numpy as np


class Channels:
    """Sums over all axes but that of the channels, and back."""

    def __init__(self, x):
        self.letters = "nchw"[: x.ndim]
        self.m = x.size // x.shape[1]
        self.index = (None, slice(None)) + (None,) * (x.ndim - 2)

    def sum(self, *factors):
        return np.einsum(",".join([self.letters] * len(factors)) + "->c", *factors)

    def mean(self, *factors):
        return self.sum(*factors) / self.m

    def wide(self, v):
        return np.asarray(v)[self.index]


def line(x, gamma, beta, mean, std):
    over = Channels(x)
    a = gamma / std
    b = beta - a * mean
    y = over.wide(a) * x + over.wide(b)
    x_hat = over.wide(1 / std) * x - over.wide(mean / std)
    return y, {"std": std, "gamma": gamma, "x_hat": x_hat}


def batch_norm_train(x, gamma, beta, eps):
    over = Channels(x)
    mean = over.mean(x)
    var = over.mean(x, x) - mean**2
    y, cache = line(x, gamma, beta, mean, np.sqrt(var + eps))
    return y, cache


def batch_norm_train_backward(g, cache):
    over, hat = Channels(g), cache["x_hat"]
    a = cache["gamma"] / cache["std"]
    dgamma, dbeta = over.sum(g, hat), over.sum(g)
    dx = over.wide(a) * g - over.wide(a * dgamma / over.m) * hat - over.wide(a * dbeta / over.m)
    return dx, dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    over = Channels(x)
    old, new = np.stack([running_mean, running_var]), np.empty((2, x.shape[1]))
    new[0] = over.mean(x)
    new[1] = over.sum(x - over.wide(new[0]), x - over.wide(new[0])) / (over.m - 1)
    moved = old + momentum * (new - old)
    return moved[0], moved[1]


def batch_norm_eval(x, gamma, beta, running_mean, running_var, eps):
    return line(x, gamma, beta, running_mean, np.sqrt(running_var + eps))


def batch_norm_eval_backward(g, cache):
    over = Channels(g)
    dgamma, dbeta = over.sum(g, cache["x_hat"]), over.sum(g)
    return over.wide(cache["gamma"] / cache["std"]) * g, dgamma, dbeta


def batch_norm_steps(batches, gs, gamma, beta, lr, momentum, eps):
    parameters = np.stack([gamma, beta])
    running = np.stack([np.zeros(len(gamma)), np.ones(len(gamma))])
    while batches:
        (x, *batches), (g, *gs) = batches, gs
        cache = batch_norm_train(x, *parameters, eps)[1]
        running = np.stack(update_running(*running, x, momentum))
        parameters = parameters - lr * np.stack(batch_norm_train_backward(g, cache)[1:])
    return (*parameters, *running)
