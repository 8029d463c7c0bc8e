"""In which order the nodes of a graph pass their gradients on."""


def listed(parents, output):
    """Return the nodes that the output depends on, itself first, each one after all its children.

    Children of a node are those which are computed from it.
    """
    order = []

    def visit(node):
        if node in order:
            order.remove(node)
        order.append(node)
        for parent in parents[node]:
            visit(parent)

    visit(output)
    return order


def order(parents, slopes, output, g):
    """Return the gradient of every node.

    Parameters
    ----------
    parents : dict of list of str
        By a node's name those which it is computed from.
    slopes : dict of list of float
        The derivative of a node by each of its parents, in the same order.
    output : str
    g : float
        Gradient of the loss in the output.

    Returns
    -------
    grads : dict of float
        By the nodes' names.
    """
    grads = dict.fromkeys(parents, 0.0)
    grads[output] = g
    for node in listed(parents, output):
        for parent, slope in zip(parents[node], slopes[node]):
            grads[parent] += slope * grads[node]
    return grads
