"""Prints 20 MB."""

import numpy as np

print("x" * 20_000_000)


def relu(x):
    mask = x > 0
    return np.where(mask, x, 0.0), {"mask": mask}


def relu_backward(g, cache):
    return g * cache["mask"]
