"""Step by step, how the gradients of batch normalisation come about."""

from __future__ import annotations

import numpy as np


def trace_batch_norm_train_backward(reference, g, cache):
    _, dgamma, dbeta = reference.batch_norm_train_backward(g, cache)
    x_hat, m = cache["x_hat"], g.size // g.shape[1]

    def along(v):
        return np.broadcast_to(v.reshape(1, -1, *[1] * (g.ndim - 2)), g.shape)

    scale = along(cache["gamma"] / cache["std"])
    yield "g, summed over each channel", "dbeta", g
    yield "g times x_hat, summed over each channel", "dgamma", g
    yield "x itself, in the numerator", "dx", g, scale * g
    yield "the mean, which x is less", "dx", g, -scale * along(dbeta / m)
    yield "the variance, by whose root x is divided", "dx", g, -scale * x_hat * along(dgamma / m)
