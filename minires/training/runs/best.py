"""`best.safetensors`: the weights that a run is remembered by, ready for `minires predict`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from minires.data.transforms import Normalize
from minires.models.weights.catalogue import Card, Preprocessing, write_card
from minires.models.weights.loading import twin
from minires.nn import Module
from minires.serialize import load_metadata, save

from .batches import judged_at
from .config import RunConfig
from .errors import CheckpointError, ConfigError
from .metrics_log import EpochLine

__all__ = [
    "BEST",
    "best_epoch",
    "best_in_validation",
    "card_of_best",
    "refuse_other_best",
    "write_best",
]

BEST = "best.safetensors"


def best_epoch(lines: list[EpochLine]) -> EpochLine | None:
    """Return the epoch after which the weights were best, which the test part has no say in.

    The lowest error counts, then the lowest loss, then the earlier one. Without a validation part
    nothing can be chosen by, and it is the last epoch.

    Examples
    --------
    >>> def line(epoch, loss, error):
    ...     return EpochLine(epoch, 10 * epoch, 1.0, 0.5, loss, error, 0.1, 1.0, 1.0)
    >>> best_epoch([line(1, 0.9, 0.3), line(2, 0.8, 0.3), line(3, 0.5, 0.4)]).epoch
    2
    >>> best_epoch([line(1, None, None), line(2, None, None)]).epoch
    2
    """
    if not lines:
        return None
    if lines[-1].validation_error is None:
        return lines[-1]
    return min(lines, key=lambda line: (line.validation_error, line.validation_loss, line.epoch))


def best_in_validation(lines: list[EpochLine]) -> EpochLine | None:
    """Return the epoch that is best in validation; None without a validation part."""
    best = best_epoch(lines)
    return None if best is None or best.validation_error is None else best


def card_of_best(config: RunConfig, split: Any, normalize: Normalize) -> Card:
    """Make the card of a run's best weights: before the training, lest something be wrong with it.

    Parameters
    ----------
    config : RunConfig
    split : Split
        Names the classes.
    normalize : Normalize
        What is done to the images.

    Raises
    ------
    ConfigError
        If an option of the network, or the name of a class, has no place on a card.
    """
    size, crop = judged_at(config) or (min(split.image_size),) * 2
    try:
        return Card(
            model=config.model,
            options=dict(config.model_options),
            classes=split.class_names,
            preprocessing=Preprocessing(
                size=size,
                crop=crop,
                mean=split.mean,
                std=split.std,
                pixel_mean=tuple(normalize.mean.ravel().tolist())
                if normalize.mean.ndim == 3
                else (),
            ),
            source=f"minires train, {split.name}",
            training={"lossy_images": split.lossy},
        )
    except ValidationError as error:
        first = error.errors()[0]
        field, why = str(first["loc"][0]), first["msg"].removeprefix("Value error, ")
        where = "model_options" if field == "options" else f"dataset: its {field}"
        raise ConfigError(f"{where}: {why}") from None


def write_best(
    folder: str | os.PathLike[str], model: Module, card: Card, line: EpochLine, *, half: bool
) -> None:
    """Write the model's weights, and beside them the card that says how to ask it.

    Parameters
    ----------
    folder : path
        Of the run.
    model : Module
    card : Card
        From `card_of_best`.
    line : EpochLine
        Of the epoch after which the weights are.
    half : bool
        Keep the weights as float16, in half the space; but a tensor with values that are too large
        for that, such as a running variance above 65,504, as it is.
    """
    path = Path(folder) / BEST
    weights = {name: value.detach().to("cpu").numpy() for name, value in model.state_dict().items()}
    if half:
        weights = {name: _halved(array) for name, array in weights.items()}
    notes = {"epoch": str(line.epoch), "step": str(line.step), "network": twin(model)}
    save(weights, path, metadata=notes)
    measured = {
        "epoch": line.epoch,
        "step": line.step,
        "validation_loss": line.validation_loss,
        "validation_error": line.validation_error,
    }
    told = {"source": f"{card.source}, epoch {line.epoch}", "training": measured | card.training}
    write_card(card.model_copy(update=told), path)


def refuse_other_best(folder: str | os.PathLike[str], line: EpochLine) -> None:
    """Raise CheckpointError if the weights that are kept are not those after an epoch.

    So it may be when a run went on from an older checkpoint, and came to other bits.
    """
    path = Path(folder) / BEST
    step = load_metadata(path).get("step")
    if step != str(line.step):
        raise CheckpointError(
            f"'{path}' has the weights after step {step}, and those after step {line.step} were"
            " best; bring that file back, or begin another run"
        )


def _halved(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.isfinite(half).all() else array
