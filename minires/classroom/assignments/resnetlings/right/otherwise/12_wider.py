"""Without a tape: the shortcut is a product with a matrix of ones and zeros."""

import numpy as np


def wider(x, w, g):
    n, d = x.shape
    widening = np.eye(d, w.shape[1])
    inner = x @ w
    y = x @ widening + np.where(inner > 0, inner, 0)
    masked = np.where(inner > 0, g, 0)
    through = masked @ w.T
    around = g @ widening.T
    return y, around + through, x.T @ masked
