"""All in one function."""

import numpy as np


def tanh_branch(x, w, g):
    inner = x @ w
    branch = np.tanh(inner)
    y = branch
    y += x
    slope = 1 - np.square(branch)
    return y, g + (g * slope) @ w.T, x.T @ (g * slope)
