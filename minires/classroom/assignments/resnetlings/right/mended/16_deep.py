"""Gradients of a deep graph, and what they cost."""

import numpy as np


def deep(parents, slopes, output, g):
    """Return the gradient of every node, and how often one was sent from a node to a parent.

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
    sent : int
        Of n residual blocks, which have three edges each, 3 * n.
    """
    grads = [np.zeros_like(g) for _ in parents]
    sent = 0

    grads[output] = g.copy()
    for node in range(output, -1, -1):
        for parent, slope in zip(parents[node], slopes[node]):
            sent += 1
            grads[parent] += slope * grads[node]
    return grads, sent
