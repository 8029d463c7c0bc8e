"""Goes through the graph level by level, by the distance from the output."""

import numpy as np


def queue(parents, slopes, output, g):
    distance = {output: 0}
    level = [output]
    while level:
        level = [
            p
            for node in level
            for p in parents[node]
            if distance.setdefault(p, distance[node] + 1) > distance[node]
        ]
    grads = [np.zeros_like(g) for _ in parents]
    grads[output] = g.copy()
    for node in sorted(distance, key=distance.get):
        for k, parent in enumerate(parents[node]):
            grads[parent] = grads[parent] + grads[node] * slopes[node][k]
    return grads
