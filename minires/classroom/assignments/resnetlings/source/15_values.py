"""Values that remember how they were made, and residual blocks h + tanh(h * w) of them."""

import numpy as np


class Value:
    """An array, its gradient, and what it was made of: pairs of a value and the slope by it."""

    def __init__(self, data, *made_of):
        self.data, self.made_of = data, made_of
        self.grad = np.zeros_like(data)

    def __add__(self, other):
        return Value(self.data + other.data, (self, 1.0), (other, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other.data), (other, self.data))

    def tanh(self):
        """Return the hyperbolic tangent."""
        y = np.tanh(self.data)
        return Value(y, (self, 1.0 - y**2))

    def step_back(self):
        """Pass the gradient on to what the value was made of."""
        for parent, slope in self.made_of:
            parent.grad = parent.grad + slope * self.grad


def back_from(output):
    """Give all values that an output was made of their gradients. It has its own already."""
    order, seen = [], set()

    def visit(value):
        if value not in seen:
            seen.add(value)
            for parent, _ in value.made_of:
                visit(parent)
            order.append(value)

    visit(output)
    for value in reversed(order):
        value.step_back()


def values(x, weights, g):
    """Go forward through all blocks, and back again.

    Parameters
    ----------
    x : (N, D)
    weights : list of (N, D)
        One for each block; the product is element by element.
    g : (N, D)
        Gradient of the loss in what the last block returns.

    Returns
    -------
    y, dx : (N, D)
    dweights : list of (N, D)
    """
    start, factors = Value(x), [Value(w) for w in weights]
    h = start
    for factor in factors:
        h = h + (h * factor).tanh()
    h.grad = g.copy()
    back_from(h)
    return h.data, start.grad, [factor.grad for factor in factors]
