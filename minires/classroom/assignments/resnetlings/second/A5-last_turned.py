"""Walks with a stack."""


def listed(parents, output):
    done, left = [], [output]
    while left:
        node = left.pop()
        if node not in done:
            done.append(node)
            left += parents[node]
    return done


def order(parents, slopes, output, g):
    grads = {node: 0.0 for node in parents}
    grads[output] = g
    for node in listed(parents, output):
        for k, parent in enumerate(parents[node]):
            grads[parent] = grads[parent] + grads[node] * slopes[node][k]
    return grads
