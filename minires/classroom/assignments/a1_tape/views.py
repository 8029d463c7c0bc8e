"""What is compared of results where several are right."""

import numpy as np


def view_topological_order(arguments, result):
    """Every right order has the same nodes, and no edge against it."""
    parents, _ = arguments
    order = [int(node) for node in result]
    place = {node: i for i, node in enumerate(order)}
    edges = {(parent, node) for node in place for parent in parents[node]}
    behind = sum(parent not in place or place[parent] > place[node] for parent, node in edges)
    return {"nodes": np.array(sorted(order)), "parents_behind_a_child": behind}
