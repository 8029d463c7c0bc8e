"""Each pattern is recognised on gradients that are wrong that way, and on no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from minires.checking.patterns import Evidence, explain_shape, patterns

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.asarray(np.random.default_rng((seed, *shape)).standard_normal(shape))


def listed(value: Any) -> list[Array]:
    return [np.asarray(v) for v in (value if isinstance(value, tuple) else (value,))]


def evidence(
    forward: Function, vjp: Function, x: Array, seed: int = 0, sample: int | None = None
) -> Evidence:
    """What a check of `vjp(g, x)` would find; all entries are known, or a sample of them."""
    rng = np.random.default_rng(seed)
    cotangents = [rng.standard_normal(output.shape) for output in listed(forward(x))]
    cotangents = [c + np.copysign(0.5, c) for c in cotangents]
    c = np.concatenate([array.ravel() for array in cotangents])

    def outputs(moved: Array) -> Array:
        return np.concatenate([output.ravel() for output in listed(forward(moved))])

    columns = []
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        columns.append((outputs(up) - outputs(down)) / (up[index] - down[index]))
    slopes = np.array(columns)
    numeric = (slopes @ c).reshape(x.shape)
    analytic = np.array(vjp(cotangents[0] if len(cotangents) == 1 else tuple(cotangents), x), float)
    if sample is not None:
        unknown = rng.permutation(x.size)[sample:]
        numeric.ravel()[unknown] = np.nan
    return of_arrays(analytic, numeric, x, cotangents, slopes)


def of_arrays(
    analytic: Array, numeric: Array, x: Array, cotangents: list[Array], slopes: Array
) -> Evidence:
    with np.errstate(invalid="ignore"):
        allowed = 1e-8 + 1e-6 * np.maximum(np.abs(analytic), np.abs(numeric))
        wrong = ~(np.abs(analytic - numeric) <= allowed) & np.isfinite(numeric)
    rng = np.random.default_rng(1)
    bad = rng.permutation(np.flatnonzero(wrong))[:32]
    good = rng.permutation(np.flatnonzero(~wrong & np.isfinite(numeric)))[:16]
    entries = np.sort(np.concatenate([bad, good]))
    return Evidence(analytic, numeric, wrong, x, cotangents, entries, slopes[entries])


# Functions with their right gradients. N images, C and O channels, (H, W) image, (KH, KW) kernel.
X = normal(3, 2, 6, 5)
WEIGHT = normal(4, 2, 3, 2)


def conv(x: Array, w: Array, stride: int = 1) -> Array:
    windows = sliding_window_view(x, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, w))


def conv_dx(g: Array, x: Array, w: Array, stride: int = 1, assign: bool = False) -> Array:
    dx = np.zeros_like(x)
    for i, j in np.ndindex(g.shape[2:]):
        rows = slice(i * stride, i * stride + w.shape[2])
        columns = slice(j * stride, j * stride + w.shape[3])
        stamp = np.einsum("no,ocij->ncij", g[:, :, i, j], w)
        dx[:, :, rows, columns] = stamp + (0 if assign else dx[:, :, rows, columns])
    return dx


def conv_dw(g: Array, w: Array, x: Array = X) -> Array:
    return np.asarray(
        np.einsum("nohw,nchwij->ocij", g, sliding_window_view(x, w.shape[2:], (2, 3)))
    )


def padded(x: Array) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))


def norm(x: Array, axes: tuple[int, ...]) -> Array:
    std = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    return np.asarray((x - x.mean(axes, keepdims=True)) / std)


def norm_vjp(g: Array, x: Array, axes: tuple[int, ...], mean: float, variance: float) -> Array:
    x_hat, std = norm(x, axes), np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    lost = mean * g.mean(axes, keepdims=True)
    lost = lost + variance * x_hat * (g * x_hat).mean(axes, keepdims=True)
    return np.asarray((g - lost) / std)


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def softmax_vjp(g: Array, x: Array) -> Array:
    y = softmax(x)
    return np.asarray(y * (g - (g * y).sum(1, keepdims=True)))


def right_dw(g: Array, w: Array) -> Array:
    return conv_dw(g, w)


def on_weight(w: Array) -> Array:
    return conv(X, w)


def nan_at(index: tuple[int, ...]) -> Function:
    def vjp(g: Array, x: Array) -> Array:
        dx = 2 * x * g
        dx[index] = np.nan
        return np.asarray(dx)

    return vjp


def changed(where: Any, factor: float = 3.0) -> Function:
    """The gradient of the square, wrong in one region."""

    def vjp(g: Array, x: Array) -> Array:
        dx = 2 * x * g
        dx[where] *= factor
        return np.asarray(dx)

    return vjp


def interior(g: Array, x: Array) -> Array:
    dx = 2 * x * g
    dx[..., 1:-1, 1:-1] += normal(*x[..., 1:-1, 1:-1].shape)
    return np.asarray(dx)


def border(g: Array, x: Array) -> Array:
    dx = 2 * x * g + normal(*x.shape)
    dx[..., 1:-1, 1:-1] = (2 * x * g)[..., 1:-1, 1:-1]
    return np.asarray(dx)


def add(b: Array) -> Array:
    return normal(5, 4, 3) + b


Case = tuple[Function, Function, Array, str]
CASES: dict[str, Case] = {
    # One factor for all
    "zeros": (np.square, lambda g, x: 0 * x, normal(3, 4), "is 0 everywhere. Is this"),
    "zeros after a normalisation": (
        lambda x: norm(x, (0,)),
        lambda g, x: 0 * x,
        normal(5, 3),
        "as it would be for an incoming gradient of all ones",
    ),
    "input not used": (
        lambda x: 0 * x,
        lambda g, x: g,
        normal(3, 4),
        "The numeric gradient is 0 everywhere",
    ),
    "sign": (np.square, lambda g, x: -2 * x * g, normal(3, 4), "The sign is wrong everywhere"),
    "half": (
        np.square,
        lambda g, x: x * g,
        normal(3, 5),
        "analytic = 1/2 × numeric everywhere. Is a",
    ),
    "double": (np.square, lambda g, x: 4 * x * g, normal(7), "analytic = 2 × numeric"),
    "odd factor": (np.sin, lambda g, x: 0.7 * np.cos(x) * g, normal(7), "analytic = 0.7 × numeric"),
    "averaged, in a loss that hides the batch": (
        lambda w: (normal(5, 3) @ w).sum(),
        lambda g, w: g * normal(5, 3).mean(0),
        normal(3),
        "analytic = 1/5 × numeric everywhere. Is it an average over 5 where a sum belongs?",
    ),
    "nearly right": (
        np.sin,
        lambda g, x: (1 + 1e-4) * np.cos(x) * g,
        normal(7),
        "analytic = 1.0001 × numeric",
    ),
    "averaged over the batch": (
        lambda b: normal(5, 3) + b,
        lambda g, b: g.mean(0),
        normal(3),
        "analytic = 1/5 × numeric everywhere, and 5 is the size of axis 0 of the output.",
    ),
    "averaged over images and places": (
        lambda b: normal(4, 2, 3, 5) + b[:, None, None],
        lambda g, b: g.mean((0, 2, 3)),
        normal(2),
        "1/60 × numeric everywhere, and 60 is the size of axes 0, 2 and 3 of the output together",
    ),
    "weights' gradient averaged": (on_weight, lambda g, w: conv_dw(g, w) / 3, WEIGHT, "1/3 ×"),
    "mean not divided": (
        lambda x: x.mean(1),
        lambda g, x: np.repeat(g[:, None], 4, 1),
        normal(3, 4),
        "analytic = 4 × numeric everywhere, and 4 is the size of axis 1 of the input",
    ),
    "N - 1": (
        lambda x: x.var(0),
        lambda g, x: 2 * (x - x.mean(0)) * g / 4,
        normal(5, 3),
        "analytic = 5/4 × numeric",
    ),
    "root of the width": (
        lambda q: q @ normal(7, 2) / np.sqrt(7),
        lambda g, q: g @ normal(7, 2).T,
        normal(3, 7),
        "analytic = √7 × numeric",
    ),
    "scalar loss ignores what comes in": (
        lambda x: (x**3).sum(),
        lambda g, x: 3 * x**2,
        normal(4),
        "as if the incoming gradient were 1. Is it ignored",
    ),
    "averaged loss ignores what comes in": (
        lambda x: (x**3).sum(),
        lambda g, x: 3 * x**2 / 4,
        normal(4),
        "as if the incoming gradient were 1. Is it ignored? Besides, analytic = 1/4 × numeric",
    ),
    "averaged gain": (
        lambda s: s * normal(11),
        lambda g, s: np.array((g * normal(11)).mean()),
        np.array(2.0),
        "analytic = 1/11 × numeric",
    ),
    # Places
    "transposed": (np.square, lambda g, x: (2 * x * g).T, normal(4, 4), "transposed (axes 0 and 1"),
    "in another order of axes": (
        np.square,
        lambda g, x: (2 * x * g).transpose(1, 2, 0),
        normal(3, 3, 3),
        "transposed (axes in the order (1, 2, 0))",
    ),
    "reshape without transpose": (
        on_weight,
        lambda g, w: conv_dw(g, w).transpose(0, 2, 3, 1).reshape(w.shape),
        WEIGHT,
        "laid out as if the axes were in the order (0, 2, 3, 1)",
    ),
    "batch reversed": (
        np.square,
        lambda g, x: (2 * x * g)[::-1],
        X,
        "reversed along axis 0. Is the b",
    ),
    "weights turned": (
        on_weight,
        lambda g, w: conv_dw(g, w)[:, :, ::-1, ::-1],
        WEIGHT,
        "turned by 180° (axes 2 and 3 reversed)",
    ),
    "shifted": (
        np.square,
        lambda g, x: np.roll(2 * x * g, 1, 1),
        normal(3, 5),
        "an index that is one too high along axis 1",
    ),
    "shifted by two": (
        np.square,
        lambda g, x: np.roll(2 * x * g, -2, 1),
        normal(3, 7),
        "an index that is 2 too low along axis 1. Is padding taken off at one end only",
    ),
    "padding taken off at the wrong end": (
        lambda x: conv(padded(x), WEIGHT),
        lambda g, x: conv_dx(g, padded(x), WEIGHT)[:, :, :-2, :-2],
        X[:2, :, :5, :4],
        "an index that is one too high along axes 2 and 3. Is padding taken off at one end only",
    ),
    "turned and averaged": (
        on_weight,
        lambda g, w: conv_dw(g, w)[:, :, ::-1, ::-1] / 3,
        WEIGHT,
        "turned by 180° (axes 2 and 3 reversed). Is a kernel flipped, or not? Besides, analytic ="
        " 1/3 × numeric everywhere, and 3 is the size of",
    ),
    "ignored, and a factor 2 missing": (
        np.square,
        lambda g, x: x,
        normal(3, 4),
        "all ones. Is it ignored? Besides, analytic = 1/2 × numeric everywhere.",
    ),
    "permuted": (
        np.square,
        lambda g, x: (2 * x * g)[[2, 0, 3, 1]],
        normal(4, 3),
        "has the right values, but at other places",
    ),
    # The incoming gradient
    "ignored": (np.square, lambda g, x: 2 * x, normal(3, 4), "all ones. Is it ignored?"),
    "a count": (add, lambda g, b: np.full(3, 20.0), normal(3), "all ones. Is it ignored?"),
    "last sample": (add, lambda g, b: g[-1].sum(0), normal(3), "only the last entry along axis 0"),
    "first sample": (add, lambda g, b: g[0].sum(0), normal(3), "only the first entry along axis 0"),
    "weights' gradient of the last image": (
        on_weight,
        lambda g, w: conv_dw(g[-1:], w, X[-1:]),
        WEIGHT,
        "only the last entry along axis 0",
    ),
    "summed": (np.square, lambda g, x: 2 * x * g.sum(), normal(3, 4), "were their sum."),
    "averaged early": (
        np.square,
        lambda g, x: 2 * x * g.mean(0),
        normal(3, 4),
        "were their mean over axis 0",
    ),
    "absolute": (np.square, lambda g, x: 2 * x * abs(g), normal(3, 4), "had lost its signs"),
    "clipped": (
        np.square,
        lambda g, x: 2 * x * np.maximum(g, 0),
        normal(3, 4),
        "as if the negative numbers of the incoming gradient were 0",
    ),
    "comes in transposed": (
        lambda x: x @ normal(4, 4),
        lambda g, x: g.T @ normal(4, 4).T,
        normal(4, 4),
        "as if the incoming gradient were the right one, but transposed",
    ),
    "comes in reversed": (
        lambda x: conv(x, WEIGHT),
        lambda g, x: conv_dx(g[:, ::-1], x, WEIGHT),
        X[:1, :, :4, :4],
        "as if the incoming gradient were the right one, but reversed along axis 1",
    ),
    "passed on unchanged": (
        lambda x: np.maximum(x, 0),
        lambda g, x: g,
        normal(4, 5),
        "is the incoming gradient itself, unchanged",
    ),
    "masked by itself": (
        lambda x: np.maximum(x, 0),
        lambda g, x: g * (g > 0),
        normal(4, 5),
        "mask taken from the gradient",
    ),
    "summed without the factor": (
        lambda w: w * normal(5, 3),
        lambda g, w: g.sum(0),
        normal(3),
        "is just the incoming gradient, summed over axis 0",
    ),
    "one of two outputs": (
        lambda x: (x**2, np.sin(x)),
        lambda g, x: 2 * x * g[0],
        normal(3, 4),
        "as if the incoming gradient of output 1 were 0. Is a contribution overwritten",
    ),
    "two outputs mixed up": (
        lambda x: (x**2, np.sin(x)),
        lambda g, x: (2 * x + np.cos(x)) * g[0],
        normal(3, 4),
        "as if the incoming gradient of output 1 were that of output 0",
    ),
    "matmul without transpose": (
        lambda x: x @ normal(4, 4),
        lambda g, x: g @ normal(4, 4),
        normal(3, 4),
        "is what the function itself, not its transpose, makes",
    ),
    "kernel not turned": (
        lambda x: conv(x, WEIGHT),
        lambda g, x: conv_dx(g, x, WEIGHT[:, :, ::-1, ::-1]),
        X[:1, :, :5, :4],
        "as if the kernel were turned (axes 2 and 3 reversed)",
    ),
    # Along an axis
    "scale per channel": (
        lambda x: x * normal(3),
        lambda g, x: g * 1.0 * normal(3) ** 2,
        normal(5, 3),
        "depends on the place along axis 1 alone",
    ),
    "eps at the wrong place": (
        lambda x: x * [2, 3],
        lambda g, x: g * [2, 3] * np.array([1 - 5e-6, 1 + 2e-5]),
        normal(5, 2),
        "along axis 1 alone (1 - 5e-06, 1 + 2e-05). Is an eps left out, or at the wrong place?",
    ),
    "power of the input": (
        lambda x: 1 / x,
        lambda g, x: -g / x,
        normal(7) + 4,
        "analytic = numeric × the input",
    ),
    # Terms
    "no shortcut": (
        lambda x: x + np.sin(x),
        lambda g, x: np.cos(x) * g,
        normal(4, 5),
        "What is missing is exactly the incoming gradient",
    ),
    "no shortcut before a ReLU": (
        lambda x: np.maximum(x + np.sin(3 * x), 0),
        lambda g, x: 3 * np.cos(3 * x) * g * (x + np.sin(3 * x) > 0),
        normal(4, 5),
        "What is missing where it is wrong is exactly the incoming gradient",
    ),
    "shortcut twice": (
        lambda x: x + np.sin(x),
        lambda g, x: (2 + np.cos(x)) * g,
        normal(4, 5),
        "What is too much is exactly the incoming gradient",
    ),
    "weight decay": (
        np.sin,
        lambda g, x: np.cos(x) * g + 0.01 * x,
        normal(4, 5),
        "What is too much is 0.01 × the input itself",
    ),
    # Regions
    "one NaN": (np.square, nan_at((1, 2)), normal(3, 4), "not finite: nan at (1, 2)"),
    "one entry": (np.square, changed((1, 2)), normal(3, 4), "Only one entry is wrong, (1, 2)."),
    "last slice": (np.square, changed(-1), normal(4, 6), "wrong at the last entry along axis 0"),
    "one slice": (
        np.square,
        changed((slice(None), 2)),
        normal(5, 6),
        "wrong at index 2 along axis 1, and right elsewhere. Are these slices treated differently?"
        " There, analytic = 3 × numeric.",
    ),
    "all but the first": (
        np.square,
        changed(slice(1, None)),
        normal(5, 6),
        "Everything is wrong except at the first entry along axis 0",
    ),
    "every third": (
        np.square,
        changed((slice(None), slice(1, None, 3))),
        normal(4, 9),
        "exactly where index % 3 == 1 along axis 1",
    ),
    "stride in two axes": (
        np.square,
        changed((slice(None), slice(0, None, 2), slice(0, None, 2))),
        normal(2, 6, 7),
        "repeat every 2 entries along axes 1 and 2",
    ),
    "dead rows": (
        np.square,
        changed([1, 2], 0.0),
        normal(5, 8),
        "is 0 at 1, 2 along axis 0, where the numeric one is not",
    ),
    "border": (np.square, border, normal(2, 5, 6), "Only the border of axes 1 and 2 is wrong"),
    "interior": (np.square, interior, normal(2, 5, 6), "Only the border of axes 1 and 2 is right"),
    "overlaps assigned": (
        lambda x: conv(x, WEIGHT, 2),
        lambda g, x: conv_dx(g, x, WEIGHT, 2, assign=True),
        normal(2, 2, 7, 6),
        "along axis 2",
    ),
    "leaky mask": (
        lambda x: np.where(x > 0, x, 0.1 * x),
        lambda g, x: g * np.where(x > 0, 1, 0.2),
        normal(5, 6),
        "wrong exactly where the input is negative",
    ),
    "same along an axis": (
        lambda x: x.max(1),
        lambda g, x: np.repeat(g[:, None], 5, 1),
        normal(4, 5),
        "is the same everywhere along axis 1; the numeric one is not",
    ),
    "float32": (
        np.sin,
        lambda g, x: (np.cos(x) * g * (1 + 1e-5 * normal(4, 5))).astype(np.float32),
        normal(4, 5),
        "Every analytic value is a float32 number",
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mistake_is_told_by_its_pattern(name: str, seed: int) -> None:
    forward, vjp, x, expected = CASES[name]

    told = patterns(evidence(forward, vjp, x, seed))

    assert told, name
    assert expected in told[0]


@pytest.mark.parametrize(
    ("shape", "axes", "named"),
    [
        ((5, 3), (0,), "axis 0"),
        ((4, 2, 3, 2), (0, 2, 3), "axes 0, 2 and 3"),
        ((3, 6), (1,), "axis 1"),
    ],
    ids=["batch norm", "batch norm of images", "layer norm"],
)
@pytest.mark.parametrize(
    ("mean", "variance", "expected"),
    [
        (0.0, 1.0, "is the same everywhere along {}. Is a path through a mean over {} left out?"),
        (1.0, 0.0, "is a multiple of x - mean, with the mean over {}. Is a path through the var"),
        (1.0, -1.0, "is a multiple of x - mean, with the mean over {}. Is a path through the var"),
        (0.0, 0.0, "is a constant plus a multiple of x - mean, with the mean over {}. Are the"),
    ],
    ids=["mean path", "variance path", "sign of the variance path", "both paths"],
)
def test_lost_paths_of_a_normalisation_are_told_apart(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    named: str,
    mean: float,
    variance: float,
    expected: str,
) -> None:
    found = evidence(
        lambda x: norm(x, axes), lambda g, x: norm_vjp(g, x, axes, mean, variance), normal(*shape)
    )

    told = patterns(found)

    assert expected.replace("{}", named) in told[0]


@pytest.mark.parametrize(
    "name", ["sign", "half", "ignored", "summed", "no shortcut", "weight decay"]
)
def test_a_sample_of_the_entries_is_enough(name: str) -> None:
    forward, vjp, _, expected = CASES[name]

    told = patterns(evidence(forward, vjp, normal(9, 9), sample=30))

    if name == "weight decay":
        expected = expected.replace("(4, 5)", "(9, 9)")
    assert expected in told[0]


RIGHT: dict[str, tuple[Function, Function, Array]] = {
    "square": (np.square, lambda g, x: 2 * x * g, normal(3, 4)),
    "softmax": (softmax, softmax_vjp, normal(3, 4)),
    "matmul": (lambda x: x @ normal(4, 4), lambda g, x: g @ normal(4, 4).T, normal(4, 4)),
    "convolution": (
        lambda x: conv(x, WEIGHT),
        lambda g, x: conv_dx(g, x, WEIGHT),
        X[:2, :, :4, :4],
    ),
    "convolution's weight": (on_weight, right_dw, WEIGHT),
    "batch norm": (
        lambda x: norm(x, (0,)),
        lambda g, x: norm_vjp(g, x, (0,), 1.0, 1.0),
        normal(5, 3),
    ),
    "bias": (add, lambda g, b: g.sum((0, 1)), normal(3)),
    "gain": (lambda s: s * normal(7), lambda g, s: np.array(g @ normal(7)), np.array(1.5)),
}


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_right_gradient_has_no_pattern(name: str) -> None:
    assert patterns(evidence(*RIGHT[name])) == []


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long if "conv" in n else ()) for n in sorted(RIGHT)],
)
def test_random_mistakes_have_no_pattern(name: str) -> None:
    forward, vjp, x = RIGHT[name]
    true = evidence(forward, vjp, x)
    slopes = np.full((x.size, true.slopes.shape[1]), np.nan)
    every = evidence(forward, lambda g, x: vjp(g, x) + 1.0 + normal(*x.shape), x)
    slopes[every.entries] = every.slopes
    named = []

    for seed in range(30):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal(x.shape)
        factors = rng.uniform(0.3, 3, x.shape)
        for analytic in (
            noise,
            true.numeric + noise,
            true.numeric * factors,
            true.numeric + 1e-4 * noise,
        ):
            found = of_arrays(np.asarray(analytic), true.numeric, x, list(true.cotangents), slopes)
            entries = np.intersect1d(found.entries, every.entries)
            known = Evidence(
                *(found.analytic, found.numeric, found.wrong, x, found.cotangents),
                entries,
                slopes[entries],
            )
            named += patterns(known)

    assert named == []


def test_mistakes_at_random_places_have_no_pattern() -> None:
    named = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((4, 6))
        chosen, noise = rng.random(x.shape) < 0.4, rng.standard_normal(x.shape)
        found = evidence(
            np.square,
            lambda g, x, chosen=chosen, noise=noise: 2 * x * g + noise * chosen,
            x,
            seed,
        )
        named += bool(patterns(found))

    assert named <= 1


@pytest.mark.parametrize(
    ("forward", "vjp", "x"),
    [
        (softmax, lambda g, x: 0.37 * softmax_vjp(g, x), normal(1, 2)),
        (lambda x: x.sum(), lambda g, x: 0.37 * g * np.ones(5), normal(5)),
        (lambda s: s * normal(4), lambda g, s: np.array(0.123), np.array(0.5)),
        (np.sin, lambda g, x: 0.37 * np.cos(x) * g, normal(2)),
    ],
    ids=["two classes", "all equal", "one number", "two numbers"],
)
def test_too_few_different_numbers_prove_no_factor(
    forward: Function, vjp: Function, x: Array
) -> None:
    assert patterns(evidence(forward, vjp, x)) == []


def test_symmetric_values_prove_no_rearrangement() -> None:
    x = np.ones((4, 4))
    found = evidence(lambda x: x.sum() ** 2, lambda g, x: normal(4, 4), x)

    assert patterns(found) == []


@given(
    shape=st.lists(st.integers(2, 4), min_size=2, max_size=4),
    ratio=st.floats(0.1, 10).filter(lambda ratio: abs(ratio - 1) > 0.1),
    seed=st.integers(0, 99),
)
def test_a_factor_is_found_in_any_shape(shape: list[int], ratio: float, seed: int) -> None:
    x = normal(*shape, seed=seed)

    told = patterns(evidence(np.sin, lambda g, x: ratio * np.cos(x) * g, x, seed))

    assert "× numeric everywhere" in told[0]


@given(order=st.permutations(range(3)).filter(lambda order: order != [0, 1, 2]))
def test_any_wrong_order_of_axes_is_found(order: list[int]) -> None:
    x = normal(2, 3, 4)

    told = patterns(
        evidence(np.sin, lambda g, x: (np.cos(x) * g).transpose(order).reshape(x.shape), x)
    )

    assert f"as if the axes were in the order {tuple(order)}" in told[0]


G = normal(4, 3)
IMAGE = normal(3, 2, 8, 7)


@pytest.mark.parametrize(
    ("gradient", "numeric", "expected"),
    [
        (
            G,
            G.sum(0),
            "summed over axis 0 it would be right: is a sum over the axis that was broadcast"
            " missing?",
        ),
        (G, G.sum(1, keepdims=True), "summed over axis 1 it would be right:"),
        (G, G[0], "summed over axis 0 it has the right shape, but not the right values: is a sum"),
        (G, np.full(3, np.nan), "summed over axis 0 it has the right shape: is a sum over the"),
        (G, np.asarray(G.sum()), "summed over axes 0 and 1 it would be right:"),
        (normal(2, 3, 4, 4), normal(2, 3, 4, 4).sum((0, 2, 3)), "summed over axes 0, 2 and 3"),
        (normal(3, 3), normal(3, 3).sum(1), "summed over axis 1 it would be right:"),
        (G[None], G, "without its axes of size 1 it would be right: is keepdims=True left over"),
        (G.sum(0), G.sum(0, keepdims=True), "with axes of size 1 put in it would be right:"),
        (G.T, G, "transposed it would be right: is a transpose missing"),
        (normal(2, 3, 4).transpose(2, 0, 1), normal(2, 3, 4), "with its axes in the order (1, 2, "),
        (G.ravel(), G, "reshaped it would be right:"),
        (np.asarray(2.0), np.full((4, 3), 2.0), "broadcast from its one number it would be right"),
        (
            IMAGE,
            IMAGE[:, :, 1:-1, 1:-1],
            "without a border of 1 along axes 2 and 3 it would be right: is the padding not taken"
            " off again?",
        ),
        (IMAGE, IMAGE[:, :, 2:-2, 1:-1], "without a border of 1 along axis 3 and 2 along axis 2"),
        (
            IMAGE,
            IMAGE[:, :, 2:, 2:],
            "larger by 2 along axes 2 and 3: is the padding not taken off?",
        ),
        (IMAGE, np.full((3, 2, 6, 5), np.nan), "larger by 2 along axes 2 and 3"),
    ],
)
def test_a_wrong_shape_is_explained(gradient: Array, numeric: Array, expected: str) -> None:
    assert explain_shape(gradient, numeric).startswith(expected)


@pytest.mark.parametrize(
    ("gradient", "numeric"),
    [
        (normal(5), normal(4, 3)),
        (normal(8, 4), normal(4, 4)),
        (normal(4, 5), normal(4, 4)),
        (normal(0), normal()),
        (normal(0, 3), normal(1, 1)),
    ],
)
def test_a_wrong_shape_that_nothing_would_mend_is_left_at_that(
    gradient: Array, numeric: Array
) -> None:
    assert explain_shape(gradient, numeric) == ""


@pytest.mark.parametrize(
    ("gradient", "numeric", "expected"),
    [
        (
            normal(5),
            normal(4),
            "5 is the length of axis 3 of the output: is the sum taken over the wrong axes?",
        ),
        (normal(6, 5), normal(4, 6), "6 and 5 are the lengths of axes 2 and 3 of the output: is"),
        (normal(1, 5), normal(4, 1), "5 is the length of axis 3 of the output"),
        (normal(5), normal(7), ""),
        (normal(9), normal(4), ""),
        (
            normal(3, 4, 6, 5),
            normal(7, 2),
            "that is the shape of the output: is the incoming gradient passed on as it is?",
        ),
    ],
)
def test_a_gradient_of_an_outputs_axes_is_told(
    gradient: Array, numeric: Array, expected: str
) -> None:
    told = explain_shape(gradient, numeric, outputs=[(3, 4, 6, 5)])

    assert told.startswith(expected)
    assert bool(told) == bool(expected)


def test_of_several_outputs_the_one_is_named() -> None:
    told = explain_shape(normal(5), normal(4), outputs=[(2,), (4, 5)])

    assert told.startswith("5 is the length of axis 1 of output 1:")


def test_gradients_in_another_order_are_told() -> None:
    x, weight, bias = (8, 3), (4, 3), (4,)

    assert explain_shape(normal(*bias), normal(*weight), inputs=[x, weight, bias]) == (
        "that is the shape of input 2: are the gradients returned in another order?"
    )
    assert explain_shape(normal(*x), normal(3), inputs=[x, (3,), x]) == (
        "that is the shape of inputs 0 and 2: are the gradients returned in another order?"
        " Or is a sum over the axis that was broadcast missing?"
    )


def test_what_the_numbers_bear_out_goes_before_what_shapes_suggest() -> None:
    assert explain_shape(G, G.sum(0), [G.shape], [G.shape, (3,)]).startswith("summed over axis 0")


def test_a_right_shape_needs_no_explanation() -> None:
    assert explain_shape(G, G) == ""


SPECIAL = [0.0, 1.0, -1.0, 1e300, -1e-300, np.inf, -np.inf, np.nan]


@given(
    shape=st.lists(st.integers(1, 6), max_size=4),
    outputs=st.lists(st.integers(1, 5), max_size=3),
    known=st.sampled_from([0.3, 0.8, 1.0]),
    period=st.integers(1, 4),
    special=st.sampled_from(SPECIAL),
    seed=st.integers(0, 2**20),
)
def test_whatever_the_numbers_are_there_is_an_answer(
    shape: list[int],
    outputs: list[int],
    known: float,
    period: int,
    special: float,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    cotangent = rng.standard_normal(outputs)
    slopes = rng.standard_normal((int(np.prod(shape)), int(np.prod(outputs))))
    numeric = np.asarray((slopes @ cotangent.ravel()).reshape(shape))
    analytic, wrong = numeric.copy(), np.zeros(shape, bool)
    wrong.flat[:: max(period, 1)] = True
    analytic[wrong] += rng.standard_normal(int(wrong.sum()))
    analytic.flat[int(rng.integers(analytic.size))] = special
    unknown = rng.random(shape) > known
    numeric[unknown] = np.nan
    wrong &= ~unknown
    entries = rng.permutation(analytic.size)[:48]

    with np.errstate(all="ignore"):
        told = patterns(
            Evidence(
                analytic=analytic,
                numeric=numeric,
                wrong=wrong,
                x=rng.standard_normal(shape),
                cotangents=[cotangent],
                entries=entries,
                slopes=slopes[entries],
            )
        )

    assert all(isinstance(sentence, str) and sentence for sentence in told)


def test_a_period_is_told_where_some_phases_are_unknown() -> None:
    x = normal(7, 7)
    numeric = normal(7, 7, seed=1)
    wrong = np.zeros((7, 7), bool)
    wrong[::3, ::3] = True
    analytic = numeric + wrong * normal(7, 7, seed=2)
    numeric[2::3, 2::3] = np.nan
    found = Evidence(
        analytic=analytic,
        numeric=numeric,
        wrong=wrong,
        x=x,
        cotangents=[x],
        entries=np.zeros(0, int),
        slopes=np.zeros((0, 49)),
    )

    assert any("repeat every 3 entries" in sentence for sentence in patterns(found))
