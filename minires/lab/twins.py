"""Making a plain network and its residual twin, and training one of them."""

from __future__ import annotations

import math
from typing import Any

from minires.data import Split
from minires.models import CifarResNet, cifar_plain, cifar_resnet
from minires.training import Callback, Trainer

from .learning import learn
from .run import Run, TwinKind
from .settings import Settings
from .watching import Watcher


def make_twins(depth: int, settings: Settings, split: Split) -> dict[TwinKind, CifarResNet]:
    """Make the plain and the residual network of one depth, equal in every initial number.

    The residual twin has shortcuts of option A (identity, padded with zero channels), which have
    no parameters.

    Parameters
    ----------
    depth : int
    settings : Settings
    split : Split
        Tells the images' channels and the number of classes.

    Raises
    ------
    RuntimeError
        If they are not twins: the comparison would not be fair.
    """
    common: dict[str, Any] = {
        "width": settings.width,
        "in_channels": split.channels,
        "num_classes": split.classes,
        "seed": settings.seed,
    }
    twins: dict[TwinKind, CifarResNet] = {
        "plain": cifar_plain(depth, **common),
        "residual": cifar_resnet(depth, "A", **common),
    }
    check_twins(twins["plain"], twins["residual"])
    return twins


def check_twins(plain: CifarResNet, residual: CifarResNet) -> None:
    """Make sure that two networks have the same parameters, to the bit.

    Raises
    ------
    RuntimeError
        Naming the first difference.
    """
    ours, theirs = plain.state_dict(), residual.state_dict()
    if ours.keys() != theirs.keys():
        odd = sorted(ours.keys() ^ theirs.keys())
        raise RuntimeError(f"these networks are no twins: only one of them has {odd[0]!r}")
    for name, value in ours.items():
        if value.shape != theirs[name].shape or not (value == theirs[name]).all():
            raise RuntimeError(f"these networks are no twins: they start with different {name!r}")


def train_twin(
    model: CifarResNet,
    twin: TwinKind,
    settings: Settings,
    split: Split,
    watcher: Watcher,
) -> Run:
    """Train one network by the recipe; return its record.

    A network that diverges is a result like any other: it is recorded, not raised.
    """
    run = Run(model.depth, twin)
    watcher.twin_began(run)
    learn(
        model,
        split,
        settings.recipe,
        seed=settings.seed,
        device=settings.device,
        callbacks=[_News(run, watcher)],
        into=run,
    )
    watcher.twin_ended(run)
    return run


class _News(Callback):
    """Passes on how it goes."""

    def __init__(self, run: Run, watcher: Watcher) -> None:
        self.run = run
        self.watcher = watcher

    def on_step(self, trainer: Trainer, step: int) -> None:
        # The newest loss that is known: on a GPU, asking the trainer would wait for this step's.
        loss = self.run.loss[-1] if self.run.loss else math.nan
        self.watcher.step_done(trainer.epoch + 1, step, loss)

    def on_epoch(self, trainer: Trainer, epoch: int) -> None:
        self.watcher.epoch_done(self.run)
