import numpy as np


def output_size(size, kernel, stride, padding):
    return 1 + (size - kernel + padding * 2) // stride


def _shifted(padded, u, v, oh, ow, stride):
    return padded[
        ..., u : u + stride * (oh - 1) + 1 : stride, v : v + stride * (ow - 1) + 1 : stride
    ]


def _padded(x, p):
    n, c, h, w = x.shape
    out = np.zeros((n, c, h + 2 * p, w + 2 * p), np.float32)
    out[..., p : p + h, p : p + w] = x
    return out


def im2col(x, kernel, stride, padding):
    kh, kw = kernel
    oh = output_size(x.shape[2], kh, stride, padding)
    ow = output_size(x.shape[3], kw, stride, padding)
    padded = _padded(x, padding)
    rows = [
        _shifted(padded[:, c], u, v, oh, ow, stride).reshape(len(x), -1)
        for c in range(x.shape[1])
        for u in range(kh)
        for v in range(kw)
    ]
    return np.stack(rows, axis=1)


def col2im(cols, size, kernel, stride, padding):
    kh, kw = kernel
    h, w = size
    oh = output_size(h, kh, stride, padding)
    ow = output_size(w, kw, stride, padding)
    n, k, _ = cols.shape
    out = np.zeros((n, k // (kh * kw), h + 2 * padding, w + 2 * padding), dtype="float32")
    for row in range(k):
        c, rest = divmod(row, kh * kw)
        u, v = divmod(rest, kw)
        _shifted(out[:, c], u, v, oh, ow, stride)[...] = cols[:, row].reshape(n, oh, ow)
    return out[:, :, padding : h + padding, padding : w + padding]


def conv_forward(x, w, b, stride, padding, groups):
    x32, w32 = np.float32(x), np.float32(w)
    o, cg, kh, kw = w.shape
    oh = output_size(x.shape[2], kh, stride, padding)
    ow = output_size(x.shape[3], kw, stride, padding)
    padded = _padded(x32, padding)
    y = np.zeros((len(x), o, oh, ow), np.float32)
    y += b.astype(np.float32)[None, :, None, None]
    for filter in range(o):
        start = filter // (o // groups) * cg
        for c in range(cg):
            for u in range(kh):
                for v in range(kw):
                    image = _shifted(padded[:, start + c], u, v, oh, ow, stride)
                    y[:, filter] += w32[filter, c, u, v] * image
    return y, {"x": x32, "w": w32, "stride": stride, "padding": padding, "groups": groups}


def conv_backward(g, cache):
    g = g.astype(np.float32)
    x, w = np.float32(cache["x"]), np.float32(cache["w"])
    stride, p, groups = cache["stride"], cache["padding"], cache["groups"]
    o, cg, kh, kw = w.shape
    oh, ow = g.shape[2:]
    padded = _padded(x, p)
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for filter in range(o):
        start = filter // (o // groups) * cg
        for c in range(cg):
            for u in range(kh):
                for v in range(kw):
                    image = _shifted(padded[:, start + c], u, v, oh, ow, stride)
                    dw[filter, c, u, v] = (image * g[:, filter]).sum()
                    dimage = _shifted(dpadded[:, start + c], u, v, oh, ow, stride)
                    dimage += g[:, filter] * w[filter, c, u, v]
    dx = dpadded[:, :, p : p + x.shape[2], p : p + x.shape[3]]
    return dx, dw, g.sum(axis=(0, 2, 3))
