"""Nothing is added in place; no array is written to twice."""


def add_backward(g):
    return g, g


def both_sides(a, b, g):
    dy = 1.0 * g
    dh, dbranch2 = add_backward(dy)
    dh = dh + b * dbranch2
    dx, dbranch1 = add_backward(dh)
    dx = dx + a * dbranch1
    return {"x": dx, "branch1": dbranch1, "h": dh, "branch2": dbranch2, "y": dy}
