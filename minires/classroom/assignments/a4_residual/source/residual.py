"""Residual blocks, forward and backward (He et al. 2015, arXiv 1512.03385).

N images in a batch, C channels, H rows, W columns; OH and OW are those of what comes out, KH and KW
those of a window. Convolution and batch normalisation are given; what surrounds them is not.
"""

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
    """Return max(x, 0), in a new array.

    Parameters
    ----------
    x : array
    """
    # BEGIN SOLUTION
    return np.maximum(x, 0.0)
    # END SOLUTION


def relu_backward(g, x):
    """Return the gradient of `relu`. At exactly 0 it is taken to be 0.

    Parameters
    ----------
    g : array
        Gradient of the loss in relu(x).
    x : array, of g's shape
        What went into `relu`.
    """
    # BEGIN SOLUTION
    return np.where(x > 0, g, 0.0)
    # END SOLUTION


def max_pool(x, kernel, stride, padding):
    """Take the largest value of each window.

    Parameters
    ----------
    x : (N, C, H, W)
    kernel : (KH, KW)
    stride, padding : int
        Of rows and columns alike. What is padded never wins. Half a window at most.

    Returns
    -------
    y : (N, C, OH, OW)
        OH is (H + 2 * padding - KH) // stride + 1, and OW likewise.
    cache : dict
        winner (N, C, OH, OW), the place row * W + column in the image, not the padded one, where
        the largest value stands; of several the first, row by row. And shape, that of x.
    """
    # BEGIN SOLUTION
    n, c, h, w = x.shape
    frame = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(x, frame, constant_values=-np.inf)
    windows = _patches(padded, kernel, stride)
    oh, ow = windows.shape[2:4]
    first = windows.reshape(n, c, oh, ow, -1).argmax(-1)
    row, column = np.divmod(first, kernel[1])
    row += stride * np.arange(oh)[:, None] - padding
    column += stride * np.arange(ow) - padding
    winner = row * w + column
    return windows.max((-2, -1)), {"winner": winner, "shape": x.shape}
    # END SOLUTION


def max_pool_backward(g, cache):
    """Give each gradient to the winner of its window.

    Parameters
    ----------
    g : (N, C, OH, OW)
        Gradient of the loss in y.
    cache : dict
        Of `max_pool`.

    Returns
    -------
    dx : (N, C, H, W)
    """
    # PROMPT Windows overlap where the stride is smaller than the kernel.
    # BEGIN SOLUTION
    n, c, h, w = cache["shape"]
    dx = np.zeros((n, c, h * w), g.dtype)
    image, channel = np.ogrid[:n, :c]
    place = image[..., None], channel[..., None], cache["winner"].reshape(n, c, -1)
    np.add.at(dx, place, g.reshape(n, c, -1))
    return dx.reshape(n, c, h, w)
    # END SOLUTION


def global_average_pool(x):
    """Return the mean of each channel of each image.

    Parameters
    ----------
    x : (N, C, H, W)

    Returns
    -------
    y : (N, C)
    """
    # BEGIN SOLUTION
    return x.mean((2, 3))
    # END SOLUTION


def global_average_pool_backward(g, shape):
    """Return the gradient of `global_average_pool`.

    Parameters
    ----------
    g : (N, C)
        Gradient of the loss in y.
    shape : tuple
        That of x.

    Returns
    -------
    dx : (N, C, H, W)
    """
    # BEGIN SOLUTION
    n, c, h, w = shape
    share = g / (h * w)
    return np.broadcast_to(share[:, :, None, None], shape).copy()
    # END SOLUTION


def residual_add(shortcut, branch):
    """Add what came around the block to what the block computed.

    Parameters
    ----------
    shortcut, branch : arrays of one shape

    Returns
    -------
    array of that shape

    Raises
    ------
    ValueError
        If the shapes differ: nothing is broadcast.
    """
    # BEGIN SOLUTION
    if shortcut.shape != branch.shape:
        raise ValueError(f"the shortcut has shape {shortcut.shape}, the branch {branch.shape}")
    return shortcut + branch
    # END SOLUTION


def residual_add_backward(g):
    """Return the gradients of `residual_add`, two arrays of their own.

    Parameters
    ----------
    g : array
        Gradient of the loss in the sum.

    Returns
    -------
    dshortcut, dbranch : of g's shape
    """
    # BEGIN SOLUTION
    return g.copy(), g.copy()
    # END SOLUTION


