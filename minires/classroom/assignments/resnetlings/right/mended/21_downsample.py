"""The first block of a stage: fewer pixels, other channels.

Its branch is a 1x1 convolution with a stride, ReLU, and one without; its shortcut is a 1x1
convolution, the projection. The pixel in row i and column j of y looks at the one in row
i * stride and column j * stride of x.
"""

import numpy as np


def mix(x, w):
    """Return the 1x1 convolution of x (N, C, H, W) by w (O, C), which is (N, O, H, W)."""
    return np.einsum("nchw,oc->nohw", x, w)


def downsample(x, params, stride, g):
    """Return what comes out of the block, and the gradient of what went in.

    Parameters
    ----------
    x : (N, C, H, W)
    params : dict
        The weights conv1 (M, C), conv2 (O, M) and projection (O, C).
    stride : int
    g : (N, O, OH, OW)
        Gradient of the loss in y. OH is (H - 1) // stride + 1, and OW likewise.

    Returns
    -------
    y : (N, O, OH, OW)
    dx : (N, C, H, W)
    """
    seen = x[:, :, ::stride, ::stride]
    inner = mix(seen, params["conv1"])
    branch = mix(np.maximum(inner, 0.0), params["conv2"])
    shortcut = mix(x, params["projection"])[:, :, ::stride, ::stride]
    y = shortcut + branch

    dinner = mix(g, params["conv2"].T) * (inner > 0)
    dx = np.zeros_like(x)
    dx[:, :, ::stride, ::stride] += mix(dinner, params["conv1"].T)
    dx[:, :, 0::stride, 0::stride] += mix(g, params["projection"].T)
    return y, dx
