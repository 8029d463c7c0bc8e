"""Checks of tutorial 21, on myths."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minires import ops
from minires.trace import record

from ..catalogue import root
from ..exercise import Wrong, check


@check
def verdicts(answer: Mapping[str, Any]) -> str:
    """Verdicts of statements, by their codes, against the audit's."""
    path = root() / "docs" / "lab" / "claims.json"
    audit = {each["code"]: each for each in json.loads(path.read_text(encoding="utf-8"))}
    if any(value is ... for value in answer.values()):
        raise Wrong("Some verdicts are still missing.")
    for code, verdict in answer.items():
        expected = "true" if audit[code]["verdict"] == "true" else "not true"
        if verdict not in ("true", "not true"):
            raise Wrong(f"{code}: a verdict is 'true' or 'not true', found {verdict!r}.")
        if verdict != expected:
            raise Wrong(
                f"{code}, “{audit[code]['statement']}” is {audit[code]['verdict']}, found"
                f" {verdict!r}. {audit[code]['correct']}"
            )
    return f"All {len(answer)} agree with the audit."


@check
def two_gradients(answer: Callable[..., Any]) -> str:
    """Gradients of a weight in the residual and in the plain form, at the same output."""
    for x, output, target in ((5.0, 5.0, 5.1), (5.0, 0.0, 5.1), (-2.0, 3.0, 1.0)):
        expected = []
        for residual in (True, False):
            start = output / x - residual  # so that both put out the same
            w = ops.tensor(np.float64(start), requires_grad=True)
            y = (1 + w) * x if residual else w * x
            (0.5 * (y - target) ** 2).backward()
            assert w.grad is not None
            expected.append(w.grad.item())
        found = [float(each) for each in answer(x, output, target)]
        if not np.allclose(found, expected):
            raise Wrong(
                f"At x = {x:g}, output {output:g} and target {target:g} the tape's gradients are"
                f" {expected[0]:.3g} (residual) and {expected[1]:.3g} (plain); found"
                f" {found[0]:.3g} and {found[1]:.3g}. By the chain rule: the loss's slope at the"
                " output, times the output's slope in the weight, which is x in both."
            )
    return "Compared with the tape at three places: both forms have the same gradient."


@check
def residual_block(answer: Callable[..., Any]) -> str:
    """A block that adds, and whose shortcut is clean; the tracer looks for it."""
    rng = np.random.default_rng(0)
    x = ops.tensor(rng.standard_normal((2, 3, 4, 4)), requires_grad=True)
    weight = ops.tensor(rng.standard_normal((3, 3, 3, 3)) / 5)

    def branch(h: Any) -> Any:
        return ops.conv2d(ops.relu(h), weight, padding=1)

    expected = x.numpy() + branch(x).numpy()
    with record() as trace:
        y = answer(x, branch)
        y.backward(ops.ones(*y.shape, dtype="float64"))
    if tuple(y.shape) != x.shape:
        raise Wrong(
            f"{x.shape} came in and {tuple(y.shape)} came out. The shortcut is *added*:"
            " channels are not joined."
        )
    still = np.asarray(answer(x.detach(), lambda h: 0 * h).numpy())
    if not np.allclose(still, x.numpy()):
        raise Wrong(
            "With a branch that puts out 0 the block should be the identity, for negative values as"
            " well; here something on the shortcut, or after the addition, changes x."
        )
    if not np.allclose(y.numpy(), expected):
        raise Wrong("The block should be x + branch(x); the values are others.")
    forks = [fork for fork in trace.forks() if fork.has_sides]
    if not forks:
        raise Wrong("The values are right. Write it with ops.residual_add, so that a trace knows.")
    sides = {part.side: part for part in forks[0].parts}
    around = sides["shortcut"].norm
    if not np.isclose(around, np.sqrt(x.numpy().size)):
        raise Wrong(
            "Around the branch the incoming gradient should come back as it is: swap sides."
        )
    return f"The trace finds its fork: shortcut {around:.3g}, branch {sides['branch'].norm:.3g}."
