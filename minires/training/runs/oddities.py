"""Options that are obeyed, but can hardly be meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from minires.devices import threads

from .config import RunConfig

__all__ = ["oddities"]


def oddities(config: RunConfig, images: int) -> Iterator[str]:
    """Say what an option does not do, although it sounds as if it did.

    Parameters
    ----------
    config : RunConfig
    images : int
        How many there are to train on.

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
    if config.threads is not None and config.threads > threads.available():
        yield (
            f"{config.threads:,} threads share {threads.available()} processors, which"
            " makes nothing faster"
        )
    if config.root is not None and (config.dataset == "digits" or Path(config.dataset).exists()):
        yield f"{config.dataset} is not looked for in '{config.root}'"
