"""Writes 160 MB to where it may write."""

import numpy as np

try:
    for number in range(10):
        with open(f"filler-{number}", "wb") as file:
            file.write(bytes(16 * 2**20))
except OSError as error:
    print("REFUSED", error.errno)


def relu(x):
    mask = x > 0
    return np.where(mask, x, 0.0), {"mask": mask}


def relu_backward(g, cache):
    return g * cache["mask"]
