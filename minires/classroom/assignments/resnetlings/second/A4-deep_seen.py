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
    arrivals = [0] * len(parents)
    uses = [sum(of.count(node) for of in parents) for node in range(len(parents))]
    uses[output] = 1
    sent = 0

    def arrive(node, part):
        nonlocal sent
        grads[node] = grads[node] + part
        arrivals[node] += 1
        if arrivals[node] < 2:
            for parent, slope in zip(parents[node], slopes[node]):
                sent += 1
                arrive(parent, slope * grads[node])

    arrive(output, g)
    return grads, sent
