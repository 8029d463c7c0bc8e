"""A residual block whose batch normalisation is frozen, as one does when a network is fine-tuned.

y = relu(x + batch_norm(w * x)), where w * x is a 1x1 convolution and the normalisation uses a mean
and a variance from an earlier training.
"""

import numpy as np

EPS = 1e-5


def fine_tuning(x, layer, g):
    """Return what comes out of the block, and the gradients of what went in.

    Parameters
    ----------
    x : (N, C, H, W)
    layer : dict
        w (C, C), by output and input channel; gamma, beta, running_mean and running_var, each
        (1, C, 1, 1).
    g : (N, C, H, W)
        Gradient of the loss in y.

    Returns
    -------
    y, dx : (N, C, H, W)
    grads : dict
        w, gamma and beta.
    """
    w, gamma = layer["w"], layer["gamma"]
    std = np.sqrt(layer["running_var"] + EPS)
    z = np.einsum("nchw,oc->nohw", x, w)
    z_hat = (z - layer["running_mean"]) / std
    total = x + gamma * z_hat + layer["beta"]

    dtotal = g * (total > 0)
    grads = {"beta": dtotal.sum((0, 2, 3), keepdims=True)}
    grads["gamma"] = (dtotal * z_hat).sum((0, 2, 3), keepdims=True)
    dz = gamma / std * dtotal
    grads["w"] = np.einsum("nohw,nchw->oc", dz, x)
    dx = dtotal + np.einsum("nohw,oc->nchw", dz, w)
    return np.maximum(total, 0.0), dx, grads
