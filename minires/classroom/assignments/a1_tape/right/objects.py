"""Nodes are objects that remember their children and the gradient that has arrived."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Node:
    number: int
    inputs: list = field(default_factory=list)
    grad: object = None
    visited: bool = False


def _graph(parents):
    nodes = [Node(number) for number in range(len(parents))]
    for node, of in zip(nodes, parents):
        node.inputs = [nodes[number] for number in of]
    return nodes


def _sorted(root):
    if root.visited:
        return []
    root.visited = True
    return [each for node in root.inputs[::-1] for each in _sorted(node)] + [root]


def topological_order(parents, output):
    return [node.number for node in _sorted(_graph(parents)[output])]


def unbroadcast(g, shape):
    out = np.zeros(shape, g.dtype)
    wide = np.broadcast_to(np.arange(out.size).reshape(shape), g.shape)
    np.add.at(out.reshape(-1), wide.reshape(-1), g.reshape(-1))
    return out


def add_vjp(g, a, b):
    return sub_vjp(g, a, b)[0], unbroadcast(g, b.shape)


def sub_vjp(g, a, b):
    return unbroadcast(g, a.shape), unbroadcast(g * -1, b.shape)


def mul_vjp(g, a, b):
    a, b = np.broadcast_arrays(a, b), (a.shape, b.shape)
    return unbroadcast(g * a[1], b[0]), unbroadcast(g * a[0], b[1])


def div_vjp(g, a, b):
    da, dinverse = mul_vjp(g, a, np.reciprocal(b))
    return da, -dinverse / (b * b)


def matmul_vjp(g, a, b):
    stack = g.shape[:-2]
    da = np.zeros(stack + a.shape[-2:])
    db = np.zeros(stack + b.shape[-2:])
    wide_a, wide_b = np.broadcast_to(a, da.shape), np.broadcast_to(b, db.shape)
    for place in np.ndindex(*stack):
        da[place] = g[place].dot(wide_b[place].T)
        db[place] = wide_a[place].T.dot(g[place])
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def residual_vjp(g, x, w):
    dx, dw = g.astype(float), np.zeros(w.shape)
    for n in range(len(x)):
        z = x[n] @ w
        for d in range(len(z)):
            if z[d] > 0:
                dx[n] += g[n, d] * w[:, d]
                dw[:, d] += g[n, d] * x[n]
    return dx, dw


def backward(parents, partials, output, gradient):
    nodes = _graph(parents)
    nodes[output].grad = gradient.copy()
    for node in _sorted(nodes[output])[::-1]:
        for source, partial in zip(node.inputs, partials[node.number]):
            if source.grad is None:
                source.grad = np.zeros_like(gradient)
            source.grad += node.grad if partial is None else partial * node.grad
    return [node.grad for node in nodes]
