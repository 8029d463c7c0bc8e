"""What is to be sent lies on a stack."""

import numpy as np


def deep(parents, slopes, output, g):
    grads = [np.zeros(g.shape) for _ in parents]
    grads[output] = g.copy()
    stack, sent = [(output, g)], 0
    while stack:
        node, part = stack.pop(0)
        for parent, slope in zip(parents[node], slopes[node]):
            grads[parent] += part * slope
            stack.append((parent, part * slope))
            sent += 1
    return grads, sent
