"""Checks of tutorial 20, on an op of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops
from minires.checking import gradcheck
from minires.checking.report import GradcheckReport

from ..exercise import Wrong, check


@check
def softsign_vjp(answer: Callable[..., Any]) -> str:
    """The VJP of x / (1 + |x|), by differences."""
    x = np.array([[-3.0, -0.4, 0.7], [0.05, 2.0, 11.0]])
    _must_use_g(answer(np.ones_like(x), x), answer(2 * np.ones_like(x), x))
    report = gradcheck((lambda x: x / (1 + abs(x)), _pair(answer)), x)
    if not report:
        raise Wrong(
            f"{_worst(report)} With u = 1 + |x| the derivative is 1 / u², for the slope of |x| has"
            " a part in it as well."
        )
    return "Compared with differences at six places, with a random g."


@check
def channel_scale_vjp(answer: Callable[..., Any]) -> str:
    """The VJP of x * s, where s has one number for each channel."""
    rng = np.random.default_rng(0)
    for shape in ((2, 3, 4, 5), (3, 3, 2, 2), (1, 4, 1, 2)):
        x, s, g = (rng.standard_normal(each) for each in (shape, shape[1], shape))
        found = [np.asarray(each) for each in answer(g.copy(), x.copy(), s.copy())]
        if [each.shape for each in found] != [x.shape, s.shape]:
            raise Wrong(
                f"x {x.shape} and s {s.shape} need gradients of their own shapes; found"
                f" {' and '.join(str(each.shape) for each in found)}. s was used at every image and"
                " pixel: what arrives there is added."
            )
        for one, two in zip(found, answer(2 * g, x, s), strict=True):
            _must_use_g(one, two)
        report = gradcheck((lambda x, s: x * s[:, None, None], _several(answer)), [x, s])
        if not report:
            raise Wrong(f"For x of shape {shape}: {_worst(report)}")
    return "Three shapes, in both inputs."


@check
def log_sum_exp_twin(answer: Callable[..., Any]) -> str:
    """A twin of log(sum(exp(x))) over the last axis, in ops."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4))
    with np.errstate(over="ignore", invalid="ignore"):
        for values in (x, x + 1000, x - 1000):
            expected = np.logaddexp.reduce(values, axis=-1)
            result = answer(ops.tensor(values))
            found = np.asarray(result.numpy() if hasattr(result, "numpy") else result)
            if found.shape != expected.shape:
                raise Wrong(f"(3, 4) becomes {expected.shape}; found {found.shape}.")
            if not np.allclose(found, expected):
                raise Wrong(
                    f"Around {values.mean():.0f} the first is {expected[0]:.4f}, found"
                    f" {found[0]:.4f}. exp of a large number is infinite, of a very negative one 0:"
                    " take out the maximum first, and add it again."
                )
    if not getattr(answer(ops.tensor(x, requires_grad=True)), "requires_grad", False):
        raise Wrong(
            "The values are right, but nothing was recorded, and no gradient finds its way back. A"
            " twin gets Tensors, and stays with ops."
        )
    report = gradcheck(answer, ops.tensor(x), order=2)
    if not report:
        raise Wrong(f"The values are right; the gradient is not. {_worst(report)}")
    return "Values at three sizes, and gradients to second order."


def _pair(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a VJP of one input as the gradient checker wants it; a tuple of one will do."""

    def vjp(g: Any, x: Any) -> tuple[Any]:
        found = answer(g, x)
        return (np.asarray(found[0] if isinstance(found, tuple) else found),)

    return vjp


def _several(answer: Callable[..., Any]) -> Callable[..., Any]:
    return lambda g, *inputs: tuple(np.asarray(each) for each in answer(g, *inputs))


def _must_use_g(one: Any, two: Any) -> None:
    """Raise unless a gradient doubles when the incoming gradient does."""
    if not np.allclose(2 * np.asarray(one), np.asarray(two)):
        raise Wrong(
            "With g twice as large the gradient must be twice as large; here it is not. A VJP is a"
            " derivative *times* what comes in: that is the chain rule."
        )


def _worst(report: GradcheckReport) -> str:
    """Say in a sentence where a gradient is most wrong."""
    if report.problem or report.worst is None or report.worst.worst is None:
        return report.problem or "The gradients differ."
    entry = report.worst.worst
    return (
        f"In the gradient of {report.worst.title}, at {entry.index}, the answer says"
        f" {entry.analytic:.4g}, differences say {entry.numeric:.4g}."
    )
