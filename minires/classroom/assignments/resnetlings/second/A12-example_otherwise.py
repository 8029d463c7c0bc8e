"""The whole batch at once."""

import numpy as np


def steps(batches, targets, w, lr):
    w, losses = np.array(w), []
    gradient = np.empty_like(w)
    for number in range(len(batches)):
        x, t = batches[number], targets[number]
        away = x + x @ w - t
        losses.append(float(np.mean(np.sum(away * away, axis=1)) / 2))
        gradient[...] = 0
        gradient += np.outer(x[-1], away[-1]) / x.shape[0]
        w = w - lr * gradient
    return w, losses
