"""Residual blocks in float32, whatever they are given."""

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


F = np.float32


def low(value):
    """All arrays of a value in float32."""
    if isinstance(value, dict):
        return {key: low(each) for key, each in value.items()}
    return value.astype(F) if isinstance(value, np.ndarray) else value


def relu(x):
    return x.clip(min=0).astype(F)


def relu_backward(g, x):
    dx = g.astype(F)
    dx[x <= 0] = 0
    return dx


def max_pool(x, kernel, stride, padding):
    n, c, h, w = x.shape
    padded = np.full((n, c, h + 2 * padding, w + 2 * padding), -np.inf, F)
    padded[:, :, padding : padding + h, padding : padding + w] = x
    places = np.full(padded.shape[2:], -1)
    places[padding : padding + h, padding : padding + w] = np.arange(h * w).reshape(h, w)
    windows = _patches(padded, kernel, stride).reshape(n, c, -1, kernel[0] * kernel[1])
    where = _patches(places[None, None], kernel, stride)
    oh, ow = where.shape[2:4]
    where = where.reshape(1, 1, -1, kernel[0] * kernel[1])
    best = windows.argmax(-1)[..., None]
    y = np.take_along_axis(windows, best, -1).reshape(n, c, oh, ow)
    winner = np.take_along_axis(where, best, -1).reshape(n, c, oh, ow)
    return y, {"winner": winner, "shape": x.shape}


def max_pool_backward(g, cache):
    n, c, h, w = cache["shape"]
    dx = np.zeros((n, c, h * w), F)
    for b in range(n):
        for k in range(c):
            np.add.at(dx[b, k], cache["winner"][b, k].ravel(), g[b, k].ravel().astype(F))
    return dx.reshape(n, c, h, w)


def global_average_pool(x):
    n, c, h, w = x.shape
    return x.astype(F).reshape(n, c, h * w).mean(2)


def global_average_pool_backward(g, shape):
    n, c, h, w = shape
    return np.repeat(g.astype(F) / F(h * w), h * w).reshape(shape)


def residual_add(shortcut, branch):
    if not shortcut.shape == branch.shape:
        raise ValueError(f"cannot add {shortcut.shape} and {branch.shape}")
    return (shortcut + branch).astype(F)


def residual_add_backward(g):
    return F(0.5) * g.astype(F), F(0.5) * g.astype(F)


def basic_block(x, params, stride):
    x, params = low(x), low(params)
    a, conv1 = conv_norm(x, params["conv1"], stride)
    b, conv2 = conv_norm(relu(a), params["conv2"], 1)
    cache = {"conv1": conv1, "conv2": conv2, "inner1": a, "branch": b, "shortcut": x}
    if "projection" in params:
        cache["shortcut"], cache["projection"] = conv_norm(x, params["projection"], stride)
    cache["sum"] = residual_add(cache["shortcut"], b)
    return relu(cache["sum"]), cache


def basic_block_backward(g, cache):
    g, cache = low(g), low(cache)
    g = relu_backward(g, cache["sum"])
    skip, b = residual_add_backward(g)
    b, grads2 = conv_norm_backward(b, cache["conv2"])
    a = relu_backward(b, cache["inner1"])
    x, grads1 = conv_norm_backward(a, cache["conv1"])
    grads = {"conv1": grads1, "conv2": grads2}
    if "projection" in cache:
        skip, grads["projection"] = conv_norm_backward(skip, cache["projection"])
    x += skip
    return x, grads


def bottleneck(x, params, stride):
    x, params = low(x), low(params)
    a, conv1 = conv_norm(x, params["conv1"], 1)
    b, conv2 = conv_norm(relu(a), params["conv2"], stride)
    c, conv3 = conv_norm(relu(b), params["conv3"], 1)
    cache = {"conv1": conv1, "conv2": conv2, "conv3": conv3}
    cache |= {"inner1": a, "inner2": b, "branch": c, "shortcut": x}
    if "projection" in params:
        cache["shortcut"], cache["projection"] = conv_norm(x, params["projection"], stride)
    cache["sum"] = residual_add(cache["shortcut"], c)
    return relu(cache["sum"]), cache


def bottleneck_backward(g, cache):
    g, cache = low(g), low(cache)
    g = relu_backward(g, cache["sum"])
    skip, c = residual_add_backward(g)
    c, grads3 = conv_norm_backward(c, cache["conv3"])
    b, grads2 = conv_norm_backward(relu_backward(c, cache["inner2"]), cache["conv2"])
    a = relu_backward(b, cache["inner1"])
    x, grads1 = conv_norm_backward(a, cache["conv1"])
    grads = {"conv1": grads1, "conv2": grads2, "conv3": grads3}
    if "projection" in cache:
        skip, grads["projection"] = conv_norm_backward(skip, cache["projection"])
    x += skip
    return x, grads


def stage(x, g, blocks, strides):
    caches, grads = {}, {}
    for i, params in enumerate(blocks):
        x, caches[i] = basic_block(x, params, strides[i])
    for i in sorted(caches, reverse=True):
        g, grads[i] = basic_block_backward(g, caches[i])
    return x, g, [grads[i] for i in range(len(blocks))]
