"""Training twins: the loss, the step, a chain of blocks with and without shortcuts, its norms."""

import numpy as np


def cross_entropy(logits, labels):
    """Return the mean over the batch of -log p, p being the softmax's share of the right class.

    Parameters
    ----------
    logits : array, (N, K)
        May be as large as 1000.
    labels : array of int, (N,)
        The right class of each row.

    Returns
    -------
    float
    """
    # BEGIN SOLUTION
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())
    # END SOLUTION


def cross_entropy_backward(logits, labels):
    """Return the gradient of the logits for `cross_entropy`, (N, K)."""
    # BEGIN SOLUTION
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)
    # END SOLUTION


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    """Take one step of SGD, as PyTorch's: the velocity gathers gradients, the weight follows it.

    Parameters
    ----------
    weight, grad, velocity : array
        Of one shape.
    lr, momentum, weight_decay : float

    Returns
    -------
    weight, velocity : array
        The new ones, in arrays of their own.
    """
    # BEGIN SOLUTION
    velocity = momentum * velocity + (grad + weight_decay * weight)
    return weight - lr * velocity, velocity
    # END SOLUTION


def forward(x, weights, shortcut):
    """Take x through blocks: ``h + f(h)`` with a shortcut, ``f(h)`` without; f(h) = relu(h @ W).

    Parameters
    ----------
    x : array, (N, D)
    weights : list of array, (D, D)
        W of each block.
    shortcut : bool

    Returns
    -------
    list of array, (N, D)
        x, and what each block returns: one more than there are blocks.
    """
    # BEGIN SOLUTION
    hidden = [x.copy()]
    for weight in weights:
        branch = np.maximum(hidden[-1] @ weight, 0)
        hidden.append(hidden[-1] + branch if shortcut else branch)
    return hidden
    # END SOLUTION


def backward(g, hidden, weights, shortcut):
    """Take a gradient back through the blocks of `forward`.

    Parameters
    ----------
    g : array, (N, D)
        Gradient of what the last block returned.
    hidden : list of array, (N, D)
        What `forward` returned.
    weights : list of array, (D, D)
    shortcut : bool

    Returns
    -------
    dhidden : list of array, (N, D)
        The gradient of each of `hidden`, in their order: the last is g.
    dweights : list of array, (D, D)
        In the order of `weights`.
    """
    # BEGIN SOLUTION
    dhidden, dweights = [g.copy()], []
    for h, weight in zip(hidden[-2::-1], weights[::-1]):
        dinner = dhidden[0] * (h @ weight > 0)
        dh = dinner @ weight.T
        dweights.insert(0, h.T @ dinner)
        dhidden.insert(0, dhidden[0] + dh if shortcut else dh)
    return dhidden, dweights
    # END SOLUTION


def gradient_norms(grads):
    """Return the Euclidean norm of each array of a list, as a list of float."""
    # BEGIN SOLUTION
    return [float(np.sqrt((grad**2).sum())) for grad in grads]
    # END SOLUTION


def shares(through_shortcut, through_branch):
    """Return in which shares two gradients make up their sum.

    Parameters
    ----------
    through_shortcut, through_branch : array
        Of one shape.

    Returns
    -------
    shortcut, branch : float
        <part, sum> / <sum, sum>. They add up to 1.
    """
    # BEGIN SOLUTION
    total = through_shortcut + through_branch
    size = (total * total).sum()
    shortcut = (through_shortcut * total).sum() / size
    branch = (through_branch * total).sum() / size
    return float(shortcut), float(branch)
    # END SOLUTION


def train_step(x, labels, params, velocities, lr, momentum, weight_decay, shortcut):
    """Make one step of training: forward, loss, backward, and a step of SGD for every weight.

    Parameters
    ----------
    x : array, (N, D)
    labels : array of int, (N,)
    params : list of array
        The weights (D, D) of the blocks, and last the readout (D, K): logits = h @ readout, with h
        from the last block.
    velocities : list of array
        Of the same shapes.
    lr, momentum, weight_decay : float
    shortcut : bool

    Returns
    -------
    loss : float
        Before the step.
    params, velocities : list of array
        After it.
    """
    # BEGIN SOLUTION
    *weights, readout = params
    hidden = forward(x, weights, shortcut)
    logits = hidden[-1] @ readout
    dlogits = cross_entropy_backward(logits, labels)
    dreadout = hidden[-1].T @ dlogits
    _, dweights = backward(dlogits @ readout.T, hidden, weights, shortcut)
    stepped = [
        sgd_step(*each, lr, momentum, weight_decay)
        for each in zip(params, [*dweights, dreadout], velocities)
    ]
    loss = cross_entropy(logits, labels)
    return loss, [weight for weight, _ in stepped], [velocity for _, velocity in stepped]
    # END SOLUTION
