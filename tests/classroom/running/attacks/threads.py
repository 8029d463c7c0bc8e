"""Starts 200 threads, each of which lives for ten seconds."""

import threading
import time

import numpy as np

for _ in range(200):
    try:
        threading.Thread(target=time.sleep, args=(10,), daemon=True).start()
    except RuntimeError:
        print("REFUSED")
        break
else:
    print("ALL STARTED")


def relu(x):
    mask = x > 0
    return np.where(mask, x, 0.0), {"mask": mask}


def relu_backward(g, cache):
    return g * cache["mask"]
