"""Residual blocks whose results do not lie row by row in memory."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

EPS = 1e-5


def conv_norm(x, layer, stride):
    """Convolve, and normalise what comes out by its own batch: given, to be called in the blocks.

    Parameters
    ----------
    x : (N, C, H, W)
    layer : dict
        w (O, C, K, K), of odd K; gamma and beta (O,). The image is padded by K // 2.
    stride : int

    Returns
    -------
    y : (N, O, OH, OW)
        OH is (H - 1) // stride + 1, and OW likewise.
    cache : dict
    """
    w = layer["w"]
    p = w.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    patches = _patches(padded, w.shape[2:], stride)
    z = np.einsum("nchwij,ocij->nohw", patches, w)
    std = np.sqrt(z.var((0, 2, 3), keepdims=True) + EPS)
    z_hat = (z - z.mean((0, 2, 3), keepdims=True)) / std
    y = layer["gamma"][:, None, None] * z_hat + layer["beta"][:, None, None]
    cache = {"padded": padded, "stride": stride, "w": w, "gamma": layer["gamma"]}
    return y, cache | {"std": std, "z_hat": z_hat}


def conv_norm_backward(g, cache):
    """Return the gradients of `conv_norm`: given, to be called in the blocks' backwards.

    Parameters
    ----------
    g : (N, O, OH, OW)
        Gradient of the loss in y.
    cache : dict
        Of `conv_norm`.

    Returns
    -------
    dx : (N, C, H, W)
    grads : dict
        w, gamma and beta, as in the layer.
    """
    w, stride, padded, z_hat = cache["w"], cache["stride"], cache["padded"], cache["z_hat"]
    away = g.mean((0, 2, 3), keepdims=True) + z_hat * (g * z_hat).mean((0, 2, 3), keepdims=True)
    dz = cache["gamma"][:, None, None] / cache["std"] * (g - away)
    dpadded = np.zeros(padded.shape, dz.dtype)
    spread = _patches(dpadded, w.shape[2:], stride, writeable=True)
    for i, j in np.ndindex(*w.shape[2:]):
        spread[..., i, j] += np.einsum("nohw,oc->nchw", dz, w[:, :, i, j])
    p = w.shape[2] // 2
    dx = dpadded[:, :, p : dpadded.shape[2] - p, p : dpadded.shape[3] - p].copy()
    dw = np.einsum("nohw,nchwij->ocij", dz, _patches(padded, w.shape[2:], stride))
    return dx, {"w": dw, "gamma": (g * z_hat).sum((0, 2, 3)), "beta": g.sum((0, 2, 3))}


def _patches(image, size, stride, writeable=False):
    """See an image as its windows, (N, C, OH, OW, KH, KW), without copying."""
    windows = sliding_window_view(image, size, axis=(2, 3), writeable=writeable)
    return windows[:, :, ::stride, ::stride]


def turned(x):
    """The same values, in memory in the order of the columns."""
    return np.asfortranarray(x) if x.flags.c_contiguous else x


def relu(x):
    x[x < 0] = 0
    return x


def relu_backward(g, x):
    return turned(g * np.heaviside(x, 0.0))


def max_pool(x, kernel, stride, padding):
    n, c, h, w = x.shape
    kh, kw = kernel
    ys, winners = [], []
    for top in range(-padding, h + padding - kh + 1, stride):
        for left in range(-padding, w + padding - kw + 1, stride):
            rows, columns = range(h)[max(top, 0) : top + kh], range(w)[max(left, 0) : left + kw]
            part = x[:, :, rows.start : rows.stop, columns.start : columns.stop]
            flat = part.reshape(n, c, -1)
            places = np.add.outer(w * np.array(rows), np.array(columns)).ravel()
            ys.append(flat.max(-1))
            winners.append(places[flat.argmax(-1)])
    ow = (w + 2 * padding - kw) // stride + 1
    y = np.stack(ys, -1).reshape(n, c, -1, ow)
    winner = np.stack(winners, -1).reshape(n, c, -1, ow)
    return turned(y), {"winner": turned(winner), "shape": x.shape}


def max_pool_backward(g, cache):
    n, c, h, w = cache["shape"]
    winner = cache["winner"].reshape(n, c, -1, 1)
    won = winner == np.arange(h * w)
    dx = np.einsum("nco,ncop->pcn", g.reshape(n, c, -1), won)
    return dx.T.reshape(n, c, h, w)


def global_average_pool(x):
    return turned(x.mean(3).mean(2))


def global_average_pool_backward(g, shape):
    h, w = shape[2:]
    dx = np.empty(shape[::-1])
    dx[...] = g.T / (h * w)
    return np.swapaxes(dx.T, 2, 3).swapaxes(2, 3)


def residual_add(shortcut, branch):
    if shortcut.shape != branch.shape:
        raise ValueError(shortcut.shape, branch.shape)
    return turned(branch + shortcut)


def residual_add_backward(g):
    both = np.stack([g, g], axis=-1)
    return both[..., 0], both[..., 1]


def basic_block(x, params, stride):
    a, conv1 = conv_norm(x, params["conv1"], stride)
    b, conv2 = conv_norm(relu(a), params["conv2"], 1)
    cache = {"conv1": conv1, "conv2": conv2, "inner1": turned(a), "branch": b}
    around = x
    if "projection" in params:
        around, cache["projection"] = conv_norm(x, params["projection"], stride)
    s = residual_add(around, b)
    cache |= {"shortcut": turned(around), "sum": s}
    return relu(s), cache


def basic_block_backward(g, cache):
    around, b = residual_add_backward(g * (cache["sum"] > 0))
    after, grads2 = conv_norm_backward(b, cache["conv2"])
    x, grads1 = conv_norm_backward(after * (cache["inner1"] > 0), cache["conv1"])
    grads = {"conv2": grads2, "conv1": grads1}
    if "projection" in cache:
        around, grads["projection"] = conv_norm_backward(around, cache["projection"])
    return turned(np.add(around, x)), grads


def bottleneck(x, params, stride):
    a, conv1 = conv_norm(x, params["conv1"], 1)
    b, conv2 = conv_norm(relu(a), params["conv2"], stride)
    c, conv3 = conv_norm(relu(b), params["conv3"], 1)
    cache = {"conv1": conv1, "conv2": conv2, "conv3": conv3, "inner1": a, "inner2": b}
    around = x
    if "projection" in params:
        around, cache["projection"] = conv_norm(x, params["projection"], stride)
    s = residual_add(around, c)
    return relu(s), cache | {"branch": c, "shortcut": around, "sum": s}


def bottleneck_backward(g, cache):
    around, c = residual_add_backward(g * (cache["sum"] > 0))
    after, grads3 = conv_norm_backward(c, cache["conv3"])
    after, grads2 = conv_norm_backward(after * (cache["inner2"] > 0), cache["conv2"])
    x, grads1 = conv_norm_backward(after * (cache["inner1"] > 0), cache["conv1"])
    grads = {"conv3": grads3, "conv2": grads2, "conv1": grads1}
    if "projection" in cache:
        around, grads["projection"] = conv_norm_backward(around, cache["projection"])
    return turned(np.add(around, x)), grads


def stage(x, g, blocks, strides):
    way = []
    for pair in zip(blocks, strides, strict=True):
        x, cache = basic_block(x, *pair)
        way.append(cache)
    found = []
    while way:
        g, grads = basic_block_backward(g, way.pop())
        found.insert(0, grads)
    return x, g, found
