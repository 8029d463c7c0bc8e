import numpy as np


def topological_order(parents, output):
    before = [node for parent in parents[output] for node in topological_order(parents, parent)]
    return [*before, output]


def unbroadcast(g, shape):
    g = np.float32(g)
    for _ in range(g.ndim - len(shape)):
        g = np.add.reduce(g, axis=0)
    g = np.asarray(g)
    for axis, length in enumerate(shape):
        if length == 1 and g.shape[axis] != 1:
            g = np.add.reduce(g, axis=axis, keepdims=True)
    return np.array(g)


def add_vjp(g, a, b):
    return tuple(unbroadcast(g, each.shape) for each in (a, b))


def sub_vjp(g, a, b):
    return tuple(unbroadcast(sign * g, each.shape) for sign, each in ((1, a), (-1, b)))


def mul_vjp(g, a, b):
    g, a, b = np.float32(g), np.float32(a), np.float32(b)
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


def div_vjp(g, a, b):
    g, a, b = np.float32(g), np.float32(a), np.float32(b)
    da, db = mul_vjp(g, a, 1 / b)
    return da, unbroadcast(-g * a / np.square(b), b.shape)


def matmul_vjp(g, a, b):
    g, a, b = np.float32(g), np.float32(a), np.float32(b)
    da, db = g @ np.moveaxis(b, -1, -2), np.moveaxis(a, -1, -2) @ g
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def residual_vjp(g, x, w):
    g, x, w = np.float32(g), np.float32(x), np.float32(w)
    mask = np.maximum(x @ w, 0) > 0
    dx, dw = matmul_vjp(g * mask, x, w)
    return dx + g, dw


def backward(parents, partials, output, gradient):
    grads = [np.zeros_like(gradient) for _ in parents]
    grads[output] += gradient
    order = [int(node) for node in topological_order(parents, output)]
    for node in order[::-1]:
        for k in range(len(parents[node])):
            factor = partials[node][k]
            grads[parents[node][k]] += grads[node] if factor is None else factor * grads[node]
    return [grads[node] if node in order else None for node in range(len(parents))]
