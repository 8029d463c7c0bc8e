import numpy as np
from numpy.lib.stride_tricks import as_strided


def output_size(size, kernel, stride, padding):
    return int((size + 2 * padding - kernel) / stride)


def windows_of(x, kernel, stride, padding):
    """(N, C, KH, KW, OH, OW), a view of the padded image."""
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    n, c, h, w = x.shape
    places = [(size - k) // stride + 1 for size, k in zip((h, w), kernel)]
    sn, sc, sh, sw = x.strides
    shape = (n, c, *kernel, *places)
    return as_strided(x, shape, (sn, sc, sh, sw, stride * sh, stride * sw))


def im2col(x, kernel, stride, padding):
    windows = windows_of(x, kernel, stride, padding)
    n, c, kh, kw, oh, ow = windows.shape
    return windows.reshape(n, c * kh * kw, oh * ow)


def col2im(cols, size, kernel, stride, padding):
    n = cols.shape[0]
    c = cols.shape[1] // (kernel[0] * kernel[1])
    taken = np.arange(size[0] * size[1]).reshape(1, 1, *size) + 1
    where = im2col(taken, kernel, stride, padding)[0]  # 0 is the padding
    where = where.reshape(kernel[0] * kernel[1], -1)
    flat = np.zeros((n, c, size[0] * size[1] + 1), cols.dtype)
    np.add.at(flat, (slice(None), slice(None), where), cols.reshape(n, c, *where.shape))
    return flat[:, :, 1:].reshape(n, c, *size)


def conv_forward(x, w, b, stride, padding, groups):
    views = windows_of(x, w.shape[2:], stride, padding)
    parts = []
    for xs, ws in zip(np.split(views, groups, axis=1), np.split(w, groups, axis=0)):
        parts.append(np.tensordot(xs, ws, axes=([1, 2, 3], [1, 2, 3])))  # (N, OH, OW, O/G)
    y = np.concatenate(parts, axis=3) + b
    cache = {"groups": groups, "padding": padding, "stride": stride, "w": w, "x": x}
    return y.transpose(0, 3, 1, 2), cache


def conv_backward(g, cache):
    x, w, groups = cache["x"], cache["w"], cache["groups"]
    stride, padding = cache["stride"], cache["padding"]
    views = windows_of(x, w.shape[2:], stride, padding)
    dws, dxs = [], []
    pieces = (np.split(a, groups, axis=k) for a, k in ((views, 1), (w, 0), (g, 1)))
    for xs, ws, gs in zip(*pieces):
        dws.append(np.tensordot(gs, xs, axes=([0, 2, 3], [0, 4, 5])))
        dcols = np.tensordot(ws, gs, axes=([0], [1]))  # (C/G, KH, KW, N, OH, OW)
        dxs.append(np.moveaxis(dcols, 3, 0))
    dcols = np.concatenate(dxs, axis=1)
    n = len(g)
    dcols = dcols.reshape(n, -1, g.shape[2] * g.shape[3])
    dx = col2im(dcols, x.shape[2:], w.shape[2:], stride, padding)
    return dx, np.concatenate(dws), g.sum(axis=3).sum(axis=2).sum(axis=0)
