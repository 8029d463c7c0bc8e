"""By the places in the kernel, each for all windows at once; in float32."""

import numpy as np


def stride(x, w, step, g):
    x, w, g = np.float32(x), np.float32(w).copy(), np.float32(g)
    for channel in range(len(w)):
        w[channel, channel, 1, 1] += 1
    oh, ow = g.shape[2:]
    y, dx, dw = np.zeros_like(g), np.zeros_like(x), np.zeros_like(w)
    for i in range(3):
        for j in range(3):
            rows = slice(i, i + step * (oh - 1) + 1, step)
            columns = slice(j, j + step * (ow - 1) + 1, step)
            seen = x[:, :, rows, columns]
            y += np.einsum("nchw,oc->nohw", seen, w[:, :, i, j])
            dw[:, :, i, j] = np.einsum("nohw,nchw->oc", g, seen)
            dx[:, :, i : i + oh, j : j + ow] += np.einsum("nohw,oc->nchw", g, w[:, :, i, j])
    return y, dx, dw
