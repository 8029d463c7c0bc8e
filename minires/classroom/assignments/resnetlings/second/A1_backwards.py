"""A program of additions, products and tanh, run forward and then backward."""

import numpy as np


def run(name, values):
    """Return the result of one step."""
    if name == "tanh":
        return np.tanh(values[0])
    return values[0] + values[1] if name == "add" else values[0] * values[1]


def pulled_back(name, values, g):
    """Return the gradient of each value that a step has read."""
    if name == "tanh":
        return [g * (1.0 - np.tanh(values[0]) ** 2)]
    return [g, g] if name == "add" else [g * values[1], g * values[0]]


def fan_out(x, steps, g):
    """Run the steps, and return the gradient of every value.

    Parameters
    ----------
    x : (N, D)
        Value number 0.
    steps : list of tuples
        ("add", a, b), ("mul", a, b) or ("tanh", a), where a and b are numbers of values. The k-th
        step, counted from 1, makes value number k.
    g : (N, D)
        Gradient of the loss in the last value.

    Returns
    -------
    y : (N, D)
        The last value.
    grads : list of (N, D)
        One for each value.
    """
    values = [x]
    for name, *read in steps:
        values.append(run(name, [values[number] for number in read]))

    grads = [np.zeros_like(x) for _ in values]
    grads[-1] = g.copy()
    for place in range(len(steps), 0, -1):
        name, *read = steps[place - 1]
        passed = pulled_back(name, [values[number] for number in read], grads[place])
        for number, part in reversed(list(zip(read, passed))):
            grads[number] = part
    return values[-1], grads
