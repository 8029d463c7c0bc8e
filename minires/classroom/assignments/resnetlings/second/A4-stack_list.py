"""Gradients of a graph; what was put aside last is taken first."""

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
    grads = [np.zeros_like(g) for _ in parents]
    grads[output] = g.copy()
    aside, met = [output], [output]
    while aside:
        *aside, node = aside
        for parent, slope in zip(parents[node], slopes[node]):
            grads[parent] = grads[parent] + slope * grads[node]
            if parent not in met:
                met.append(parent)
                aside.append(parent)
    return grads
