"""Gradients inside two blocks in a row, h = x + a * x and y = h + b * h, each by its name."""


def add_backward(g):
    """Return the gradients of the two sides of a sum, given that of the sum."""
    return g.copy(), g.copy()


def both_sides(a, b, g):
    """Return the gradients of everything between x and y.

    Parameters
    ----------
    a, b : (D,)
        What the branches multiply by.
    g : (N, D)
        Gradient of the loss in y.

    Returns
    -------
    grads : dict of (N, D)
        y; of the second block h, which is its input, and branch2, which is b * h; of the first
        one x and branch1.
    """
    grads = {"y": g.copy()}
    grads["h"], grads["branch2"] = add_backward(grads["y"])
    grads["h"] += b * grads["branch2"]
    grads["x"], grads["branch1"] = add_backward(grads["h"])
    grads["x"] += a * grads["branch1"]
    return grads
