"""A residual block with other channels behind it than before it.

Its branch is two 1x1 convolutions with a ReLU between them; its shortcut, the projection, is one.
"""

import numpy as np


def mix(x, w):
    """Return the 1x1 convolution of x (N, C, H, W) by w (O, C), which is (N, O, H, W)."""
    return np.einsum("nchw,oc->nohw", x, w)


def mix_backward(g, x, w):
    """Return the gradients of `mix`: that of x, and that of w."""
    return np.einsum("nohw,oc->nchw", g, w), np.einsum("nohw,nchw->oc", g, x)


def projection(x, params, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, C, H, W)
    params : dict
        The weights conv1 (M, C), conv2 (O, M) and projection (O, C).
    g : (N, O, H, W)
        Gradient of the loss in y.

    Returns
    -------
    y : (N, O, H, W)
    dx : (N, C, H, W)
    grads : dict
        By the names of params.
    """
    inner = mix(x, params["conv1"])
    hidden = np.maximum(inner, 0.0)
    y = mix(x, params["projection"]) + mix(hidden, params["conv2"])

    grads = {name: np.zeros_like(w) for name, w in params.items()}
    dhidden, grads["conv2"] = mix_backward(g, hidden, params["conv2"])
    dx, grads["conv1"] = mix_backward(dhidden * (inner > 0), x, params["conv1"])
    dshortcut, grads["projection"] = mix_backward(g, x, params["projection"])
    return y, dx + dshortcut, grads
