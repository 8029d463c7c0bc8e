"""`best.safetensors`: the weights that a run is remembered by, ready for `minires predict`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minires.data.transforms import Normalize
from minires.models.weights.catalogue import Card, Preprocessing, write_card
from minires.models.weights.loading import twin
from minires.nn import Module
from minires.serialize import save

from .batches import judged_at
from .config import RunConfig
from .metrics_log import EpochLine

__all__ = ["BEST", "best_epoch", "write_best"]

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


def write_best(
    folder: str | os.PathLike[str],
    model: Module,
    config: RunConfig,
    split: Any,
    normalize: Normalize,
    line: EpochLine,
) -> None:
    """Write the model's weights, and beside them the card that says how to ask it.

    Parameters
    ----------
    folder : path
        Of the run.
    model : Module
    config : RunConfig
        Its `half` keeps them as float16, in half the space.
    split : Split
        Names the classes.
    normalize : Normalize
        What was done to the images.
    line : EpochLine
        Of the epoch after which the weights are.
    """
    path = Path(folder) / BEST
    weights = {}
    for name, value in model.state_dict().items():
        array = value.detach().to("cpu").numpy()
        weights[name] = (
            array.astype("float16") if config.half and array.dtype.kind == "f" else array
        )
    notes = {"epoch": str(line.epoch), "step": str(line.step), "network": twin(model)}
    save(weights, path, metadata=notes)
    size, crop = judged_at(config) or (min(split.image_size),) * 2
    card = Card(
        model=config.model,
        options=dict(config.model_options),
        classes=split.class_names,
        preprocessing=Preprocessing(
            size=size,
            crop=crop,
            mean=split.mean,
            std=split.std,
            pixel_mean=tuple(normalize.mean.ravel().tolist()) if normalize.mean.ndim == 3 else (),
        ),
        source=f"minires train, {split.name}, epoch {line.epoch}",
        training={
            "epoch": line.epoch,
            "step": line.step,
            "validation_loss": line.validation_loss,
            "validation_error": line.validation_error,
            "lossy_images": split.lossy,
        },
    )
    write_card(card, path)
