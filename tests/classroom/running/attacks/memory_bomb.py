"""Takes memory, up to 2 GB."""

import numpy as np


def relu(x):
    taken = [np.ones(2**23) for _ in range(32)]
    print("TAKEN", len(taken))
    return x, {}
