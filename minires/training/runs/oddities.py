"""Options that are obeyed, but can hardly be meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from minires.devices import threads

from .config import RunConfig
from .recipes import RECIPES

__all__ = ["oddities"]

# Options that only some values of another one look at.
_ONLY_WITH = {
    "milestones": ("schedule", ("steps",)),
    "gamma": ("schedule", ("steps", "plateau")),
    "patience": ("schedule", ("plateau",)),
    "crop_padding": ("augmentation", ("crop", "crop-flip")),
    "crop_padding_mode": ("augmentation", ("crop", "crop-flip")),
}


def oddities(
    config: RunConfig, images: int, image_size: tuple[int, int] | None = None
) -> Iterator[str]:
    """Say what an option does not do, although it sounds as if it did.

    Parameters
    ----------
    config : RunConfig
    images : int
        How many there are to train on.
    image_size : (int, int), optional
        Height and width of what the network gets.

    Yields
    ------
    str
        A sentence.

    Examples
    --------
    >>> config = RunConfig.checked(model="cifar_resnet8", dataset="digits", epochs=1, batch_size=64)
    >>> list(oddities(config, 48))
    ['there are 48 images to train on, fewer than a batch of 64, so each step takes all of them']
    """
    if config.batch_size > images:
        yield (
            f"there are {images:,} images to train on, fewer than a batch of"
            f" {config.batch_size:,}, so each step takes all of them"
        )
    steps = config.steps or (config.epochs or 0) * -(-images // config.batch_size)
    if config.warm_up_steps >= steps:
        yield (
            f"the warm-up takes {config.warm_up_steps:,} steps, and the training only {steps:,}:"
            f" the rate stays at {config.warm_up_lr:g}"
        )
    for name, (other, values) in _ONLY_WITH.items():
        if getattr(config, other) not in values and _is_named(config, name):
            yield (
                f"nothing is done with {name.replace('_', ' ')}, for the {other} is"
                f" {getattr(config, other)!r}"
            )
    if image_size is not None and image_size[0] != image_size[1]:
        height, width = image_size
        yield (
            f"the images are {height}x{width}, and minires predict will show the network the square"
            f" in their middle alone; --size {min(image_size)} trains on that, too"
        )
    if config.threads is not None and config.threads > threads.available():
        yield (
            f"{config.threads:,} threads share {threads.available()} processors, which"
            " makes nothing faster"
        )
    if config.root is not None and (config.dataset == "digits" or Path(config.dataset).exists()):
        yield f"{config.dataset} is not looked for in '{config.root}'"


def _is_named(config: RunConfig, option: str) -> bool:
    """Tell whether somebody must have named an option, for neither default nor recipe says so."""
    said = [RunConfig.model_fields[option].default]
    if config.recipe in RECIPES:
        said.append(RECIPES[config.recipe].options(config.model)[option])
    return getattr(config, option) not in said
