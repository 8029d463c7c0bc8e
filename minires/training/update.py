"""What one step does: the gradient of a batch, perhaps taken in parts, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from minires.autograd import Tensor, no_grad
from minires.nn import Module
from minires.nn.utils import clip_grad_norm_
from minires.ops import add, concatenate
from minires.ops import sum as total_of
from minires.optim import Optimizer

from .divergence import DivergedError, diverged
from .ema import EMA
from .evaluation import Loss
from .ledger import Measured
from .ranks import Ranks, apart


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
    ranks : Ranks, optional
        The other ranks, if a batch is spread over several.
    """

    model: Module
    optimizer: Optimizer
    loss: Loss
    accumulate: int = 1
    clip_grad_norm: float | None = None
    ema: EMA | None = None
    on_gradients: Callable[[], None] | None = None
    anomaly: bool = False
    ranks: Ranks | None = None

    def parts(self, images: Tensor, labels: Tensor) -> list[Part]:
        """Cut a batch into `accumulate` parts, whose sizes differ by one at most.

        Several ranks all cut their parts of it into equally many.
        """
        count = len(labels.data)
        counts = [count] if self.ranks is None else self.ranks.counts(count)
        number, whole = max(1, min(self.accumulate, *counts)), sum(counts)
        if number == 1:
            return [Part(images, labels, count / whole if whole else 1.0)]
        cuts = [count * part // number for part in range(number + 1)]
        return [
            Part(images[start:stop], labels[start:stop], (stop - start) / whole)
            for start, stop in pairwise(cuts)
        ]

    def forward(self, part: Part) -> tuple[Tensor, Tensor]:
        """Return a part's logits, and what it adds to the batch's mean loss."""
        logits = self.model(part.images)
        if not part.share:  # no image, of which there is no mean; but other ranks may wait for us
            return logits, total_of(logits)
        loss = self.loss(logits, part.labels)
        return logits, loss if part.share == 1 else loss * part.share

    def cost(self, part: Part, logits: Tensor, loss: Tensor) -> Measured:
        """Return what a part adds to the batch's mean loss, its mistakes and images; of all ranks.

        The device is waited for.
        """
        value, labels = float(loss.item()), part.labels.data
        mistakes = int(logits.device.mistakes(logits.detach().data, labels))
        own = Measured(value, mistakes, len(labels))
        return own if self.ranks is None else self.ranks.together(own)

    def diverged(self, images: Tensor, parts: list[Part], **circumstances: Any) -> DivergedError:
        """Find out why the loss of a batch is not finite; the last of `parts` made it so."""

        def forward() -> None:
            for part in parts:
                try:
                    self.forward(part)
                except ValueError:  # one value may have no variance where the others' are missing
                    if self.ranks is None:
                        raise

        # Each rank looks for itself: one may have found the reason where another goes on.
        with apart(self.model):
            error = diverged(self.model, forward, images, **circumstances)
        return error if self.ranks is None else self.ranks.agree(error)

    def apply(self) -> None:
        """Change the parameters by the gradients."""
        if self.ranks is not None:
            self.ranks.add_up(self.optimizer)
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
