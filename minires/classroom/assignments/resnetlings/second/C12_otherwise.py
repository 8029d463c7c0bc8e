"""All images at once."""

import numpy as np


def batch(x, w, g):
    kernel = w + np.eye(len(w))
    y = np.einsum("nchw,oc->nohw", x, kernel)
    dx = np.einsum("nohw,oc->nchw", g, kernel)
    dw = np.tensordot(g[-1:], x[-1:], axes=((0, 2, 3), (0, 2, 3)))
    return y, dx, dw
