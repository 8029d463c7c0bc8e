import numpy as np


def output_size(size, kernel, stride, padding):
    return np.int64(size + 2 * padding - kernel) // stride + 1


def _indices(c, size, kernel, stride, padding):
    """Channel, row and column in the padded image, each (C*KH*KW, L)."""
    kh, kw = kernel
    oh, ow = (output_size(length, k, stride, padding) for length, k in zip(size, kernel))
    channel, u, v = np.unravel_index(np.arange(c * kh * kw), (c, kh, kw))
    i, j = np.unravel_index(np.arange(oh * ow), (oh, ow))
    rows = u[:, None] + stride * i
    columns = v[:, None] + stride * j
    return np.broadcast_to(channel[:, None], rows.shape), rows, columns


def im2col(x, kernel, stride, padding):
    k, i, j = _indices(x.shape[1], x.shape[2:], kernel, stride, padding)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return padded[:, k, i, j]


def col2im(cols, size, kernel, stride, padding):
    c = cols.shape[1] // (kernel[0] * kernel[1])
    k, i, j = _indices(c, size, kernel, stride, padding)
    shape = (c, size[0] + 2 * padding, size[1] + 2 * padding)
    flat = np.ravel_multi_index((k, i, j), shape).ravel()
    images = [np.bincount(flat, each.ravel(), int(np.prod(shape))).reshape(shape) for each in cols]
    padded = np.array(images)
    return padded[..., padding:-padding, padding:-padding]


def conv_forward(x, w, b, stride, padding, groups):
    oh = output_size(x.shape[2], w.shape[2], stride, padding)
    ow = output_size(x.shape[3], w.shape[3], stride, padding)
    outs = []
    for xs, ws, bs in zip(*(np.split(a, groups, k) for a, k in ((x, 1), (w, 0), (b, 0)))):
        cols = im2col(xs, w.shape[2:], stride, padding)  # (N, K, L)
        flat = np.hstack(list(cols))  # (K, N*L)
        out = ws.reshape(len(ws), -1) @ flat + bs[:, None]
        outs.append(out.reshape(len(ws), len(x), oh, ow))
    y = np.concatenate(outs).swapaxes(0, 1)
    return y, {"x": x, "w": w, "stride": stride, "padding": padding, "groups": groups}


def conv_backward(g, cache):
    x, w, stride, padding, groups = (cache[k] for k in ("x", "w", "stride", "padding", "groups"))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    cg, og = x.shape[1] // groups, w.shape[0] // groups
    for k in range(groups):
        channels, filters = slice(k * cg, (k + 1) * cg), slice(k * og, (k + 1) * og)
        cols = im2col(x[:, channels], w.shape[2:], stride, padding)
        matrix = w[filters].reshape(og, -1)
        for n in range(len(x)):
            upstream = g[n, filters].reshape(og, -1)
            dw[filters] += (upstream @ cols[n].T).reshape(og, *w.shape[1:])
            back = (matrix.T @ upstream)[None]
            dx[n, channels] = col2im(back, x.shape[2:], w.shape[2:], stride, padding)[0]
    return dx, dw, g.swapaxes(0, 1).reshape(w.shape[0], -1).sum(axis=1)
