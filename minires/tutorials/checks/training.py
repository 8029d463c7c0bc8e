"""Checks of tutorial 17, on training well."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from minires import nn, ops

from ..exercise import Wrong, check


@check
def split(answer: Callable[..., Any]) -> str:
    """Three parts of a data set: disjoint, complete, shuffled, and the same each time."""
    for count in (100, 1797):
        parts = [np.asarray(part) for part in answer(count, 0)]
        if len(parts) != 3 or any(part.size == 0 for part in parts):
            raise Wrong("There are three parts, of which none is empty.")
        together = np.concatenate(parts)
        twice = together.size - np.unique(together).size
        if twice:
            raise Wrong(
                f"Of {count} images {twice} are in more than one part. What was trained on cannot"
                " tell how well unseen images do."
            )
        if not np.array_equal(np.sort(together), np.arange(count)):
            raise Wrong(f"All of 0 to {count - 1} have their place; found {together.size} numbers.")
        shares = [part.size / count for part in parts]
        if not np.allclose(shares, (0.7, 0.15, 0.15), atol=0.05):
            told = ", ".join(f"{share:.0%}" for share in shares)
            raise Wrong(f"Training gets about 70 %, validation and test 15 % each; found {told}.")
        if np.array_equal(np.sort(parts[0]), np.arange(parts[0].size)):
            raise Wrong(
                "The first part is simply the first images. Data often lie in an order, by class"
                " or by writer: shuffle first."
            )
        again = [np.asarray(part) for part in answer(count, 0)]
        if not all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True)):
            raise Wrong("With the same seed there are other parts: no two runs can be compared.")
        if np.array_equal(parts[0], np.asarray(answer(count, 1)[0])):
            raise Wrong("With another seed there should be other parts.")
    return "Disjoint, complete, shuffled, and the same for the same seed."


@check
def diagnose(answer: Callable[..., Any]) -> str:
    """What a deeper network suffers from, by the errors of two networks."""
    cases = [
        ((0.02, 0.10), (0.00, 0.15), "overfitting"),
        ((0.02, 0.10), (0.30, 0.35), "degradation"),
        ((0.02, 0.10), (0.04, 0.09), "degradation"),
        ((0.05, 0.10), (0.01, 0.06), "neither"),
        ((0.05, 0.10), (0.05, 0.12), "overfitting"),
    ]
    for shallow, deep, expected in cases:
        found = answer(shallow, deep)
        if found != expected:
            raise Wrong(
                f"Errors (training, validation) are {shallow} shallow and {deep} deep: that is"
                f" {expected}, found {found!r}. Look at the training error first: a deeper network"
                " that cannot even fit what it is shown has not overfitted."
            )
    return f"{len(cases)} pairs of networks."


@check
def sum_of_ranks(answer: Callable[..., Any]) -> str:
    """The gradient of a whole batch from those of its parts, which differ in size."""
    rng = np.random.default_rng(0)
    for sizes in ((4, 4), (6, 2), (5, 1, 3)):
        x = rng.standard_normal((sum(sizes), 3))
        y = rng.integers(0, 2, sum(sizes))
        layer = nn.Linear(3, 2).to("float64")

        def gradient(images: Any, labels: Any, layer: nn.Linear = layer) -> Any:
            layer.weight.grad = None
            ops.cross_entropy(layer(ops.tensor(images)), ops.tensor(labels)).backward()
            assert layer.weight.grad is not None
            return layer.weight.grad.numpy().copy()

        ends = np.cumsum((0, *sizes))
        parts = [gradient(x[a:b], y[a:b]) for a, b in itertools.pairwise(ends)]
        whole = gradient(x, y)
        found = np.asarray(answer([part.copy() for part in parts], list(sizes)))
        if found.shape != whole.shape or not np.allclose(found, whole):
            raise Wrong(
                f"Parts of {', '.join(map(str, sizes))} images: the whole batch's gradient has norm"
                f" {np.linalg.norm(whole):.4f}, found {np.linalg.norm(found):.4f}. The loss is a"
                " mean over images, so each part counts as much as its share of them."
            )
    return "Equal to the whole batch's gradient, for two and three ranks."
