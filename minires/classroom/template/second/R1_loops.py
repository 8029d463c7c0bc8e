"""The mistake R1, which the name of the file begins with, in another style: it must be named so."""

import numpy as np


def residual_backward(g, x, weight):
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for n in range(len(x)):
        for e in range(weight.shape[1]):
            if x[n] @ weight[:, e] > 0:
                dx[n] += g[n, e] * weight[:, e]
                dweight[:, e] += g[n, e] * x[n]
    return dx, dweight
