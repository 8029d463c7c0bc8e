"""Does the first part, and never ends in the second."""

import numpy as np


def relu(x):
    mask = x > 0
    return np.where(mask, x, 0.0), {"mask": mask}


def relu_backward(g, cache):
    while True:
        pass
