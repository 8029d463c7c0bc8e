"""A residual block that halves the image: y = shortcut + conv(x), both with a stride.

The convolution has a 3x3 kernel and no padding. The shortcut is x at the centre of each window.
"""

import numpy as np


def stride(x, w, step, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (C, C, 3, 3)
        By output and input channel.
    step : int
        From one window to the next.
    g : (N, C, OH, OW)
        Gradient of the loss in y. OH is (H - 3) // step + 1, and OW likewise.

    Returns
    -------
    y : (N, C, OH, OW)
    dx : (N, C, H, W)
    dw : (C, C, 3, 3)
    """
    height, width = g.shape[2:]
    y = np.zeros_like(g)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(height):
        for j in range(width):
            top, left = i * step, j * step
            window = x[:, :, top : top + 3, left : left + 3]
            arrived = g[:, :, i, j]  # (N, C)
            y[:, :, i, j] = window[:, :, 1, 1] + np.einsum("ncyx,ocyx->no", window, w)
            dw += np.einsum("no,ncyx->ocyx", arrived, window)
            dwindow = np.einsum("no,ocyx->ncyx", arrived, w)
            dwindow[:, :, 1, 1] += arrived
            dx[:, :, i * step : i * step + 3, j * step : j * step + 3] += dwindow
    return y, dx, dw
