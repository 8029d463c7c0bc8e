"""A finished or unfinished run's network, made from its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minires import models
from minires.models import load_weights, pretrained
from minires.nn import Module

from .best import BEST
from .checkpoint import LAST, read_checkpoint
from .config import RunConfig, read_config

__all__ = ["load_run"]


def load_run(
    folder: str | os.PathLike[str], which: str = "best", device: str | None = None
) -> tuple[Module, RunConfig]:
    """Make the network of a run, with its weights, in evaluation mode.

    Parameters
    ----------
    folder : path
        Of the run.
    which : {"best", "last"}
        The weights that the run is remembered by, or those of its last checkpoint.
    device : str, optional
        By default that of the run.

    Returns
    -------
    Module, RunConfig

    Raises
    ------
    FileNotFoundError
        If there is no run, or it has no such weights yet.
    ValueError
        If a file is damaged, or does not belong to the run.

    Examples
    --------
    >>> import tempfile
    >>> from minires.training.runs import configured, train
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> config = configured("cifar_resnet8", "digits", epochs=1, model_options={"width": 2})
    >>> _ = train(config, folder)
    >>> model, config = load_run(folder)
    >>> model.training, config.epochs
    (False, 1)
    """
    if which not in ("best", "last"):
        raise ValueError(f"load_run: which must be 'best' or 'last', found {which!r}")
    config = read_config(folder)
    path = Path(folder) / (BEST if which == "best" else LAST)
    if not path.exists():
        raise FileNotFoundError(
            f"the run in '{folder}' has no {path.name} yet; it is written after the first epoch"
        )
    if which == "best":
        model = pretrained(path).model.to(config.dtype)
        load_weights(model, path)  # again: not by way of float32
        return model.to(device or config.device), config
    state = read_checkpoint(path)
    options: dict[str, Any] = {**state["network"], **config.model_options}
    model = models.create(config.model, seed=0, **options).to(config.dtype)
    model.load_state_dict(state["model"])
    return model.to(device or config.device).eval(), config
