"""Convolution as one product of matrices, forward and backward.

Axes: N images, C channels, H rows, W columns; O filters, KH rows, KW columns; OH and OW places of
the window; L = OH * OW; G groups.
"""

import numpy as np


def output_size(size, kernel, stride, padding):
    """Return at how many places a window fits along an axis.

    Parameters
    ----------
    size, kernel : int
        Lengths of the axis and of the window.
    stride : int
        How far one place is from the next.
    padding : int
        How many zeros stand before the axis, and as many behind it.
    """
    # BEGIN SOLUTION
    return (size + 2 * padding - kernel) // stride + 1
    # END SOLUTION


def im2col(x, kernel, stride, padding):
    """Return what the window sees, one column for each of its places.

    Parameters
    ----------
    x : array, (N, C, H, W)
    kernel : (KH, KW)
    stride, padding : int

    Returns
    -------
    array, (N, C*KH*KW, L)
        Rows: channel by channel, in each the window's pixels row by row. Columns: the window's
        places row by row.
    """
    # BEGIN SOLUTION
    n, c, h, w = x.shape
    kh, kw = kernel
    oh, ow = output_size(h, kh, stride, padding), output_size(w, kw, stride, padding)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    cols = np.empty((n, c, kh, kw, oh, ow), x.dtype)
    for i in range(kh):
        for j in range(kw):
            rows, columns = slice(i, i + stride * oh, stride), slice(j, j + stride * ow, stride)
            cols[:, :, i, j] = padded[:, :, rows, columns]
    return cols.reshape(n, c * kh * kw, oh * ow)
    # END SOLUTION


def col2im(cols, size, kernel, stride, padding):
    """Put columns back where `im2col` took them from; where they overlap, they add up.

    Parameters
    ----------
    cols : array, (N, C*KH*KW, L)
    size : (H, W)
    kernel : (KH, KW)
    stride, padding : int

    Returns
    -------
    array, (N, C, H, W)
    """
    # BEGIN SOLUTION
    (h, w), (kh, kw) = size, kernel
    oh, ow = output_size(h, kh, stride, padding), output_size(w, kw, stride, padding)
    n, c = cols.shape[0], cols.shape[1] // (kh * kw)
    windows = cols.reshape(n, c, kh, kw, oh, ow)
    padded = np.zeros((n, c, h + 2 * padding, w + 2 * padding), cols.dtype)
    for i in range(kh):
        for j in range(kw):
            rows, columns = slice(i, i + stride * oh, stride), slice(j, j + stride * ow, stride)
            padded[:, :, rows, columns] += windows[:, :, i, j]
    return padded[:, :, padding : padding + h, padding : padding + w]
    # END SOLUTION


def conv_forward(x, w, b, stride, padding, groups):
    """Return y[n, o, i, j] = sum of window (i, j) of image n times filter o, plus b[o].

    Group number k of the O filters, O/G of them that follow each other, sees group number k of the
    channels alone. Filters are not flipped.

    Parameters
    ----------
    x : array, (N, C, H, W)
    w : array, (O, C/G, KH, KW)
    b : array, (O,)
    stride, padding, groups : int

    Returns
    -------
    y : array, (N, O, OH, OW)
    cache : dict
        What `conv_backward` needs: ``x``, ``w``, ``stride``, ``padding`` and ``groups`` as they
        were given; and ``cols``, the columns of x, (N, C*KH*KW, L).
    """
    # BEGIN SOLUTION
    n, _, h, width = x.shape
    o, _, kh, kw = w.shape
    oh, ow = output_size(h, kh, stride, padding), output_size(width, kw, stride, padding)
    cols = im2col(x, (kh, kw), stride, padding)
    windows = cols.reshape(n, groups, -1, oh * ow)  # (N, G, C/G*KH*KW, L)
    filters = w.reshape(groups, o // groups, -1)  # (G, O/G, C/G*KH*KW)
    y = (filters @ windows).reshape(n, o, oh, ow) + b.reshape(o, 1, 1)
    settings = {"stride": stride, "padding": padding, "groups": groups}
    return y, {"x": x, "w": w, "cols": cols, **settings}
    # END SOLUTION


def conv_backward(g, cache):
    """Return the gradients of x, w and b.

    Parameters
    ----------
    g : array, (N, O, OH, OW)
        The gradient of y.
    cache : dict
        As `conv_forward` returned it.

    Returns
    -------
    dx : array, (N, C, H, W)
    dw : array, (O, C/G, KH, KW)
    db : array, (O,)
    """
    # BEGIN SOLUTION
    x, w, groups = cache["x"], cache["w"], cache["groups"]
    n, o, oh, ow = g.shape
    dy = g.reshape(n, groups, o // groups, oh * ow)  # (N, G, O/G, L)
    seen = cache["cols"].reshape(n, groups, -1, oh * ow)  # (N, G, C/G*KH*KW, L)
    dw = (dy @ seen.swapaxes(2, 3)).sum(0).reshape(w.shape)
    transposed = w.reshape(groups, o // groups, -1).swapaxes(1, 2)  # (G, C/G*KH*KW, O/G)
    dcols = (transposed @ dy).reshape(n, -1, oh * ow)  # (N, C*KH*KW, L)
    dx = col2im(dcols, x.shape[2:], w.shape[2:], cache["stride"], cache["padding"])
    db = g.sum((0, 2, 3))
    return dx, dw, db
    # END SOLUTION
