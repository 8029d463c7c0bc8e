"""Slices through the loss around a network (Li et al. 2018, arXiv 1712.09913)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.autograd import no_grad
from minires.data import Split
from minires.nn import Module
from minires.ops import cross_entropy, tensor

_NEGATIVE = 0.1  # of the curvature upwards: less curvature downwards is not counted


def loss_slice(
    model: Module, split: Split, points: int, seen: int, seed: int, device: str
) -> np.ndarray[Any, Any]:
    """Return the loss at each point of the slice, (points, points): the second direction is up.

    Parameters
    ----------
    model : Module
        In evaluation mode; its weights are as they were, afterwards.
    split : Split
    points : int
        On each side of the slice.
    seen : int
        Training images that the loss is the mean of.
    seed : int
        Of the two directions.
    device : str
    """
    images, labels = split.train.take(range(min(seen, len(split.train))))
    x = tensor(images, device=device)
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    rng = np.random.default_rng(seed)
    one, two = (
        {
            name: direction(parameter.numpy(), rng)
            for name, parameter in model.named_parameters()
            if parameter.ndim > 1
        }
        for _ in range(2)
    )
    ends = np.linspace(-1, 1, points)
    losses = np.empty((points, points))
    with no_grad(), np.errstate(all="ignore"):
        for row, b in enumerate(ends):
            for column, a in enumerate(ends):
                moved = {name: state[name] + a * one[name] + b * two[name] for name in one}
                model.load_state_dict(state | moved)
                losses[row, column] = cross_entropy(model(x), labels).item()
    model.load_state_dict(state)
    return losses


def direction(weight: np.ndarray[Any, Any], rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return a random direction in which each filter is as long as that of the weight.

    Parameters
    ----------
    weight : array (filters, ...)
    rng : numpy.random.Generator

    Examples
    --------
    >>> weight = np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> np.linalg.norm(direction(weight, np.random.default_rng(0)), axis=1).round(6).tolist()
    [5.0, 1.0]
    """
    drawn = rng.standard_normal(weight.shape)
    within = tuple(range(1, weight.ndim))
    lengths = [np.sqrt((each**2).sum(within, keepdims=True)) for each in (weight, drawn)]
    return np.asarray(drawn * (lengths[0] / lengths[1]), weight.dtype)


def not_convex(losses: Sequence[Sequence[float | None]]) -> float | None:
    """Return at which share of its inner points a slice curves down; None if nothing is finite.

    Parameters
    ----------
    losses : sequence of sequence of float or None
        None where the loss is not finite.

    Examples
    --------
    >>> bowl = [[x * x + y * y for x in range(-3, 4)] for y in range(-3, 4)]
    >>> not_convex(bowl)
    0.0
    >>> not_convex([[x * x - y * y for x in range(-3, 4)] for y in range(-3, 4)])
    1.0
    >>> not_convex([[None] * 3] * 3) is None  # the network has diverged
    True
    """
    f = np.array(losses, float)
    middle = f[1:-1, 1:-1]
    xx = f[1:-1, 2:] - 2 * middle + f[1:-1, :-2]
    yy = f[2:, 1:-1] - 2 * middle + f[:-2, 1:-1]
    xy = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / 4
    centre, reach = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    # Eigenvalues of the 2x2 matrix of second differences; comparisons with NaN are false.
    convex = centre - reach >= -_NEGATIVE * np.abs(centre + reach)
    return float(1 - convex.mean()) if np.isfinite(f).any() else None
