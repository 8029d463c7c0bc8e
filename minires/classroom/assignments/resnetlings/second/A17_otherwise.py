"""Takes those nodes first that nobody waits for."""


def listed(parents, output):
    children = {node: set() for node in parents}
    for node in parents:
        for parent in parents[node]:
            children[parent].add(node)
    done = []
    left = list(parents)
    while left:
        [node, *_] = [each for each in left if children[each] <= set(done)]
        left.remove(node)
        done.append(node)
    return done[::-1]


def order(parents, slopes, output, g):
    grads = {node: 0.0 for node in parents}
    grads[output] = g
    for node in listed(parents, output):
        for k, parent in enumerate(parents[node]):
            grads[parent] = grads[parent] + grads[node] * slopes[node][k]
    return grads
