"""Broadcasting and products of matrices: sums over axes, and transposes in the right places."""

from __future__ import annotations

import numpy as np

from .elementary import divisors
from .solution import Array, Geometry, Solution, at, swap


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum g to the shape of what was broadcast to it."""
    g = g.sum(tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and g.shape[i] != 1)
    return np.asarray(g.sum(stretched, keepdims=True))


def sum_vjp(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the gradients of a + b."""
    return unbroadcast(g, a.shape), unbroadcast(g, b.shape)


def product_vjp(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the gradients of a * b."""
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


LEADING = (at((4, 3), (3,)), at((2, 3, 4), (3, 4)), at((5,), ()), at((2, 3, 2), (2,)))
STRETCHED = (at((4, 3), (4, 1)), at((4, 3), (1, 3)), at((2, 3, 4), (2, 1, 4)))
BOTH = (at((2, 3, 4), (3, 1)), at((3, 1), (2, 1, 4)), *LEADING, *STRETCHED)
SUM = Solution("", "broadcast sum", "summed over axes", lambda a, b: a + b, sum_vjp, BOTH)
PRODUCT = Solution(
    "", "broadcast product", "summed over axes", lambda a, b: a * b, product_vjp, BOTH, divisors
)


def _leading(geometry: Geometry) -> bool:
    a, b = geometry.shapes
    return len(a) > len(b)


def _stretched(geometry: Geometry) -> bool:
    return geometry in STRETCHED


def _stretched_axes_averaged(db: Array, g: Array, a: Array, b: Array) -> Array:
    axes = tuple(i for i, size in enumerate(b.shape) if size == 1)
    return np.asarray(g.mean(axes, keepdims=True))


MATMUL_SHAPES = (at((3, 4), (4, 2)), at((3, 3), (3, 3)), at((4, 4), (4, 4)), at((1, 4), (4, 3)))
BATCHED_SHAPES = (at((2, 3, 4), (2, 4, 2)), at((3, 2, 3), (3, 3, 2)))
LINEAR_SHAPES = (at((4, 3), (2, 3), (2,)), at((5, 2), (2, 2), (2,)), at((3, 4), (4, 4), (4,)))
MATMUL = Solution(
    "",
    "matmul",
    "by matmul",
    lambda a, b: a @ b,
    lambda g, a, b: (g @ b.T, a.T @ g),
    MATMUL_SHAPES,
)
BATCHED = Solution(
    "",
    "batched matmul",
    "by swapped axes",
    lambda a, b: a @ b,
    lambda g, a, b: (g @ b.swapaxes(1, 2), a.swapaxes(1, 2) @ g),
    BATCHED_SHAPES,
)


def linear_vjp(g: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of x @ w.T + b."""
    return g @ w, g.T @ x, g.sum(0)


LINEAR = Solution(
    "", "linear layer", "by matmul", lambda x, w, b: x @ w.T + b, linear_vjp, LINEAR_SHAPES
)


def _square(geometry: Geometry) -> bool:
    a, b, *_ = geometry.shapes
    return a == b


def _square_weight(geometry: Geometry) -> bool:
    rows, columns = geometry.shapes[1]
    return rows == columns


def _loops(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    da, db = np.zeros_like(a), np.zeros_like(b)
    for i, k in np.ndindex(*a.shape):
        for j in range(b.shape[1]):
            da[i, k] += g[i, j] * b[k, j]
            db[k, j] += g[i, j] * a[i, k]
    return da, db


def _einsum(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return np.einsum("ij,kj->ik", g, b), np.einsum("ik,ij->kj", a, g)


def _ones_sum(g: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    return (w.T @ g.T).T, np.einsum("no,ni->oi", g, x), np.ones(len(g)) @ g


RIGHT = (
    SUM,
    PRODUCT,
    MATMUL,
    BATCHED,
    LINEAR,
    MATMUL.but("", "by einsum", _einsum),
    MATMUL.but("", "by loops", _loops),
    MATMUL.but("", "transposed results", lambda g, a, b: ((b @ g.T).T, (g.T @ a).T)),
    LINEAR.but("", "bias by a product with ones", _ones_sum),
)

WRONG = (
    SUM.but(
        "A6", "leading axes not summed", lambda g, a, b: (unbroadcast(g, a.shape), g), _leading
    ),
    SUM.but("A7", "axes of size 1 not summed", lambda g, a, b: (g, g), _stretched),
    SUM.but(
        "",
        "leading axes averaged",
        swap(sum_vjp, 1, lambda db, g, a, b: db * b.size / g.size),
        lambda geometry: geometry in LEADING,
    ),
    SUM.but(
        "",
        "only the last of the leading axes' entries",
        swap(sum_vjp, 1, lambda db, g, a, b: g[(-1,) * (g.ndim - b.ndim)]),
        lambda geometry: geometry in LEADING,
    ),
    SUM.but("", "axes of size 1 averaged", swap(sum_vjp, 1, _stretched_axes_averaged), _stretched),
    PRODUCT.but(
        "",
        "summed before the factor",
        lambda g, a, b: (g * b, unbroadcast(g, b.shape) * unbroadcast(a, b.shape)),
        lambda geometry: geometry in LEADING,
    ),
    MATMUL.but("A16", "transposes swapped", lambda g, a, b: (g.T @ b, a @ g.T), _square),
    MATMUL.but("", "no transposes", lambda g, a, b: (g @ b, a @ g), _square),
    MATMUL.but("", "operands' gradients exchanged", lambda g, a, b: (a.T @ g, g @ b.T), _square),
    MATMUL.but("", "result transposed", lambda g, a, b: ((g @ b.T).T, a.T @ g), _square),
    BATCHED.but(
        "",
        "summed over the batch",
        swap(
            BATCHED.vjp,
            1,
            lambda db, g, a, b: np.broadcast_to(db.sum(0), b.shape),
        ),
    ),
    LINEAR.but(
        "", "weight's gradient averaged", swap(linear_vjp, 1, lambda dw, g, *_: dw / len(g))
    ),
    LINEAR.but("", "bias's gradient averaged", swap(linear_vjp, 2, lambda db, g, *_: g.mean(0))),
    LINEAR.but(
        "", "weight not transposed", lambda g, x, w, b: (g @ w.T, g.T @ x, g.sum(0)), _square_weight
    ),
)
