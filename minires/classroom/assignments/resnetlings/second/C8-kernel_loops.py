"""By the places in the kernel, each for all windows at once."""

import numpy as np


def windows(g, w):
    n, c, height, width = g.shape
    dpadded = np.zeros((n, c, height + 2, width + 2))
    for y in range(3):
        for x in range(3):
            dpadded[:, :, y : y + height, x : x + width] = np.einsum(
                "nohw,oc->nchw", g, w[:, :, y, x]
            )
    return g + dpadded[:, :, 1 : height + 1, 1 : width + 1]
