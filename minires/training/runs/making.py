"""A run's network, optimiser and trainer, made from its configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minires import models, ops
from minires.nn import Module
from minires.optim import SGD, Optimizer
from minires.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR
from minires.training import Callback, Trainer

from .config import ConfigError, RunConfig

__all__ = ["made_model", "made_trainer", "total_steps"]


def made_model(config: RunConfig, classes: int, channels: int, size: tuple[int, int]) -> Module:
    """Make the network, as it is drawn by the run's seed.

    Parameters
    ----------
    config : RunConfig
    classes, channels : int
    size : (int, int)
        Height and width of the images.

    Raises
    ------
    ConfigError
        If there is no such network, or it does not take such images.
    """
    options: dict[str, Any] = {
        "num_classes": classes,
        "in_channels": channels,
        **config.model_options,
    }
    try:
        plan = models.create(config.model, device="meta", **options).eval()
        plan(ops.zeros(1, channels, *size, device="meta"))
    except Exception as error:  # whatever a network makes of options and images
        raise ConfigError(
            f"model: {config.model}, of images {channels}x{size[0]}x{size[1]} and {classes}"
            f" classes: {error}"
        ) from None
    model = models.create(config.model, seed=config.seed, **options)
    return model.to(config.dtype).to(config.device)


def made_trainer(
    config: RunConfig,
    model: Module,
    steps: int,
    steps_per_epoch: int,
    callbacks: Sequence[Callback],
) -> Trainer:
    """Make what trains the network.

    Parameters
    ----------
    config : RunConfig
    model : Module
        Parameters that require no gradient are left as they are.
    steps, steps_per_epoch : int
        Of the whole training, and of an epoch.
    callbacks : sequence of Callback
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
        _schedule(config, optimizer, math.ceil(steps / steps_per_epoch)),
        callbacks,
        accumulate=config.accumulate,
        clip_grad_norm=config.clip,
    )


def total_steps(config: RunConfig, steps_per_epoch: int) -> int:
    """Return how many steps a run takes, unless it is stopped early."""
    return config.steps or (config.epochs or 0) * steps_per_epoch


def _schedule(config: RunConfig, optimizer: Optimizer, steps: int) -> LRScheduler:
    if config.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    milestones = [round(share * steps) for share in config.milestones]
    return MultiStepLR(optimizer, milestones, config.gamma)
