"""In float32, and with a mask that is a factor."""

import numpy as np


def last_relu(x, w, g):
    x, w, g = (v.astype(np.float32) for v in (x, w, g))
    through = np.einsum("nd,de->ne", x, w)
    passes = (through + x > 0).astype(np.float32)
    both = g * passes
    dx = np.einsum("ne,de->nd", both, w + np.eye(len(w), dtype=np.float32))
    return (through + x) * passes, dx, np.einsum("nd,ne->de", x, both)
