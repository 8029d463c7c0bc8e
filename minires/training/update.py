"""What one step does: the gradient of a batch, perhaps taken in parts, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from minires.autograd import Tensor, no_grad
from minires.nn import Module
from minires.nn.utils import clip_grad_norm_
from minires.ops import add, concatenate
from minires.optim import Optimizer

from .ema import EMA

Loss = Callable[[Tensor, Tensor], Tensor]


class Part(NamedTuple):
    """Some images of a batch, their labels, and which share of the batch they are."""

    images: Tensor
    labels: Tensor
    share: float


@dataclass(frozen=True)
class Update:
    """What a step is made of; how it is taken is told in `steps`.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
    loss : callable
    accumulate, clip_grad_norm, ema
        As for `Trainer`.
    on_gradients : callable, optional
        Called when every gradient is complete, before it is clipped and used.
    anomaly : bool
        As for `Trainer`; looked for by `CheckedSteps`.
    """

    model: Module
    optimizer: Optimizer
    loss: Loss
    accumulate: int = 1
    clip_grad_norm: float | None = None
    ema: EMA | None = None
    on_gradients: Callable[[], None] | None = None
    anomaly: bool = False

    def parts(self, images: Tensor, labels: Tensor) -> list[Part]:
        """Cut a batch into `accumulate` parts, whose sizes differ by one at most."""
        count = len(labels.data)
        number = max(1, min(self.accumulate, count))
        if number == 1:
            return [Part(images, labels, 1.0)]
        cuts = [count * part // number for part in range(number + 1)]
        return [
            Part(images[start:stop], labels[start:stop], (stop - start) / count)
            for start, stop in pairwise(cuts)
        ]

    def forward(self, part: Part) -> tuple[Tensor, Tensor]:
        """Return a part's logits, and what it adds to the batch's mean loss."""
        logits = self.model(part.images)
        loss = self.loss(logits, part.labels)
        return logits, loss if part.share == 1 else loss * part.share

    def apply(self) -> None:
        """Change the parameters by the gradients."""
        if self.on_gradients is not None:
            self.on_gradients()
        if self.clip_grad_norm is not None:
            groups = self.optimizer.param_groups
            clip_grad_norm_([p for group in groups for p in group["params"]], self.clip_grad_norm)
        self.optimizer.step()

    def average(self) -> None:
        """Let the moving average follow; on a GPU, beside a graph, for its share changes."""
        if self.ema is not None:
            self.ema.update(self.model)


def joined(outcomes: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return a batch's logits and loss from those of its parts."""
    if len(outcomes) == 1:
        return outcomes[0]
    with no_grad():
        total = outcomes[0][1]
        for _, loss in outcomes[1:]:
            total = add(total, loss)
        return concatenate([logits for logits, _ in outcomes]), total
