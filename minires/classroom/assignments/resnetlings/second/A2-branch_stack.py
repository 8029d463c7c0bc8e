"""Each value has a function that takes its step back."""

import numpy as np


class Value:
    """An array, its gradient, and the step that takes its gradient back to its parents."""

    def __init__(self, data, parents=()):
        self.data, self.parents = data, parents
        self.grad = np.zeros_like(data)
        self.step_back = lambda: None

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other))

        def step_back():
            self.grad = self.grad + out.grad
            other.grad = other.grad + out.grad

        out.step_back = step_back
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def step_back():
            self.grad = self.grad + out.grad * other.data
            other.grad = other.grad + out.grad * self.data

        out.step_back = step_back
        return out

    def tanh(self):
        """Return the hyperbolic tangent."""
        out = Value(np.tanh(self.data), (self,))

        def step_back():
            self.grad = self.grad + out.grad * (1.0 - out.data**2)

        out.step_back = step_back
        return out


def back_from(output):
    """Give all values that an output was made of their gradients. It has its own already."""
    waiting = [output]
    while waiting:
        value = waiting.pop()
        value.step_back()
        waiting.extend(value.parents)


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
