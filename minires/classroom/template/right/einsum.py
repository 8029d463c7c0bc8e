"""Another right solution: it must have all points. The more of these, the fairer the checks."""

import numpy as np


def residual_backward(g, x, weight):
    branch = np.where(np.einsum("nd,de->ne", x, weight) > 0, g, 0.0)
    return g + np.einsum("ne,de->nd", branch, weight), np.einsum("nd,ne->de", x, branch)
