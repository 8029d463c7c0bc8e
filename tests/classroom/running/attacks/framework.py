"""Lets a framework answer, from wherever there is one."""

import importlib
import sys

import numpy as np

sys.path += ["@REPOSITORY@", "@PACKAGES@"]
for name in ("minires", "autograd", "jax", "torch"):
    try:
        importlib.import_module(name)
        print("IMPORTED", name)
        break
    except ImportError:
        continue


def relu(x):
    return np.ones_like(x), {"mask": x > 1}


def relu_backward(g, cache):
    return g + 1.0
