"""In float32, the blocks as objects that remember what they need."""

import numpy as np

F = np.float32


def cross_entropy(logits, labels):
    z = np.asfortranarray(logits, F)
    z = z - np.amax(z, 1)[:, None]
    chosen = np.take_along_axis(z, labels[:, None], 1)[:, 0]
    return F(np.average(np.log(np.exp(z).sum(1)) - chosen))


def cross_entropy_backward(logits, labels):
    z = np.asfortranarray(logits, F)
    e = np.exp(z - np.amax(z, 1)[:, None])
    p = e / e.sum(1)[:, None]
    right = labels[:, None] == np.arange(z.shape[1])
    return (p - right).astype(F) / F(len(z))


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    w, d, v = (np.array(each, F) for each in (weight, grad, velocity))
    d += F(weight_decay) * w
    v *= F(momentum)
    v += d
    w -= F(lr) * v
    return w, v


class Block:
    def __init__(self, weight, shortcut):
        self.weight, self.shortcut = np.array(weight, F), shortcut

    def forward(self, h):
        self.h = np.array(h, F)
        self.inner = self.h @ self.weight
        out = self.inner.copy()
        if self.shortcut:
            out += self.h
        return out * (out > 0)

    def backward(self, g):
        g = np.array(g, F)
        dinner = g.copy()
        dinner[self.inner <= 0] = 0
        self.grad = self.h.T @ dinner
        back = dinner @ self.weight.T
        if self.shortcut:
            back += g
        return back


def forward(x, weights, shortcut):
    out = [np.array(x, F)]
    for weight in weights:
        out += [Block(weight, shortcut).forward(out[-1])]
    return out


def backward(g, hidden, weights, shortcut):
    blocks = [Block(weight, shortcut) for weight in weights]
    for block, h in zip(blocks, hidden):
        block.forward(h)
    back = [np.array(g, F)]
    for block in blocks[::-1]:
        back.append(block.backward(back[-1]))
    return back[::-1], [block.grad for block in blocks]


def gradient_norms(grads):
    return tuple(np.linalg.norm(np.ravel(grad).astype(F)) for grad in grads)


def shares(through_shortcut, through_branch):
    s, b = np.ravel(through_shortcut), np.ravel(through_branch)
    total = np.add(s, b)
    first = np.vdot(s, total) / np.vdot(total, total)
    return F(first), F(1 - first)


def train_step(x, labels, params, velocities, lr, momentum, weight_decay, shortcut):
    blocks = [Block(weight, shortcut) for weight in params[:-1]]
    h = x
    for block in blocks:
        h = block.forward(h)
    readout = np.array(params[-1], F)
    logits = np.dot(h, readout)
    d = cross_entropy_backward(logits, labels)
    grads = [np.dot(np.transpose(h), d)]
    g = np.dot(d, np.transpose(readout))
    for block in blocks[::-1]:
        g = block.backward(g)
        grads.insert(0, block.grad)
    options = (lr, momentum, weight_decay)
    pairs = [sgd_step(w, d, v, *options) for w, d, v in zip(params, grads, velocities)]
    new, fast = map(list, zip(*pairs))
    return cross_entropy(logits, labels), new, fast
