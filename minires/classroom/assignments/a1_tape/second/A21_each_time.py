"""The tape on lists; the node that comes next is looked for each time."""

import numpy as np


def topological_order(parents, output):
    done, order = set(), []
    stack = [(output, iter(parents[output]))]
    done.add(output)
    while stack:
        node, rest = stack[-1]
        for parent in rest:
            if parent not in done:
                done.add(parent)
                stack.append((parent, iter(parents[parent])))
                break
        else:
            stack.pop()
            order.append(node)
    return tuple(order)


def unbroadcast(g, shape):
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i in range(g.ndim) if padded[i] == 1)
    return np.array(g.sum(axis=axes).reshape(shape))


def _both(da, a, db, b):
    return [unbroadcast(da, a.shape), unbroadcast(db, b.shape)]


def add_vjp(g, a, b):
    return _both(g, a, g, b)


def sub_vjp(g, a, b):
    return _both(g, a, -g, b)


def mul_vjp(g, a, b):
    return _both(g * b, a, a * g, b)


def div_vjp(g, a, b):
    return _both(g * (1 / b), a, g * (-a) * b ** (-2.0), b)


def matmul_vjp(g, a, b):
    return _both(np.einsum("...mn,...kn->...mk", g, b), a, np.einsum("...mk,...mn->...kn", a, g), b)


def residual_vjp(g, x, w):
    open_ = np.heaviside(x @ w, 0)
    dz = np.einsum("nd,nd->nd", g, open_)
    dx = sum([g, np.einsum("ne,de->nd", dz, w)])
    return dx, np.einsum("nd,ne->de", x, dz)


def backward(parents, partials, output, gradient):
    grads = {output: np.array(gradient)}
    todo = set(topological_order(parents, output))
    while todo:
        order = topological_order(parents, output)
        node = max(todo, key=order.index)
        todo.remove(node)
        for parent, partial in zip(parents[node], partials[node]):
            part = grads[node] * (1.0 if partial is None else partial)
            grads[parent] = grads[parent] + part if parent in grads else part
    return [grads.get(node) for node in range(len(parents))]
