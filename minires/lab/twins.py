"""Making a plain network and its residual twin, and training one of them."""

from __future__ import annotations

import math
import time
from typing import Any

from minires.data import DataLoader, Split
from minires.models import CifarResNet, cifar_plain, cifar_resnet
from minires.nn import parameter_count
from minires.optim import SGD
from minires.optim.lr_scheduler import MultiStepLR
from minires.training import Callback, DivergedError, GradientNorms, Trainer

from .run import Run, TwinKind
from .settings import Settings
from .watching import Watcher

_EVALUATION_BATCH = 256


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
    batches = DataLoader(split.train, settings.batch_size, shuffle=True, seed=settings.seed)
    count = parameter_count(model)
    run = Run(model.depth, twin, parameters=count, steps_per_epoch=len(batches))
    model.to(settings.device)
    optimizer = SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    norms = GradientNorms(model)
    recorder = _Recorder(run, split, watcher)
    trainer = Trainer(
        model, optimizer, MultiStepLR(optimizer, settings.milestones), [norms, recorder]
    )
    # The lists grow while it trains, and whoever looks on can read them.
    history = trainer.history
    run.loss, run.batch_error = history.loss, history.epoch_error
    run.learning_rate = history.learning_rate
    run.layers, run.gradient_norms = norms.layers, norms.norms
    watcher.twin_began(run)
    start = time.perf_counter()
    try:
        trainer.fit(batches, settings.epochs)
    except DivergedError as error:
        run.diverged, run.diverged_at = str(error), error.step
    run.seconds = time.perf_counter() - start
    run.weights = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    watcher.twin_ended(run)
    return run


class _Recorder(Callback):
    """Measures the network after every epoch, and passes the news on."""

    def __init__(self, run: Run, split: Split, watcher: Watcher) -> None:
        self.run = run
        self.watcher = watcher
        self.train = DataLoader(split.train, _EVALUATION_BATCH)
        self.test = DataLoader(split.test, _EVALUATION_BATCH)

    def on_step(self, trainer: Trainer, step: int) -> None:
        # The newest loss that is known: on a GPU, asking the trainer would wait for this step's.
        loss = self.run.loss[-1] if self.run.loss else math.nan
        self.watcher.step_done(trainer.epoch + 1, step, loss)

    def on_epoch(self, trainer: Trainer, epoch: int) -> None:
        train, test = trainer.evaluate(self.train), trainer.evaluate(self.test)
        self.run.train_error.append(train.error)
        self.run.train_loss.append(train.loss)
        self.run.test_error.append(test.error)
        self.run.test_loss.append(test.loss)
        history = trainer.history
        self.run.images_per_second = sum(history.images) / max(sum(history.seconds), 1e-9)
        self.watcher.epoch_done(self.run)
