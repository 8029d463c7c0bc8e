"""Step by step, how the gradients of the tape come about."""

import numpy as np

# Nobody reads of a longer way, and each step is given out with its numbers.
_MOST_NODES = 12


def trace_backward(reference, parents, partials, output, gradient):
    if len(parents) > _MOST_NODES:
        return
    grads = reference.backward(parents, partials, output, gradient)
    yield "it starts from what is given", f"grads[{output}]", gradient, gradient
    for node in reversed(reference.topological_order(parents, output)):
        for parent, partial in zip(parents[node], partials[node]):
            rule = "unchanged" if partial is None else "times the derivative of its edge"
            adds = grads[node] if partial is None else grads[node] * partial
            yield f"from node {node}, {rule}", f"grads[{parent}]", grads[node], adds


def trace_residual_vjp(reference, g, x, w):
    branch = np.where(x @ w > 0, g, 0.0)
    yield "the shortcut, unchanged", "dx", g, g
    yield "the branch, through ReLU and the product with w", "dx", g, branch @ w.T
    yield "the branch, through ReLU", "dw", g
