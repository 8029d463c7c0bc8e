"""Residual blocks; all but the given layers in loops."""

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


def relu(x):
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        if x[place] > 0:
            y[place] = x[place]
    return y


def relu_backward(g, x):
    dx = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        if x[place] > 0:
            dx[place] = g[place]
    return dx


def max_pool(x, kernel, stride, padding):
    n, c, h, w = x.shape
    oh = (h + 2 * padding - kernel[0]) // stride + 1
    ow = (w + 2 * padding - kernel[1]) // stride + 1
    y = np.zeros((n, c, oh, ow))
    winner = np.zeros((n, c, oh, ow), int)
    for b, k, i, j in np.ndindex(n, c, oh, ow):
        best, where = -np.inf, None
        for row in range(i * stride - padding, i * stride - padding + kernel[0]):
            for column in range(j * stride - padding, j * stride - padding + kernel[1]):
                inside = 0 <= row < h and 0 <= column < w
                if inside and x[b, k, row, column] > best:
                    best, where = x[b, k, row, column], row * w + column
        y[b, k, i, j], winner[b, k, i, j] = best, where
    return y, {"winner": winner, "shape": [n, c, h, w]}


def max_pool_backward(g, cache):
    n, c, h, w = cache["shape"]
    dx = np.zeros((n, c, h, w))
    for b, k, i, j in np.ndindex(g.shape):
        row, column = divmod(int(cache["winner"][b, k, i, j]), w)
        dx[b, k, row, column] += g[b, k, i, j]
    return dx


def global_average_pool(x):
    n, c, h, w = x.shape
    y = np.zeros((n, c))
    for b, k in np.ndindex(n, c):
        total = 0.0
        for row in x[b, k]:
            for value in row:
                total += value
        y[b, k] = total / (h * w)
    return y


def global_average_pool_backward(g, shape):
    n, c, h, w = shape
    dx = np.zeros(shape)
    for b, k, i, j in np.ndindex(*shape):
        dx[b, k, i, j] = g[b, k] / (h * w)
    return dx


def residual_add(shortcut, branch):
    if len(shortcut.shape) != len(branch.shape):
        raise ValueError("other numbers of axes")
    for a, b in zip(shortcut.shape, branch.shape, strict=True):
        if a != b:
            raise ValueError(f"{a} and {b} do not fit")
    total = np.zeros(branch.shape)
    for place in np.ndindex(branch.shape):
        total[place] = shortcut[place] + branch[place]
    return total


def residual_add_backward(g):
    left, right = np.zeros(g.shape), np.zeros(g.shape)
    for place in np.ndindex(g.shape):
        left[place] += g[place]
        right[place] += g[place]
    return left, right


def basic_block(x, params, stride):
    cache = {}
    cache["inner1"], cache["conv1"] = conv_norm(x, params["conv1"], stride)
    hidden = relu(cache["inner1"])
    cache["branch"], cache["conv2"] = conv_norm(hidden, params["conv2"], 1)
    if params.get("projection"):
        cache["shortcut"], cache["projection"] = conv_norm(x, params["projection"], stride)
    else:
        cache["shortcut"] = x
    cache["sum"] = residual_add(cache["shortcut"], cache["branch"])
    y = relu(cache["sum"])
    return y, cache


def basic_block_backward(g, cache):
    grads = {}
    dx = np.zeros(cache["conv1"]["padded"][:, :, 1:-1, 1:-1].shape)
    g = relu_backward(g, cache["sum"])
    around, through = residual_add_backward(g)
    if "projection" in cache:
        around, grads["projection"] = conv_norm_backward(around, cache["projection"])
    dx += around
    through, grads["conv2"] = conv_norm_backward(through, cache["conv2"])
    through = relu_backward(through, cache["inner1"])
    through, grads["conv1"] = conv_norm_backward(through, cache["conv1"])
    dx += through
    return dx, grads


def bottleneck(x, params, stride):
    cache = {}
    cache["inner1"], cache["conv1"] = conv_norm(x, params["conv1"], 1)
    hidden = relu(cache["inner1"])
    cache["inner2"], cache["conv2"] = conv_norm(hidden, params["conv2"], stride)
    cache["branch"], cache["conv3"] = conv_norm(cache["inner2"], params["conv3"], 1)
    if params.get("projection"):
        cache["shortcut"], cache["projection"] = conv_norm(x, params["projection"], stride)
    else:
        cache["shortcut"] = x
    cache["sum"] = residual_add(cache["shortcut"], cache["branch"])
    y = relu(cache["sum"])
    return y, cache


def bottleneck_backward(g, cache):
    grads = {}
    g = relu_backward(g, cache["sum"])
    around, through = residual_add_backward(g)
    if "projection" in cache:
        around, grads["projection"] = conv_norm_backward(around, cache["projection"])
    dx = around
    through, grads["conv3"] = conv_norm_backward(through, cache["conv3"])
    through = relu_backward(through, cache["inner2"])
    through, grads["conv2"] = conv_norm_backward(through, cache["conv2"])
    through = relu_backward(through, cache["inner1"])
    through, grads["conv1"] = conv_norm_backward(through, cache["conv1"])
    dx += through
    return dx, grads


def stage(x, g, blocks, strides):
    caches = [None] * len(blocks)
    grads = [None] * len(blocks)
    y = x
    for i in range(len(blocks)):
        y, caches[i] = basic_block(y, blocks[i], strides[i])
    dx = g
    for i in range(len(blocks) - 1, -1, -1):
        dx, grads[i] = basic_block_backward(dx, caches[i])
    return y, dx, grads
