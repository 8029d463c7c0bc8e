"""The gradient of a residual network by single paths, and by the number of branches crossed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minires.autograd import Tensor, grad
from minires.devices import Array
from minires.models.cifar import CifarResNet
from minires.nn import MeetingShortcut
from minires.ops import cross_entropy
from minires.trace import record
from minires.training.gradient_norms import norm


class Gate(MeetingShortcut):
    """Option A, at which the backward pass, and only this, may be told to take one side alone.

    Attributes
    ----------
    open : {"both", "shortcut", "branch"}
        By which side the gradient comes.
    """

    open = "both"

    def meet(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Return both sides; one that is shut is a constant to the backward pass."""
        shortcut = self.through(x)
        if self.open == "shortcut":
            return shortcut, branch.detach()
        return shortcut.detach() if self.open == "branch" else shortcut, branch


class GatedBatch:
    """The gradient of a network with gates at some images.

    Parameters
    ----------
    model : CifarResNet
        Its shortcuts are `Gate`.
    images : Tensor
        Requires a gradient.
    labels : array
    """

    def __init__(self, model: CifarResNet, images: Tensor, labels: Any) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.gates = [module for module in model.modules() if isinstance(module, Gate)]

    def _loss(self) -> Tensor:
        return cross_entropy(self.model(self.images), self.labels)

    def split(self) -> dict[str, Any]:
        """Take the gradient apart: at each block, and by the number of branches crossed."""
        with record(self.model, replay=True) as step:
            self._loss().backward()
        spectrum = step.path_spectrum(self.images)
        blocks = len(self.gates)
        forks = [fork for fork in step.forks() if fork.has_sides]
        return {
            "binomial": spectrum.paths == tuple(math.comb(blocks, k) for k in range(blocks + 1)),
            "inexact_forks": sum(fork.verdict != "exact" for fork in forks),
            "by_branch": [_rounded(fork.share("branch") or 0.0) for fork in forks],
            "error": _rounded(spectrum.residual),
            "shares": [_rounded(share or 0.0) for share in spectrum.shares],
        }

    def sample(self, step: int, count: int, random: np.random.Generator) -> dict[str, Any]:
        """Return the mean norm of the gradient that comes by one path alone, for some lengths.

        Parameters
        ----------
        step : int
            Every so many-th length is sampled,
        count : int
            by so many paths.
        random : numpy.random.Generator
        """
        blocks = len(self.gates)
        lengths = sorted({*range(0, blocks + 1, step), blocks})
        norms = []
        for length in lengths:
            # There is but one path of the least and of the greatest length.
            samples = count if 0 < length < blocks else 1
            paths = [random.choice(blocks, length, replace=False) for _ in range(samples)]
            norms.append(_rounded(np.mean([norm(self.along(path)) for path in paths])))
        return {"lengths": lengths, "norms": norms}

    def along(self, path: Iterable[int]) -> Array:
        """Return the gradient that comes through these branches, and around all others."""
        crossed = set(path)
        for number, gate in enumerate(self.gates):
            gate.open = "branch" if number in crossed else "shortcut"
        try:
            (gradient,) = grad(self._loss(), [self.images])
        finally:
            for gate in self.gates:
                gate.open = "both"
        assert gradient is not None  # else there would be no shortcut to come by
        return gradient.to("cpu").numpy()


def _rounded(value: Any) -> float:
    return float(f"{float(value):.4g}")
