"""Checks of tutorial 4, on pooling, and the gradient of cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops

from ..exercise import Wrong, check


@check
def cross_entropy_gradient(answer: Callable[..., Any]) -> str:
    """The gradient of the mean cross-entropy in the logits."""
    rng = np.random.default_rng(0)
    for n, classes, scale in [(5, 4, 1.0), (1, 3, 1.0), (4, 3, 3000.0)]:
        values, labels = scale * rng.standard_normal((n, classes)), rng.integers(0, classes, n)
        logits = ops.tensor(values, requires_grad=True)
        ops.cross_entropy(logits, ops.tensor(labels)).backward()
        assert logits.grad is not None
        expected = logits.grad.numpy()
        found = np.asarray(answer(values.copy(), labels.copy()))
        if found.shape != expected.shape:
            raise Wrong(
                f"It should have the shape of the logits, {expected.shape}; found {found.shape}."
            )
        if not np.isfinite(found).all():
            raise Wrong(
                f"With logits around {scale:g} it is not finite: subtract the largest logit of each"
                " row before the exponential."
            )
        if n > 1 and np.allclose(found, expected * n):
            raise Wrong(f"It is {n} times too large: the loss is the mean over {n} images.")
        if not np.allclose(found, expected):
            sums = float(np.abs(found.sum(axis=1)).max())
            hint = (
                " Its rows should sum to zero: softmax goes along the classes."
                if sums > 1e-6
                else ""
            )
            raise Wrong(f"For {n} images and {classes} classes it differs from p - t.{hint}")
    return "Compared with minires' gradient, also for logits in the thousands."


@check
def max_pool_vjp(answer: Callable[..., Any]) -> str:
    """The way back through the maximum of 2x2 windows."""
    rng = np.random.default_rng(0)
    for h, w in [(2, 2), (4, 6), (6, 4)]:
        values = rng.permutation(h * w).reshape(h, w).astype(float)
        g = rng.standard_normal((h // 2, w // 2))
        x = ops.tensor(values[None, None], requires_grad=True)
        ops.max_pool2d(x, 2).backward(ops.tensor(g[None, None]))
        assert x.grad is not None
        expected = x.grad.numpy()[0, 0]
        found = np.asarray(answer(g.copy(), values.copy()))
        if found.shape != expected.shape:
            raise Wrong(f"It should have the shape of x, {expected.shape}; found {found.shape}.")
        if not np.allclose(found, expected):
            raise Wrong(
                f"For x of shape {(h, w)}, {int((found != 0).sum())} pixels receive something, and"
                f" {int((expected != 0).sum())} should: in each window the largest receives all of"
                " that window's gradient, the others nothing."
            )
    return "Compared with minires' gradient for three sizes."
