"""Rectified units."""

import numpy as np


def relu(x):
    """Return max(x, 0), and a cache with the mask of where x is above 0."""
    # BEGIN SOLUTION
    mask = x > 0
    return np.where(mask, x, 0.0), {"mask": mask, "share": mask.mean()}
    # END SOLUTION


def relu_backward(g, cache):
    """Return the gradient of the input."""
    # BEGIN SOLUTION
    return g * cache["mask"]
    # END SOLUTION