def basic_block(x, params, stride):
    """Compute a block of two 3x3 convolutions, relu(shortcut + branch).

    Parameters
    ----------
    x : (N, C, H, W)
    params : dict
        The layers conv1 and conv2. With a third, projection (1x1), the shortcut goes through that;
        without one it is x.
    stride : int
        Of conv1, and of the projection.

    Returns
    -------
    y : (N, O, OH, OW)
    cache : dict
        conv1, conv2 (and projection): the caches of `conv_norm`. inner1: what goes into the first
        ReLU. branch and shortcut: what is added. sum: what goes into the last ReLU.
    """
    # BEGIN SOLUTION
    inner1, conv1 = conv_norm(x, params["conv1"], stride)
    branch, conv2 = conv_norm(relu(inner1), params["conv2"], 1)
    caches = {"conv1": conv1, "conv2": conv2}
    shortcut = x
    if "projection" in params:
        shortcut, caches["projection"] = conv_norm(x, params["projection"], stride)
    total = residual_add(shortcut, branch)
    values = {"inner1": inner1, "branch": branch, "shortcut": shortcut, "sum": total}
    return relu(total), caches | values
    # END SOLUTION


def basic_block_backward(g, cache):
    """Return the gradients of `basic_block`.

    Parameters
    ----------
    g : (N, O, OH, OW)
        Gradient of the loss in y.
    cache : dict
        Of `basic_block`.

    Returns
    -------
    dx : (N, C, H, W)
    grads : dict
        conv1, conv2 (and projection): what `conv_norm_backward` returns for each.
    """
    # PROMPT x goes two ways through the block. How many gradients come back to it?
    # BEGIN SOLUTION
    grads = {}
    dsum = relu_backward(g, cache["sum"])
    dshortcut, dbranch = residual_add_backward(dsum)
    dhidden, grads["conv2"] = conv_norm_backward(dbranch, cache["conv2"])
    dinner = relu_backward(dhidden, cache["inner1"])
    dx, grads["conv1"] = conv_norm_backward(dinner, cache["conv1"])
    if "projection" in cache:
        dshortcut, grads["projection"] = conv_norm_backward(dshortcut, cache["projection"])
    return dx + dshortcut, grads
    # END SOLUTION


def bottleneck(x, params, stride):
    """Compute a block of 1x1, 3x3 and 1x1 convolutions, relu(shortcut + branch).

    Parameters
    ----------
    x : (N, C, H, W)
    params : dict
        The layers conv1, conv2 and conv3, and maybe projection, as for `basic_block`.
    stride : int
        Of conv2, the 3x3, and of the projection.

    Returns
    -------
    y : (N, O, OH, OW)
    cache : dict
        As that of `basic_block`, with conv3, and with inner2: what goes into the second ReLU.
    """
    # BEGIN SOLUTION
    narrow, conv1 = conv_norm(x, params["conv1"], 1)
    inner2, conv2 = conv_norm(relu(narrow), params["conv2"], stride)
    branch, conv3 = conv_norm(relu(inner2), params["conv3"], 1)
    caches = {"conv1": conv1, "conv2": conv2, "conv3": conv3}
    around = x
    if "projection" in params:
        around, caches["projection"] = conv_norm(x, params["projection"], stride)
    total = residual_add(around, branch)
    values = {"inner1": narrow, "inner2": inner2, "branch": branch}
    return relu(total), caches | values | {"shortcut": around, "sum": total}
    # END SOLUTION


def bottleneck_backward(g, cache):
    """Return the gradients of `bottleneck`.

    Parameters
    ----------
    g : (N, O, OH, OW)
        Gradient of the loss in y.
    cache : dict
        Of `bottleneck`.

    Returns
    -------
    dx : (N, C, H, W)
    grads : dict
        conv1, conv2, conv3 (and projection).
    """
    # BEGIN SOLUTION
    grads = {}
    daround, dbranch = residual_add_backward(relu_backward(g, cache["sum"]))
    dwide, grads["conv3"] = conv_norm_backward(dbranch, cache["conv3"])
    dinner2 = relu_backward(dwide, cache["inner2"])
    dnarrow, grads["conv2"] = conv_norm_backward(dinner2, cache["conv2"])
    dinner1 = relu_backward(dnarrow, cache["inner1"])
    dx, grads["conv1"] = conv_norm_backward(dinner1, cache["conv1"])
    if "projection" in cache:
        daround, grads["projection"] = conv_norm_backward(daround, cache["projection"])
    return dx + daround, grads
    # END SOLUTION


def stage(x, g, blocks, strides):
    """Go forward through several basic blocks, one after another, and back again.

    Parameters
    ----------
    x : (N, C, H, W)
    g : array, of the shape that comes out
        Gradient of the loss in y.
    blocks : list of dict
        For each block its params.
    strides : list of int

    Returns
    -------
    y : array
        What the last block returns.
    dx : (N, C, H, W)
    grads : list of dict
        For each block those of its params, in the order of `blocks`.
    """
    # BEGIN SOLUTION
    caches = []
    for params, stride in zip(blocks, strides, strict=True):
        x, cache = basic_block(x, params, stride)
        caches.append(cache)
    all_grads = []
    for cache in reversed(caches):
        g, grads = basic_block_backward(g, cache)
        all_grads.append(grads)
    return x, g, all_grads[::-1]
    # END SOLUTION
