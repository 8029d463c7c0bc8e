"""A residual block with a 3x3 convolution, y = x + conv(x), backward.

The image is padded by 1, so that a window lies around each of its pixels.
"""

import numpy as np


def windows(g, w):
    """Return the gradient of what went into the block.

    Parameters
    ----------
    g : (N, C, H, W)
        Gradient of the loss in y.
    w : (C, C, 3, 3)
        By output and input channel.

    Returns
    -------
    dx : (N, C, H, W)
    """
    n, c, height, width = g.shape
    dpadded = np.zeros((n, c, height + 2, width + 2))
    for i in range(height):
        for j in range(width):
            window = np.einsum("no,ocyx->ncyx", g[:, :, i, j], w)
            dpadded[:, :, i : i + 3, j : j + 3] = dpadded[:, :, i : i + 3, j : j + 3] + window
    return g + dpadded[:, :, 1:-1, 1:-1]
