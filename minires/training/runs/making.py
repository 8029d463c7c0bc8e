"""A run's network, optimiser and trainer, made from its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from minires import devices, models, ops
from minires.autograd import Tensor
from minires.data import WorkerError
from minires.devices.communicator import Communicator
from minires.nn import Module, checkpoint_blocks
from minires.optim import SGD, Optimizer
from minires.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    ReduceLROnPlateau,
    SequentialLR,
    WarmUpUntil,
)
from minires.training import EMA, Callback, LRCurve, Trainer, lr_find

from .batches import batches_of, seen
from .config import RunConfig
from .errors import ConfigError, RunError
from .fine_tuning import begin_with, freeze

__all__ = [
    "made_model",
    "made_schedule",
    "made_trainer",
    "rising_rates",
    "threads_of",
    "total_steps",
]


def made_model(
    config: RunConfig,
    classes: int,
    channels: int,
    size: tuple[int, int],
    images: int | None = None,
    ranks: int = 1,
) -> Module:
    """Make the network, as it is drawn by the run's seed.

    Parameters
    ----------
    config : RunConfig
    classes, channels : int
    size : (int, int)
        Height and width of the images.
    images : int, optional
        How many there are to train on; one that is left for the last batch may be too few.
    ranks : int
        That share the batches out.

    Raises
    ------
    ConfigError
        If there is no such network or device, or it does not take such images.
    """
    try:
        devices.get(config.device)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(f"device: {error}") from None
    options: dict[str, Any] = {
        "num_classes": classes,
        "in_channels": channels,
        **config.model_options,
    }
    try:
        plan = models.create(config.model, device="meta", **options).train()
        logits = plan(ops.zeros(2, channels, *size, device="meta"))
        if not isinstance(logits, Tensor):
            raise ValueError("auxiliary heads have no place in a run; take a network without any")
    except Exception as error:  # whatever a network makes of options and images
        raise ConfigError(
            f"model: {config.model}, of images {channels}x{size[0]}x{size[1]} and {classes}"
            f" classes: {error}"
        ) from None
    if images is not None and 1 in _images_at_once(config, images, ranks):
        try:
            plan(ops.zeros(1, channels, *size, device="meta"))
        except ValueError:
            raise ConfigError(
                f"batch_size: of {images:,} images, in batches of {config.batch_size:,}, one is"
                f" left alone in a batch or a part of one, of which {config.model} cannot learn:"
                " batch normalisation needs two where its maps are a single pixel; take another"
                " batch_size, or fewer parts"
            ) from None
    model = models.create(config.model, seed=config.seed, **options)
    if config.checkpoint_blocks:
        try:
            checkpoint_blocks(model)
        except ValueError as error:
            raise ConfigError(f"checkpoint_blocks: {error}") from None
    return model.to(config.dtype).to(config.device)


def _images_at_once(config: RunConfig, images: int, ranks: int) -> set[int]:
    """Return how many images the smallest parts of a run's batches have that see each other."""
    whole = min(config.batch_size, images)
    batches = {whole}
    if config.steps is None or config.steps * whole >= images:  # the last of an epoch is met
        batches.add(images % whole or whole)

    def at_once(batch: int) -> int:
        own = max(batch // ranks, 1)
        return (batch if config.sync_bn else own) // min(config.accumulate, own)

    return {at_once(batch) for batch in batches}


def made_trainer(
    config: RunConfig,
    model: Module,
    steps: int,
    callbacks: Sequence[Callback] = (),
    ranks: Communicator | None = None,
) -> Trainer:
    """Make what trains the network.

    Parameters
    ----------
    config : RunConfig
    model : Module
        Parameters that require no gradient are left as they are.
    steps : int
        Of the whole training.
    callbacks : sequence of Callback
    ranks : Communicator, optional
        That train together.
    """
    optimizer = SGD(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )
    return Trainer(
        model,
        optimizer,
        made_schedule(config, optimizer, steps),
        callbacks,
        loss=partial(ops.cross_entropy, label_smoothing=config.label_smoothing),
        schedule="step",
        accumulate=config.accumulate,
        clip_grad_norm=config.clip,
        ema=None if config.ema is None else EMA(model, config.ema),
        communicator=ranks,
    )


def total_steps(config: RunConfig, steps_per_epoch: int) -> int:
    """Return how many steps a run takes, unless it is stopped early."""
    return config.steps or (config.epochs or 0) * steps_per_epoch


def made_schedule(config: RunConfig, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Make what sets the rate before each of so many steps.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.training.runs.recipes import configured
    >>> config = configured("cifar_resnet20", "cifar10")
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=config.lr)
    >>> schedule = made_schedule(config, optimizer, steps=64_000)
    >>> [round(schedule.lr_at(step, config.lr), 4) for step in (31_999, 32_000, 48_000)]
    [0.1, 0.01, 0.001]
    """
    warm_up = config.warm_up_steps
    factor = (config.warm_up_lr or config.lr) / config.lr
    rest = _after_warm_up(config, optimizer, steps, warm_up)
    if config.warm_up_error is not None:
        return WarmUpUntil(optimizer, rest, factor, config.warm_up_error)
    if not warm_up:
        return rest
    gentle = LinearLR(optimizer, factor, factor, warm_up)
    return SequentialLR(optimizer, [gentle, rest], [warm_up])


def _after_warm_up(
    config: RunConfig, optimizer: Optimizer, steps: int, warm_up: int
) -> LRScheduler:
    """Make the schedule that counts from the end of the warm-up."""
    if config.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, factor=config.gamma, patience=config.patience)
    if config.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=max(steps - warm_up, 1))
    milestones = [round(share * steps) - warm_up for share in config.milestones]
    return MultiStepLR(optimizer, milestones, config.gamma)


def rising_rates(config: RunConfig, start: float, end: float, steps: int) -> LRCurve:
    """Carry out `minires.training.lr_find` as a run would begin; nothing is written.

    Parameters
    ----------
    config : RunConfig
    start, end : float
        The first and the last rate.
    steps : int
        How many there are.

    Raises
    ------
    ConfigError, OSError
        As `minires.training.runs.train`.
    RunError
        If an image cannot be read.
    ValueError
        If the rates do not rise.
    """
    batches = batches_of(config)
    split = batches.split
    with threads_of(config):
        model = made_model(config, split.classes, split.channels, seen(config, split))
        if config.weights is not None:
            begin_with(model, config.weights)
        freeze(model, config.freeze)
        devices.random.manual_seed(config.seed)
        trainer = made_trainer(config, model, total_steps(config, len(batches.train)))
        try:
            return lr_find(
                model,
                trainer.optimizer,
                batches.train,
                loss=trainer.loss,
                start=start,
                end=end,
                steps=steps,
            )
        except WorkerError as error:
            raise RunError(str(error)) from error


@contextmanager
def threads_of(config: RunConfig) -> Iterator[None]:
    """Let the kernels have the threads of a run inside the block."""
    before = devices.get_num_threads()
    if config.threads is not None:
        devices.set_num_threads(config.threads)
    try:
        yield
    finally:
        if config.threads is not None:
            devices.set_num_threads(before)
