import numpy as np


def topological_order(parents, output):
    found, todo = [], [output]
    while todo:
        node = todo.pop()
        if node not in found:
            found.append(node)
            todo += parents[node][::-1]
    found.reverse()
    return found


def unbroadcast(g, shape):
    out = np.array(g)
    while out.ndim > len(shape):
        out = out.sum(axis=0)
    for axis in range(len(shape)):
        if shape[axis] == 1:
            out = out.sum(axis=axis, keepdims=True)
    return out


def add_vjp(g, a, b):
    return unbroadcast(g, np.shape(a)), unbroadcast(g, np.shape(b))


def sub_vjp(g, a, b):
    return unbroadcast(g, np.shape(a)), -unbroadcast(g, np.shape(b))


def mul_vjp(g, a, b):
    return unbroadcast(b * g, np.shape(a)), unbroadcast(a * g, np.shape(b))


def div_vjp(g, a, b):
    y = a / b
    return unbroadcast(g / b, np.shape(a)), unbroadcast(-g * y / b, np.shape(b))


def matmul_vjp(g, a, b):
    da = np.matmul(g, np.swapaxes(b, -2, -1))
    db = np.matmul(np.swapaxes(a, -2, -1), g)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def residual_vjp(g, x, w):
    z = x @ w
    dz = g.copy()
    dz[z <= 0] = 0
    return dz @ w.T + g, x.T @ dz


def backward(parents, partials, output, gradient):
    grads = {output: np.array(gradient)}
    for node in topological_order(parents, output)[::-1]:
        for k, parent in enumerate(parents[node]):
            partial = partials[node][k]
            contribution = grads[node].copy()
            if partial is not None:
                contribution *= partial
            if parent in grads:
                grads[parent] += contribution
            else:
                grads[parent] = contribution
    return [grads.get(node) for node in range(len(parents))]
