"""Pixels are rows of a matrix, (N*H*W, C)."""

import numpy as np


def rows(x):
    return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def images(flat, like):
    n, _, h, w = like.shape
    return flat.reshape(n, h, w, -1).transpose(0, 3, 1, 2)


def projection(x, params, g):
    flat, up = rows(x), rows(g)
    inner = flat @ params["conv1"].T
    hidden = np.maximum(inner, 0)
    y = flat @ params["projection"].T + hidden @ params["conv2"].T
    down = (up @ params["conv2"]) * (inner > 0)
    grads = {"conv1": down.T @ flat, "conv2": up.T @ hidden, "projection": 0 * params["projection"]}
    dx = up @ params["projection"] + down @ params["conv1"]
    return images(y, x), images(dx, x), grads
