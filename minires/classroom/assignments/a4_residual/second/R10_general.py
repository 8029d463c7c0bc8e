"""Residual blocks of any number of layers; masks are factors."""

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
    return (x > 0) * x


def relu_backward(g, x):
    return g * (x > 0)


def corners(size, kernel, stride, padding):
    """Rows (or columns) at which windows begin, in the image, and how many there are."""
    count = (size + 2 * padding - kernel) // stride + 1
    return stride * np.arange(count) - padding


def max_pool(x, kernel, stride, padding):
    n, c, h, w = x.shape
    top = corners(h, kernel[0], stride, padding)[:, None]
    left = corners(w, kernel[1], stride, padding)[None, :]
    y = np.full((n, c, top.size, left.size), -np.inf)
    winner = np.zeros(y.shape, np.int64)
    for i, j in np.ndindex(*kernel):
        row, column = top + i, left + j
        inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
        values = np.where(inside, x[:, :, row % h, column % w], -np.inf)
        better = values > y
        y = np.where(better, values, y)
        winner = np.where(better, row * w + column, winner)
    return y, {"winner": winner, "shape": np.array(x.shape)}


def max_pool_backward(g, cache):
    n, c, h, w = (int(size) for size in cache["shape"])
    winner = cache["winner"].reshape(n * c, -1)
    place = winner + h * w * np.arange(n * c)[:, None]
    dx = np.bincount(place.ravel(), weights=g.ravel(), minlength=n * c * h * w)
    return dx.reshape(n, c, h, w)


def global_average_pool(x):
    return np.einsum("nchw->nc", x) / np.prod(x.shape[2:])


def global_average_pool_backward(g, shape):
    return np.einsum("nc,hw->nchw", g, np.ones(shape[2:])) / np.prod(shape[2:])


def residual_add(shortcut, branch):
    if shortcut.shape == branch.shape:
        return np.add(shortcut, branch)
    raise ValueError("the two sides differ in shape")


def residual_add_backward(g):
    return 1.0 * g, 1.0 * g


def through(x, params, strides):
    """Layers conv1, conv2, ... with a ReLU between each two."""
    cache = {}
    for number, stride in enumerate(strides, 1):
        if number > 1:
            cache[f"inner{number - 1}"] = x
            x = relu(x)
        x, cache[f"conv{number}"] = conv_norm(x, params[f"conv{number}"], stride)
    return x, cache


def through_backward(g, cache, count):
    grads = {}
    for number in range(count, 0, -1):
        g, grads[f"conv{number}"] = conv_norm_backward(g, cache[f"conv{number}"])
        if number > 1:
            g = relu_backward(g, cache[f"inner{number - 1}"])
    return g, grads


def plain_block(x, params, strides):
    branch, cache = through(x, params, strides)
    shortcut = x
    if "projection" in params:
        shortcut, cache["projection"] = conv_norm(x, params["projection"], max(strides))
    added = residual_add(shortcut, branch)
    y = relu(added)
    cache.update(branch=branch, shortcut=shortcut, sum=added)
    return y, cache


def block_backward(g, cache, count):
    g = relu_backward(g, cache["sum"])
    ways = list(residual_add_backward(g))
    ways[1], grads = through_backward(ways[1], cache, count)
    if "projection" in cache:
        ways[0], grads["projection"] = conv_norm_backward(ways[0], cache["projection"])
    return sum(ways), grads


def basic_block(x, params, stride):
    branch, cache = through(x, params, [stride, 1])
    y = relu(branch)
    if "projection" in params:
        x, cache["projection"] = conv_norm(x, params["projection"], stride)
    y += x
    return y, cache | {"branch": branch, "shortcut": x, "sum": y.copy()}


def basic_block_backward(g, cache):
    return block_backward(g, cache, 2)


def bottleneck(x, params, stride):
    return plain_block(x, params, [1, stride, 1])


def bottleneck_backward(g, cache):
    return block_backward(g, cache, 3)


def stage(x, g, blocks, strides):
    if not blocks:
        return x, g, []
    x, cache = basic_block(x, blocks[0], strides[0])
    y, g, grads = stage(x, g, blocks[1:], strides[1:])
    g, first = basic_block_backward(g, cache)
    return y, g, [first, *grads]
