"""The values before each block in a list that has the stem's, too; masks are factors."""

import numpy as np


def relu(x):
    x[x < 0] = 0
    return x


def pre_activation(image, stem, weights, g):
    states = [image @ stem]
    for w in weights:
        active = relu(states[-1])
        states.append(states[-1] + active @ w)
    dweights = [None] * len(weights)
    arrived = g
    for k in range(len(weights) - 1, -1, -1):
        mask = np.sign(relu(states[k]))
        dweights[k] = (mask * states[k]).T @ arrived
        arrived = arrived + mask * (arrived @ weights[k].T)
    return states[-1], image.T @ arrived, dweights
