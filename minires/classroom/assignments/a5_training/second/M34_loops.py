"""Row by row and number by number, with math."""

import math

import numpy as np


def _log_softmax(row):
    top = max(row)
    total = math.log(sum(math.exp(each - top) for each in row))
    return [each - top - total for each in row]


def cross_entropy(logits, labels):
    loss = 0.0
    for row, label in zip(logits.tolist(), labels):
        loss -= _log_softmax(row)[int(label)]
    return loss / len(logits)


def cross_entropy_backward(logits, labels):
    out = np.zeros(logits.shape)
    for n, (row, label) in enumerate(zip(logits.tolist(), labels)):
        for k, log_p in enumerate(_log_softmax(row)):
            right = 1.0 if k == label else 0.0
            out[n, k] = (math.exp(log_p) - right) / len(logits)
    return out


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    new_weight, new_velocity = np.zeros(weight.shape), np.zeros(weight.shape)
    for place in np.ndindex(weight.shape):
        slope = grad[place] + weight_decay * weight[place]
        speed = slope + momentum * velocity[place]
        new_velocity[place] = speed
        new_weight[place] = weight[place] - lr * speed
    return new_weight, new_velocity


def _product(a, b):
    out = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = sum(a[i, k] * b[k, j] for k in range(a.shape[1]))
    return out


def forward(x, weights, shortcut):
    h = np.array(x)
    out = [h]
    for weight in weights:
        inner = _product(h, weight)
        branch = inner * (inner > 0)
        around = h if shortcut else np.zeros(h.shape)
        h = around + branch
        out.append(h)
    return out


def backward(g, hidden, weights, shortcut):
    blocks = len(weights)
    dhidden = [None] * blocks + [np.array(g)]
    dweights = [None] * blocks
    for block in reversed(range(blocks)):
        h, weight = hidden[block], weights[block]
        dinner = np.where(_product(h, weight) > 0, dhidden[block + 1], 0.0)
        dweights[block] = _product(np.transpose(hidden[block + 1]), dinner)
        dh = _product(dinner, np.transpose(weight))
        if shortcut:
            dh = dh + dhidden[block + 1]
        dhidden[block] = dh
    return dhidden, dweights


def gradient_norms(grads):
    return [math.sqrt(sum(each * each for each in grad.ravel().tolist())) for grad in grads]


def shares(through_shortcut, through_branch):
    s, b = through_shortcut.ravel().tolist(), through_branch.ravel().tolist()
    whole = sum((p + q) ** 2 for p, q in zip(s, b))
    first = sum(p * (p + q) for p, q in zip(s, b)) / whole
    second = sum(q * (p + q) for p, q in zip(s, b)) / whole
    return first, second


def train_step(x, labels, params, velocities, lr, momentum, weight_decay, shortcut):
    weights, readout = params[:-1], params[-1]
    hidden = forward(x, weights, shortcut)
    logits = _product(hidden[-1], readout)
    loss = cross_entropy(logits, labels)
    dlogits = cross_entropy_backward(logits, labels)
    g = _product(dlogits, np.transpose(readout))
    grads = backward(g, hidden, weights, shortcut)[1]
    grads.append(_product(np.transpose(hidden[-1]), dlogits))
    new_params, new_velocities = [], []
    for weight, grad, velocity in zip(params, grads, velocities):
        weight, velocity = sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
        new_params.append(weight)
        new_velocities.append(velocity)
    return loss, new_params, new_velocities
