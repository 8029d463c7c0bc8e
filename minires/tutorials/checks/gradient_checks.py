"""Checks of tutorial 6, on checking gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires.checking import gradcheck

from ..exercise import Wrong, check


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _softmax_vjp(g: Any, x: Any) -> Any:
    p = _softmax(x)
    return p * (g - (g * p).sum(axis=-1, keepdims=True))


def _wrong_at_the_end(g: Any, x: Any) -> Any:
    gradient = 2 * x * g
    gradient[-1, -1] += 1
    return gradient


_CASES: tuple[tuple[str, bool, Callable[..., Any], Callable[..., Any]], ...] = (
    ("tanh", True, np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2)),
    ("a softmax", True, _softmax, _softmax_vjp),
    ("a mean", True, lambda x: x.mean(axis=0), lambda g, x: np.broadcast_to(g / len(x), x.shape)),
    ("tanh without its slope", False, np.tanh, lambda g, x: g),
    ("a softmax whose gradient is always zero", False, _softmax, lambda g, x: np.zeros(x.shape)),
    ("a cube that is off by a per cent", False, lambda x: x**3, lambda g, x: 3.03 * g * x * x),
    ("a square that is wrong in its last entry alone", False, np.square, _wrong_at_the_end),
    ("a sine with the wrong sign", False, np.sin, lambda g, x: -g * np.cos(x)),
)


@check
def is_right(answer: Callable[..., Any]) -> str:
    """A gradient checker, against right and wrong gradients."""
    rng = np.random.default_rng(0)
    for name, expected, forward, vjp in _CASES:
        for _ in range(3):
            found = bool(answer(forward, vjp, rng.standard_normal((3, 4))))
            if found != expected:
                said = "right" if found else "wrong"
                raise Wrong(f"It calls {said}: {name}. Look at the step, and at the cotangent.")
    return f"{len(_CASES)} gradients, three times each."


@check
def gives_away(answer: Any) -> str:
    """An input at which a wrong gradient of abs shows."""
    x = np.asarray(answer, dtype=np.float64)

    def wrong_vjp(g: Any, x: Any) -> Any:
        return g * np.where(x > -3, np.sign(x), 1.0)

    report = gradcheck((np.abs, wrong_vjp), x)
    if report.status != "wrong":
        raise Wrong(
            f"There gradcheck says {report.status!r}. For which x does the formula differ from the"
            " sign of x?"
        )
    return "gradcheck says that it is wrong there."
