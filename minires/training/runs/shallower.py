"""The runs beside a run with which its depth can be judged."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .config import INDIFFERENT, RunConfig, read_config
from .metrics_log import EpochLine, read_metrics

# The warm-up, too, which papers give to their deepest networks alone.
_NOT_LEARNING = {*INDIFFERENT, "model", "recipe", "warm_up_lr", "warm_up_steps", "warm_up_error"}


class Shallower(NamedTuple):
    """A run that differs from another in nothing but having fewer layers.

    Attributes
    ----------
    name : str
        Of its folder.
    depth : int
    epochs : sequence of EpochLine
    """

    name: str
    depth: int
    epochs: Sequence[EpochLine]


def shallower_beside(folder: str | os.PathLike[str], config: RunConfig) -> list[Shallower]:
    """Find the runs beside `folder` that differ in nothing but having fewer layers.

    Networks are of one kind if their names differ in one number, as ``cifar_plain20`` and
    ``cifar_plain56`` do. Options that say where and how fast to compute may differ, and so may the
    warm-up.
    """
    asked = kind_and_depth(config.model)
    if asked is None:
        return []
    found = []
    for other in sorted(Path(folder).resolve().parent.glob("*/config.json")):
        try:
            beside = read_config(other.parent)
            named = kind_and_depth(beside.model)
            if named is None or named[0] != asked[0] or named[1] >= asked[1]:
                continue
            if _learning(beside) == _learning(config):
                epochs = read_metrics(other.parent).epochs
                found.append(Shallower(other.parent.name, named[1], epochs))
        except (OSError, ValueError):
            continue  # what is broken there is no concern of this run
    return found


def _learning(config: RunConfig) -> dict[str, object]:
    return config.model_dump(exclude=_NOT_LEARNING)


def kind_and_depth(model: str) -> tuple[str, int] | None:
    """Take a network's name apart; None if it has no number.

    Examples
    --------
    >>> kind_and_depth("cifar_resnet56_b"), kind_and_depth("alexnet")
    (('cifar_resnet#_b', 56), None)
    """
    found = re.fullmatch(r"(\D+)(\d+)(.*)", model)
    return None if found is None else (found[1] + "#" + found[3], int(found[2]))
