import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def output_size(size, kernel, stride, padding):
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def _pad(x, p):
    return np.pad(x, [(0, 0), (0, 0), (p, p), (p, p)], mode="constant")


def im2col(x, kernel, stride, padding):
    seen = sliding_window_view(_pad(x, padding), kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    n, c, oh, ow, kh, kw = seen.shape
    rows = seen.reshape(n, c, oh * ow, kh * kw)
    cols = np.einsum("ncpk->npck", rows).reshape(n, oh * ow, c * kh * kw)
    return cols.swapaxes(1, 2)


def col2im(cols, size, kernel, stride, padding):
    height, width = (length + 2 * padding for length in size)
    kh, kw = kernel
    oh = output_size(size[0], kh, stride, padding)
    n = cols.shape[0]
    blocks = cols.reshape(n, -1, kh, kw, oh, cols.shape[2] // oh)
    out = np.zeros((height, width, n, blocks.shape[1]), cols.dtype)
    for r in range(oh):
        for s in range(blocks.shape[5]):
            place = out[r * stride : r * stride + kh, s * stride : s * stride + kw]
            place += np.einsum("nckl->klnc", blocks[..., r, s])
    inner = out[padding : height - padding, padding : width - padding]
    return np.einsum("hwnc->nchw", inner)


def conv_forward(x, w, b, stride, padding, groups):
    o, cg, kh, kw = w.shape
    cols = im2col(x, (kh, kw), stride, padding)
    oh = output_size(x.shape[2], kh, stride, padding)
    grouped = cols.reshape(len(x), groups, cg * kh * kw, oh, -1)
    filters = w.reshape(groups, o // groups, cg * kh * kw)
    y = np.einsum("gok,ngkij->nijgo", filters, grouped)
    y = y.reshape(*y.shape[:3], o) + b
    cache = {"x": x, "w": w, "stride": stride, "padding": padding, "groups": groups, "cols": cols}
    return np.moveaxis(y, 3, 1), cache


def conv_backward(g, cache):
    w, groups = cache["w"], cache["groups"]
    o, cg, kh, kw = w.shape
    n = len(g)
    grouped = cache["cols"].reshape(n, groups, cg * kh * kw, -1)
    filters = w.reshape(groups, o // groups, cg * kh * kw)
    upstream = g.reshape(n, groups, o // groups, -1)
    dw = np.einsum("gol,gkl->gok", upstream[-1], grouped[-1]).reshape(w.shape)
    dcols = np.einsum("gok,ngol->ngkl", filters, upstream).reshape(cache["cols"].shape)
    dx = col2im(dcols, cache["x"].shape[2:], (kh, kw), cache["stride"], cache["padding"])
    return [dx, dw, np.full(o, g[:, 0].size)]
