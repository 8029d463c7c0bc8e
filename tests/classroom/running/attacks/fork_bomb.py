"""Starts 200 processes, each of which lives for ten seconds."""

import os
import time

import numpy as np

for _ in range(200):
    try:
        if os.fork() == 0:
            time.sleep(10)
            os._exit(0)
    except OSError:
        print("REFUSED")
        break
else:
    print("ALL STARTED")


def relu(x):
    mask = x > 0
    return np.where(mask, x, 0.0), {"mask": mask}


def relu_backward(g, cache):
    return g * cache["mask"]
