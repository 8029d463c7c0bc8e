"""Training a network by a recipe, and what is recorded of it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple

from minires.data import DataLoader, Split
from minires.data.transforms import Compose, RandomCrop, RandomHorizontalFlip
from minires.nn import Module, parameter_count
from minires.ops import cross_entropy
from minires.optim import SGD
from minires.optim.lr_scheduler import LRScheduler, MultiStepLR, WarmUpUntil
from minires.training import Callback, DivergedError, GradientNorms, Trainer

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    It is that of He et al. 2015 (arXiv 1512.03385, section 4.2), in small unless told otherwise:
    stochastic gradient descent with momentum, a learning rate that falls to a tenth after one half
    and again after three quarters of the training, no dropout.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate, momentum, weight_decay : float
    falls : tuple of float
        After which shares of the training the learning rate falls,
    factor : float
        and by what it is multiplied then.
    nesterov : bool
        Nesterov's momentum.
    warm_up : bool
        Begin at a tenth of the learning rate, until fewer than 80 % of an epoch's images are wrong.
    augment : bool
        Pad images by 4 pixels, cut them out at random, and mirror half of them.
    measure_every : int
        Errors are measured after every so many epochs, and after the last.
    norms_every : int
        Gradient norms are kept of every so many-th step; 0 for none.

    Examples
    --------
    >>> Recipe(epochs=12).milestones
    [6, 9]
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    falls: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1
    nesterov: bool = False
    warm_up: bool = False
    augment: bool = False
    measure_every: int = 1
    norms_every: int = 0

    @property
    def milestones(self) -> list[int]:
        """How many epochs are done when the learning rate falls, and again."""
        return [math.ceil(round(self.epochs * share, 9)) for share in self.falls]


# He et al. 2015, section 4.2: 64,000 iterations of 128 images, on all of CIFAR-10's 50,000.
# ResNet-110 begins more gently.
PUBLISHED = Recipe(epochs=164, batch_size=128, augment=True, measure_every=4, norms_every=391)
PUBLISHED_110 = replace(PUBLISHED, warm_up=True)


class GradientSize(NamedTuple):
    """The gradient norm of one layer, at two moments.

    Attributes
    ----------
    layer : str
        The layer's path in the model.
    first_step : float
        At the first step, where all weights are as they were drawn.
    last_epoch : float
        The median over the last epoch's worth of steps.
    """

    layer: str
    first_step: float
    last_epoch: float


@dataclass(kw_only=True)
class Learned:
    """The record of a network's training.

    Attributes
    ----------
    parameters : int
        How many numbers are learned.
    classes : int
    steps_per_epoch : int
    loss : list of float
        Of every step's batch, before the step.
    learning_rate, batch_error : list of float
        Of every epoch. The batch error is measured in training mode, on each batch just before it
        is learned from.
    measured : list of int
        The epochs, from 1, after which the four that follow were measured.
    train_error, train_loss, test_error, test_loss : list of float
        Of the network as it is after those epochs, on the whole training or test set, in evaluation
        mode. Errors are shares, 0 to 1.
    layers : list of str
        The convolutions and the linear layers, from the input on.
    norm_steps : list of int
        The steps, from 1, whose gradient norms were kept.
    gradient_norms : list of list of float
        For each of those the Euclidean norm of each layer's weight gradient.
    images_per_second : float
        While training; measuring is not counted.
    seconds : float
        In all.
    diverged : str
        "" if it did not; else what was found.
    diverged_at : int or None
        The step whose loss was no number.
    weights : dict
        The model's final state, as host arrays by name.
    """

    parameters: int = 0
    classes: int = 0
    steps_per_epoch: int = 1
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    batch_error: list[float] = field(default_factory=list)
    measured: list[int] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    test_error: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    norm_steps: list[int] = field(default_factory=list)
    gradient_norms: list[list[float]] = field(default_factory=list)
    images_per_second: float = 0.0
    seconds: float = 0.0
    diverged: str = ""
    diverged_at: int | None = None
    weights: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def final_train_error(self) -> float | None:
        """Share of the training images that the trained network gets wrong; None if it diverged."""
        return None if self.diverged or not self.train_error else self.train_error[-1]

    @property
    def final_test_error(self) -> float | None:
        """The same of the test images."""
        return None if self.diverged or not self.test_error else self.test_error[-1]

    def gradient_size(self, layer: int) -> GradientSize | None:
        """Return the gradient norms of the layer with this number; None if no step was taken."""
        if not self.gradient_norms:
            return None
        column = [norms[layer] for norms in self.gradient_norms]
        last = median(column[-self.steps_per_epoch :])
        return GradientSize(self.layers[layer], column[0], last)

    def record(self) -> dict[str, Any]:
        """Return what experiments keep of it: a diverged network errs as often as who guesses."""
        guessing = 1 - 1 / max(self.classes, 1)
        train, test = self.final_train_error, self.final_test_error
        return {
            "parameters": self.parameters,
            "final_train_error": guessing if train is None else train,
            "final_test_error": guessing if test is None else test,
            "diverged": self.diverged,
            "epochs": self.measured,
            "train_error": self.train_error,
            "test_error": self.test_error,
            "train_loss": self.train_loss,
            "batch_error": self.batch_error,
            "layers": self.layers if self.gradient_norms else [],
            "norm_steps": self.norm_steps,
            "gradient_norms": self.gradient_norms,
            "images_per_second": self.images_per_second,
        }


def learn(
    model: Module,
    split: Split,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    callbacks: Sequence[Callback] = (),
    loss: Any = cross_entropy,
    into: Learned | None = None,
) -> Learned:
    """Train a network by a recipe, measure it, and return the record.

    A network that diverges is a result like any other: it is recorded, not raised.

    Parameters
    ----------
    model : Module
        Maps images (N, C, H, W) to logits (N, classes).
    split : Split
        Normalised images in memory.
    recipe : Recipe
    seed : int
        Of the order of the images.
    device : str
    callbacks : sequence of Callback
        Also looking on; called after the record is brought up to date.
    loss : callable
    into : Learned, optional
        The record to fill, for who looks on; by default a new one.

    Returns
    -------
    Learned
    """
    run = Learned() if into is None else into
    augmented = None
    if recipe.augment and split.image_size:
        augmented = Compose([RandomCrop(split.image_size, padding=4), RandomHorizontalFlip()])
    batches = DataLoader(
        split.train,
        recipe.batch_size,
        shuffle=True,
        seed=seed,
        transform=augmented,
    )
    run.parameters, run.classes = parameter_count(model), split.classes
    run.steps_per_epoch = len(batches)
    model.to(device)
    optimizer = SGD(
        model.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )
    scheduler: LRScheduler = MultiStepLR(optimizer, recipe.milestones, recipe.factor)
    if recipe.warm_up:
        scheduler = WarmUpUntil(optimizer, scheduler)
    looking: list[Callback] = [_Errors(run, split, recipe)]
    if recipe.norms_every:
        norms = GradientNorms(model, recipe.norms_every)
        looking.insert(0, norms)
        run.layers, run.norm_steps, run.gradient_norms = norms.layers, norms.steps, norms.norms
    trainer = Trainer(
        model,
        optimizer,
        scheduler,
        [*looking, *callbacks],
        loss=loss,
    )
    # The lists grow while it trains, and whoever looks on can read them.
    history = trainer.history
    run.loss, run.batch_error = history.loss, history.epoch_error
    run.learning_rate = history.learning_rate
    start = time.perf_counter()
    try:
        trainer.fit(batches, recipe.epochs)
    except DivergedError as error:
        run.diverged, run.diverged_at = str(error), error.step
    run.seconds = time.perf_counter() - start
    run.weights = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    return run


class _Errors(Callback):
    """Measures the network after some epochs, and the last."""

    def __init__(self, run: Learned, split: Split, recipe: Recipe) -> None:
        self.run, self.recipe = run, recipe
        self.train = DataLoader(split.train, _EVALUATION_BATCH)
        self.test = DataLoader(split.test, _EVALUATION_BATCH)

    def on_epoch(self, trainer: Trainer, epoch: int) -> None:
        history = trainer.history
        self.run.images_per_second = sum(history.images) / max(sum(history.seconds), 1e-9)
        if epoch % self.recipe.measure_every and epoch != self.recipe.epochs:
            return
        train, test = trainer.evaluate(self.train), trainer.evaluate(self.test)
        self.run.measured.append(epoch)
        self.run.train_error.append(train.error)
        self.run.train_loss.append(train.loss)
        self.run.test_error.append(test.error)
        self.run.test_loss.append(test.loss)
