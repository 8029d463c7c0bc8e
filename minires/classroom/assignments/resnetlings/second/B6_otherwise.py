"""Convolution and frozen normalisation are one convolution with a bias."""

import numpy as np


def fine_tuning(x, layer, g):
    c = len(layer["w"])
    vectors = {name: value.reshape(c) for name, value in layer.items() if name != "w"}
    root = np.sqrt(vectors["running_var"] + 1e-5)
    factor = vectors["gamma"]
    pixels = x.transpose(0, 2, 3, 1)
    z_hat = (pixels @ layer["w"].T - vectors["running_mean"]) / root
    total = pixels + z_hat * vectors["gamma"] + vectors["beta"]
    up = g.transpose(0, 2, 3, 1) * (total > 0)
    dbeta = up.reshape(-1, c).sum(0)
    dgamma = (up * z_hat).reshape(-1, c).sum(0)
    dz = factor * up
    dw = dz.reshape(-1, c).T @ pixels.reshape(-1, c)
    dx = up + dz @ layer["w"]
    grads = {"w": dw, "gamma": dgamma.reshape(1, c, 1, 1), "beta": dbeta.reshape(1, c, 1, 1)}
    return np.maximum(total, 0).transpose(0, 3, 1, 2), dx.transpose(0, 3, 1, 2), grads
