"""The bias is one more weight, of an input that is always 1."""

import numpy as np


def bias(x, w, b, g):
    longer = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    weights = np.concatenate([w, b[None]], axis=0)
    inner = longer @ weights
    y = x + inner * (inner > 0)
    dinner = g * (inner > 0)
    dweights = longer.T @ dinner
    return y, g + dinner @ w.T, dweights[:-1], longer[:, -1] @ g
