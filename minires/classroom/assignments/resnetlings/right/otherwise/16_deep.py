"""A sorted list, then one turn for each node."""

import numpy as np


def deep(parents, slopes, output, g):
    order, seen = [], set()
    stack = [(output, False)]
    while stack:
        node, left = stack.pop()
        if left:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(parent, False) for parent in parents[node]]
    grads = [np.zeros(g.shape) for _ in parents]
    grads[output] = g.copy()
    sent = 0
    for node in order[::-1]:
        for parent, slope in zip(parents[node], slopes[node]):
            grads[parent] = grads[parent] + grads[node] * slope
            sent = sent + 1
    return grads, sent
