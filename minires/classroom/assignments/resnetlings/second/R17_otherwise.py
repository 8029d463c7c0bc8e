"""In float32, and with a mask that is a factor."""

import numpy as np


def last_relu(x, w, g):
    x, w, g = (v.astype(np.float32) for v in (x, w, g))
    through = np.einsum("nd,de->ne", x, w)
    passes = (through + x > 0).astype(np.float32)
    both = g * passes
    dx = g + np.einsum("ne,de->nd", both, w)
    return (through + x) * passes, dx, np.einsum("nd,ne->de", x, both)
