"""Slopes: measured, worked out, multiplied along a chain, and added where ways meet."""

import numpy as np


def slope(above, below, h):
    """Return how steep a function is at x, from its values at x + h and at x - h.

    Parameters
    ----------
    above, below : array
        ``f(x + h)`` and ``f(x - h)``.
    h : float

    Returns
    -------
    array
        The central difference.
    """
    # BEGIN SOLUTION
    return (above - below) / (2 * h)
    # END SOLUTION


def relative_error(a, b):
    """Return how far two arrays are apart, seen from their size: the worst element decides.

    Parameters
    ----------
    a, b : array
        Of one shape.

    Returns
    -------
    float
        The largest ``|a - b| / (|a| + |b|)``; what is below the line is at least 1e-8.
    """
    # BEGIN SOLUTION
    size = np.abs(a) + np.abs(b)
    return float((np.abs(a - b) / np.maximum(size, 1e-8)).max())
    # END SOLUTION


def square(x):
    """Return the square of each element, in an array of its own."""
    # BEGIN SOLUTION
    return x**2
    # END SOLUTION


def square_backward(g, x):
    """Return the gradient of x for ``y = square(x)``, if that of y is `g`.

    Parameters
    ----------
    g : array
        The derivative of the loss by each element of y.
    x : array
        Of the same shape.

    Returns
    -------
    array
        The derivative of the loss by each element of x.
    """
    # BEGIN SOLUTION
    return g * 2 * x
    # END SOLUTION


def total_backward(g, shape):
    """Return the gradient of x for ``y = x.sum()``, if that of y is `g`.

    Parameters
    ----------
    g : float
    shape : tuple of int
        Of x.

    Returns
    -------
    array of that shape
    """
    # BEGIN SOLUTION
    return np.full(shape, g)
    # END SOLUTION


def chain_backward(g, x, w):
    """Return the gradients of x and w for two steps: ``u = w * x``, then ``y = square(u)``.

    Parameters
    ----------
    g, x, w : array
        Of one shape.

    Returns
    -------
    dx, dw : array
    """
    # BEGIN SOLUTION
    du = square_backward(g, w * x)
    return du * w, du * x
    # END SOLUTION


def residual_backward(g, x, w):
    """Return the gradients of x and w for a residual block: ``y = x + square(w * x)``.

    Parameters
    ----------
    g, x, w : array
        Of one shape.

    Returns
    -------
    dx, dw : array
    """
    # BEGIN SOLUTION
    dx, dw = chain_backward(g, x, w)
    return g + dx, dw
    # END SOLUTION
