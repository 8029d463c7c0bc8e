import numpy as np


def topological_order(parents, output):
    level = {}

    def depth(node):
        if node not in level:
            level[node] = 1 + max((depth(parent) for parent in parents[node]), default=0)
        return level[node]

    depth(output)
    return sorted(level, key=level.get)


def unbroadcast(g, shape):
    turned = g.T.copy()  # the axes in front are the last
    while turned.ndim > len(shape):
        turned = turned.sum(-1)
    for axis, length in enumerate(reversed(shape)):
        if length == 1:
            turned = np.expand_dims(turned.sum(axis), axis)
    return np.asarray(turned).T


def add_vjp(g, a, b):
    return unbroadcast(g, a.shape), unbroadcast(g, b.shape)


def sub_vjp(g, a, b):
    da, db = add_vjp(g, a, b)
    return da, np.negative(db)


def mul_vjp(g, a, b):
    return unbroadcast(np.multiply(g, b), a.shape), unbroadcast(np.multiply(g, a), b.shape)


def div_vjp(g, a, b):
    scaled = g / b
    return unbroadcast(scaled, a.shape), unbroadcast(-(scaled / b) * a, b.shape)


def matmul_vjp(g, a, b):
    turned = np.swapaxes(g, -1, -2)
    da = (b @ turned).swapaxes(-1, -2)
    db = (turned @ a).swapaxes(-1, -2)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def residual_vjp(g, x, w):
    branch = np.asfortranarray(g * np.sign(np.maximum(x @ w, 0)))
    return (g.T + w @ branch.T).T, (branch.T @ x).T


def backward(parents, partials, output, gradient):
    grads = {output: gradient.copy()}
    queue, closed = [output], {output}
    while queue:
        node = queue.pop(0)
        for parent, partial in zip(parents[node], partials[node]):
            share = np.multiply(grads[node], 1.0 if partial is None else partial)
            grads[parent] = share + grads.get(parent, 0)
            if parent not in closed:
                closed.add(parent)
                queue.append(parent)
    return [grads.get(node) for node in range(len(parents))]
