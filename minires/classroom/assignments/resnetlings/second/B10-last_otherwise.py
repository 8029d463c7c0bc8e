"""A layer that knows whether it trains."""

import numpy as np


class BatchNorm:
    def __init__(self, gamma, beta, momentum):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.mean, self.var = 0.0, 1.0
        self.training = True

    def __call__(self, x):
        mean, var = self.mean, self.var
        if self.training:
            m = x.size // x.shape[1]
            mean = x.mean((0, 2, 3), keepdims=True)
            var = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
            self.mean = mean
            self.var = var * m / (m - 1)
        return self.gamma * (x - mean) / np.sqrt(var + 1e-5) + self.beta


def evaluation(batches, x, gamma, beta, momentum):
    norm = BatchNorm(gamma, beta, momentum)
    outputs = [batch + np.maximum(norm(batch), 0) for batch in batches]
    norm.training = False
    return outputs, x + np.maximum(norm(x), 0)
