"""Networks for the images of an experiment, and what is read off their training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from minires.data import Split
from minires.models import CifarResNet, cifar_resnet
from minires.nn.shortcuts import Shortcut

from .experiment import Scale, Trials
from .images import Images
from .learning import Recipe

_GUESSING = 0.9  # ten classes


@dataclass(frozen=True, kw_only=True)
class NetworkScale(Scale):
    """The scale of an experiment that trains networks of one depth and width.

    Parameters
    ----------
    images : Images
    depth : int
        6n + 2.
    width : int
        Channels of the first stage.
    recipe : Recipe
    """

    images: Images
    depth: int
    width: int
    recipe: Recipe


def network_for(
    split: Split, depth: int, width: int, seed: int, shortcut: Shortcut = "A", **options: Any
) -> CifarResNet:
    """Make a residual network, or with ``shortcut=None`` its plain twin, for some images.

    Parameters
    ----------
    split : Split
    depth, width, seed : int
    shortcut, **options
        As for `minires.models.cifar_resnet`.

    Examples
    --------
    >>> split = Images("digits", train=20, test=10).read()
    >>> network_for(split, 8, 4, seed=0).fc
    Linear(16, 10, bias=True)
    """
    sizes: dict[str, Any] = {"in_channels": split.channels, "num_classes": split.classes}
    return cifar_resnet(depth, shortcut, width, seed=seed, **sizes, **options)


def gained(errors: Sequence[float | None]) -> list[float | None]:
    """Return what networks have learned of ten classes: the error of guessing less their own.

    Examples
    --------
    >>> gained([0.4, None])
    [0.5, None]
    """
    return [None if error is None else _GUESSING - error for error in errors]


def final_errors(trials: Trials, condition: str, part: str = "test") -> list[float]:
    """Return the error on the training or the test part after training, for each seed."""
    return [trial[f"final_{part}_error"] for trial in trials[condition]]
