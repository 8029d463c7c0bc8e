"""Functions of single entries: the rules of calculus, and what may be done to g and the inputs."""

from __future__ import annotations

import numpy as np

from .solution import Array, Geometry, Rng, Solution, at, away_from_zero, normal

SHAPES = (at((6,)), at((3, 4)), at((2, 3, 2)))
PAIRS = (at((7,), (7,)), at((3, 4), (3, 4)), at((2, 2, 3), (2, 2, 3)))


def positive(rng: Rng, geometry: Geometry) -> list[Array]:
    """Draw inputs between 1/2 and 3."""
    return [np.asarray(rng.uniform(0.5, 3, shape)) for shape in geometry.shapes]


def divisors(rng: Rng, geometry: Geometry) -> list[Array]:
    """Draw the last input away from zero."""
    *others, last = normal(rng, geometry)
    return [*others, away_from_zero(last)]


SQUARE = Solution(
    "", "square", "closed form", lambda x: x * x, lambda g, x: 2 * x * g, SHAPES, divisors
)
EXP = Solution("", "exp", "from the output", np.exp, lambda g, x: g * np.exp(x), SHAPES)
SINE_PRODUCT = Solution(
    "",
    "x sin x",
    "product rule",
    lambda x: x * np.sin(x),
    lambda g, x: g * (np.sin(x) + x * np.cos(x)),
    SHAPES,
)
SINE_OF_SQUARE = Solution(
    "",
    "sine of a square",
    "chain rule",
    lambda x: np.sin(x * x),
    lambda g, x: g * np.cos(x * x) * 2 * x,
    SHAPES,
)
CUBE = Solution("", "cube", "closed form", lambda x: x**3, lambda g, x: 3 * x**2 * g, SHAPES)
ROOT = Solution(
    "", "root", "closed form", np.sqrt, lambda g, x: g / (2 * np.sqrt(x)), SHAPES, positive
)
LOG = Solution("", "logarithm", "closed form", np.log, lambda g, x: g / x, SHAPES, positive)
QUOTIENT = Solution(
    "",
    "quotient",
    "closed form",
    lambda a, b: a / b,
    lambda g, a, b: (g / b, -g * a / b**2),
    PAIRS,
    divisors,
)
DIFFERENCE = Solution(
    "", "difference", "closed form", lambda a, b: a - b, lambda g, a, b: (g, -g), PAIRS
)
PRODUCT = Solution(
    "", "product", "closed form", lambda a, b: a * b, lambda g, a, b: (g * b, g * a), PAIRS
)
POWER = Solution(
    "",
    "power",
    "closed form",
    lambda a, b: a**b,
    lambda g, a, b: (g * b * a ** (b - 1), g * np.log(a) * a**b),
    PAIRS,
    positive,
)


def _writes_into_the_input(g: Array, x: Array) -> Array:
    x *= 2
    return x * g


def _writes_into_g(g: Array, x: Array) -> Array:
    g *= 2 * x
    return g


def _one_nan(g: Array, x: Array) -> Array:
    gradient = 2 * x * g
    gradient.flat[1] = np.nan
    return gradient


def _one_entry_missing(g: Array, x: Array) -> Array:
    gradient = 2 * x * g
    gradient.flat[-1] = 0
    return gradient


RIGHT = (
    *(SQUARE, EXP, SINE_PRODUCT, SINE_OF_SQUARE, CUBE, ROOT),
    *(LOG, QUOTIENT, DIFFERENCE, PRODUCT, POWER),
    SQUARE.but("", "as a product", lambda g, x: x * g + g * x),
    SQUARE.but("", "returned in another memory order", lambda g, x: np.array(2 * x * g, order="F")),
    SQUARE.but("", "returned as a view with strides", lambda g, x: np.repeat(2 * x * g, 2, 0)[::2]),
    QUOTIENT.but("", "from the quotient", lambda g, a, b: (g / b, -g / b * (a / b))),
)

WRONG = (
    EXP.but("A10", "upstream gradient ignored", lambda g, x: np.exp(x)),
    SQUARE.but("A11", "writes into the upstream gradient", _writes_into_g),
    SQUARE.but("", "writes into the input", _writes_into_the_input),
    # A float32 gradient cast back to float64 is 6e-8 off: less than any usable tolerance.
    SQUARE.but("A13", "computed in float32", lambda g, x: (2 * x * g).astype(np.float32)),
    DIFFERENCE.but("A14", "wrong sign", lambda g, a, b: (g, g)),
    QUOTIENT.but("A15", "denominator not squared", lambda g, a, b: (g / b, -g * a / b)),
    QUOTIENT.but("", "wrong sign", lambda g, a, b: (g / b, g * a / b**2)),
    SQUARE.but("", "factor 2 forgotten", lambda g, x: x * g),
    SQUARE.but("", "wrong sign", lambda g, x: -2 * x * g),
    SQUARE.but("", "upstream gradient summed", lambda g, x: 2 * x * g.sum()),
    SQUARE.but("", "zeros", lambda g, x: np.zeros_like(x)),
    SQUARE.but("", "a NaN", _one_nan),
    SQUARE.but("", "one entry missing", _one_entry_missing),
    SQUARE.but("", "flipped", lambda g, x: (2 * x * g)[::-1]),
    SQUARE.but("", "differentiated twice", lambda g, x: 2 * g),
    SINE_PRODUCT.but("", "one term of the product rule", lambda g, x: g * np.sin(x)),
    SINE_OF_SQUARE.but("", "inner derivative forgotten", lambda g, x: g * np.cos(x * x)),
    CUBE.but("", "exponent not reduced", lambda g, x: 3 * x**3 * g),
    ROOT.but("", "factor 1/2 forgotten", lambda g, x: g / np.sqrt(x)),
    LOG.but("", "logarithm to base 10", lambda g, x: g / (x * np.log(10))),
    PRODUCT.but("", "factors not exchanged", lambda g, a, b: (g * a, g * b)),
    POWER.but("", "no gradient of the exponent", lambda g, a, b: (g * b * a ** (b - 1), 0 * b)),
)
