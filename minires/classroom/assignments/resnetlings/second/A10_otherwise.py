"""Gathers what each value is told by its readers, as lists."""

import numpy as np


def fan_out(x, steps, g):
    values = [x]
    for step in steps:
        if step[0] == "add":
            values.append(values[step[1]] + values[step[2]])
        elif step[0] == "mul":
            values.append(values[step[1]] * values[step[2]])
        else:
            values.append(np.tanh(values[step[1]]))
    told = [[] for _ in values]
    told[-1] = [np.ones(x.shape)]
    grads = [None] * len(values)
    for k in reversed(range(len(values))):
        grads[k] = sum(told[k], np.zeros(x.shape))
        if k == 0:
            break
        step = steps[k - 1]
        if step[0] == "add":
            told[step[1]].append(grads[k])
            told[step[2]].append(grads[k])
        elif step[0] == "mul":
            told[step[1]].append(grads[k] * values[step[2]])
            told[step[2]].append(grads[k] * values[step[1]])
        else:
            told[step[1]].append(grads[k] / np.cosh(values[step[1]]) ** 2)
    return values[-1], grads
