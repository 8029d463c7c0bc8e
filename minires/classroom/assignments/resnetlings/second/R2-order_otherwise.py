"""Forward and backward of a block by recursion."""

import numpy as np


def chain(x, weights, g):
    if not weights:
        return x.copy(), g.copy(), []
    w, *rest = weights
    inner = np.einsum("nd,de->ne", x, w)
    mask = inner > 0
    y, arrived, drest = chain(x + inner * mask, rest, g)
    masked = arrived * mask
    around, through = arrived, np.einsum("ne,de->nd", masked, w)
    dw = np.einsum("nd,ne->de", x, masked)
    return y, around + through, [*drest, dw]
