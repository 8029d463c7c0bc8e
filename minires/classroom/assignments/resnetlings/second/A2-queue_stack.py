"""Gradients of a graph, with a queue of the nodes that pass theirs on next."""

import numpy as np


def queue(parents, slopes, output, g):
    """Return the gradient of every node.

    Parameters
    ----------
    parents : list of lists of int
        Of each node the numbers of those which it is computed from. The output depends on all.
    slopes : list of lists of (N, D)
        The derivative of a node by each of its parents, element by element.
    output : int
    g : (N, D)
        Gradient of the loss in the output.

    Returns
    -------
    grads : list of (N, D)
    """
    waits_for = [0] * len(parents)
    for of in parents:
        for parent in of:
            waits_for[parent] += 1

    grads = [np.zeros_like(g) for _ in parents]
    grads[output] = g.copy()
    next_ones = [output]
    while next_ones:
        node = next_ones.pop()
        for parent, slope in zip(parents[node], slopes[node]):
            grads[parent] = grads[parent] + slope * grads[node]
            waits_for[parent] -= 1
            next_ones.append(parent)
    return grads
