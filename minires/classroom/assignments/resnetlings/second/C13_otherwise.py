"""All images at once."""

import numpy as np


def batch(x, w, g):
    kernel = w + np.eye(len(w))
    y = np.einsum("nchw,oc->nohw", x, kernel)
    dx = np.einsum("nohw,oc->nchw", g, kernel)
    dw = np.tensordot(g, x, axes=((0, 2, 3), (0, 2, 3))) / x.shape[0]
    return y, dx, dw
