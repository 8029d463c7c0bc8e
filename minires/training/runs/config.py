"""What a run is asked to do: every option, checked, and kept as `config.json`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from minires.serialize import atomic_write

from .errors import ConfigError, RunError

__all__ = ["CONFIG", "INDIFFERENT", "RunConfig", "read_config", "write_config"]

CONFIG = "config.json"

# Options that say where and how fast to compute, and how much of it is kept, but not what.
INDIFFERENT = frozenset(
    {"root", "device", "threads", "workers", "half", "checkpoint_steps", "keep", "tensorboard"}
    | {"distributed", "checkpoint_blocks"}
)

Share = Annotated[float, Field(ge=0, lt=1)]


class RunConfig(BaseModel):
    """All options of a run. Nothing is left to a default that may change: a file has them all.

    Parameters
    ----------
    model : str
        A name of `minires.models.create`.
    model_options : dict
        Its other options, such as ``width``.
    dataset : str
        A name or a path, as for `minires.data.get_dataset`.
    root : str, optional
        The folder in which data sets are.
    recipe : str
        Where the options come from that were not named; see `minires.training.runs.recipes`.
    epochs, steps : int, optional
        How long to train: one of the two is given. With `steps` the last epoch may be broken off.
    batch_size : int
        Images per step. Over several ranks they are shared out.
    accumulate : int
        In how many parts the gradients of a batch are computed.
    checkpoint_blocks : bool
        Keep only the input of each residual block until the backward pass, which computes the rest
        once more: less memory, more time, the same bits.
    lr, momentum, nesterov, weight_decay
        Of `minires.optim.SGD`.
    schedule : {"constant", "steps", "cosine", "plateau"}
        How the rate falls: at `milestones` by `gamma`; along half a cosine; by `gamma` after
        `patience` epochs without progress in validation.
    milestones : tuple of float
        Shares of the whole training, rising.
    gamma : float
    patience : int
    warm_up_lr : float, optional
        The rate at first: for `warm_up_steps`, or until the training error of an epoch's batches
        so far is below `warm_up_error`.
    warm_up_steps : int
    warm_up_error : float, optional
    label_smoothing : float
    mixup : float
        Its alpha; 0 is without.
    cutout : int
        Side of the square that is taken away; 0 is without.
    ema : float, optional
        Decay of the average of the weights that is measured and kept beside the weights.
    clip : float, optional
        Largest norm of the gradient.
    augmentation : {"none", "crop", "crop-flip", "imagenet"}
        What is done to training images; see ``docs/training.md``.
    crop_padding : int
        Pixels, for "crop" and "crop-flip".
    crop_padding_mode : {"constant", "reflect"}
        Whether these are zeros, or what is within, mirrored.
    size : int, optional
        Side of the square that the network gets. Each image is resized, so that its shorter side
        fits, and the middle is cut out; for "imagenet", all of its lengths are scaled to it.
    normalize : {"channel", "pixel"}
        Whether the mean that is subtracted is one of each channel, or of each pixel. Then it is
        subtracted before an image is padded, so that the margin is average, and not black.
    val_split : float or int
        Share or number of the training images that are kept for validation.
    early_stop : int, optional
        Stop after so many epochs without a lower error in validation, or the same and a lower loss.
    precise_bn : int
        Batches from which running statistics are computed anew at the end; 0 leaves them.
    sync_bn, distributed : bool
        Train over all ranks of MPI; with statistics over all of them.
    weights : str, optional
        File or run to begin with.
    freeze : tuple of str
        Patterns of names of parameters that are not trained, such as ``layer1.*``.
    seed : int
        Of the weights, the order, the augmentation and the split.
    device : str
    dtype : {"float32", "float64"}
    threads : int, optional
        For the kernels; by default all processors.
    workers : int
        That make batches ahead.
    half : bool
        Keep the best weights as float16, but for tensors with values that are too large for it.
    checkpoint_steps : int, optional
        A checkpoint after so many steps, besides the one after each epoch.
    keep : int
        How many of the last checkpoints are kept.
    tensorboard : bool
        Write event files, too.

    Raises
    ------
    ConfigError
        From `RunConfig.checked`, if an option makes no sense.

    Examples
    --------
    >>> config = RunConfig.checked(model="cifar_resnet20", dataset="digits", epochs=3)
    >>> config.batch_size
    128
    >>> RunConfig.checked(model="cifar_resnet20", dataset="digits", epochs=0)
    Traceback (most recent call last):
    ...
    minires.training.runs.errors.ConfigError: epochs: input should be greater than 0, found 0
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False, strict=True
    )

    schema_: Literal["minires.run/1"] = Field(default="minires.run/1", alias="schema")
    model: str = Field(min_length=1)
    model_options: dict[str, bool | int | float | str | None] = {}
    dataset: str = Field(min_length=1)
    root: str | None = None
    recipe: str = ""
    epochs: int | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=128, gt=0)
    accumulate: int = Field(default=1, gt=0)
    checkpoint_blocks: bool = False
    lr: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: Literal["constant", "steps", "cosine", "plateau"] = "constant"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    gamma: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=10, gt=0)
    warm_up_lr: float | None = Field(default=None, gt=0)
    warm_up_steps: int = Field(default=0, ge=0)
    warm_up_error: float | None = Field(default=None, gt=0, lt=1)
    label_smoothing: Share = 0.0
    mixup: float = Field(default=0.0, ge=0)
    cutout: int = Field(default=0, ge=0)
    ema: float | None = Field(default=None, gt=0, lt=1)
    clip: float | None = Field(default=None, gt=0)
    augmentation: Literal["none", "crop", "crop-flip", "imagenet"] = "none"
    crop_padding: int = Field(default=4, ge=0)
    crop_padding_mode: Literal["constant", "reflect"] = "constant"
    size: int | None = Field(default=None, gt=0)
    normalize: Literal["channel", "pixel"] = "channel"
    val_split: Share | Annotated[int, Field(ge=0)] = 0
    early_stop: int | None = Field(default=None, gt=0)
    precise_bn: int = Field(default=0, ge=0)
    sync_bn: bool = False
    distributed: bool = False
    weights: str | None = None
    freeze: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    dtype: Literal["float32", "float64"] = "float32"
    threads: int | None = Field(default=None, gt=0)
    workers: int = Field(default=0, ge=0)
    half: bool = False
    checkpoint_steps: int | None = Field(default=None, gt=0)
    keep: int = Field(default=1, gt=0)
    tensorboard: bool = False

    @classmethod
    def checked(cls, **options: Any) -> Self:
        """Make a configuration of options; say in one sentence what is wrong with them.

        Raises
        ------
        ConfigError
            Naming the first option that makes no sense.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            raise ConfigError(_told(error)) from None

    def changed(self, **options: Any) -> Self:
        """Return a copy with other options, checked again."""
        return self.checked(**{**self.model_dump(by_alias=True), **options})

    @field_validator("milestones")
    @classmethod
    def _rise(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError("the milestones must rise")
        return milestones

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        validated = self.val_split > 0
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("epochs: how long to train is said by epochs or by steps, one of them")
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate: a batch of {self.batch_size} images cannot be cut into"
                f" {self.accumulate} parts"
            )
        if self.schedule == "steps" and not self.milestones:
            raise ValueError(
                "milestones: the schedule 'steps' needs at least one; the recipes he2015-cifar,"
                " preact and wrn have some"
            )
        if self.schedule == "plateau" and not validated:
            raise ValueError(
                "schedule: 'plateau' looks at the validation part, and there is none; set val_split"
                " above 0, or take another schedule, such as 'cosine'"
            )
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: it is a kind of momentum, which must be above 0 then")
        if self.early_stop is not None and not validated:
            raise ValueError("early_stop: it looks at the validation part; set val_split")
        if self.warm_up_lr is None and (self.warm_up_steps or self.warm_up_error is not None):
            raise ValueError("warm_up_lr: a warm-up needs a rate")
        if self.warm_up_lr is not None and bool(self.warm_up_steps) == bool(self.warm_up_error):
            raise ValueError("warm_up_steps: a warm-up ends by warm_up_steps or by warm_up_error")
        if self.warm_up_lr is not None and self.warm_up_lr > self.lr:
            raise ValueError(f"warm_up_lr: it is at most lr, {self.lr}, found {self.warm_up_lr}")
        if self.warm_up_steps and self.schedule == "plateau":
            raise ValueError("warm_up_steps: before 'plateau' a warm-up ends by warm_up_error")
        if self.sync_bn and not self.distributed:
            raise ValueError("sync_bn: there is nothing to synchronise unless distributed is set")
        return self


def write_config(config: RunConfig, folder: str | os.PathLike[str]) -> Path:
    """Write ``config.json`` into a run's folder."""
    path = Path(folder) / CONFIG
    with atomic_write(path, "w") as file:
        file.write(config.model_dump_json(indent=2, by_alias=True) + "\n")
    return path


def read_config(folder: str | os.PathLike[str]) -> RunConfig:
    """Read the configuration of a run.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.
    RunError
        If the file is damaged, or was changed to something that makes no sense.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no run in '{folder}': it has no {CONFIG}; minires train --out writes one"
        )
    try:
        # A file has lists where Python has tuples, which strict reading of JSON knows about.
        return RunConfig.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"'{path}': {_told(error)}") from None


# Of options that may be said in several ways, or in a unit that a bare limit does not tell.
_FORMS = {
    "val_split": "a share from 0 to below 1, as 0.1, or a number of images, as 5000",
    "milestones": "shares of the training, above 0 and below 1, as 0.5 and 0.75",
}


def _told(error: ValidationError) -> str:
    """Say in one sentence what the first mistake is."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: there is no such option"
    if first["type"] == "missing":
        return f"{name}: it is missing"
    if name in _FORMS and first["type"] != "value_error":
        return f"{name}: expected {_FORMS[name]}, found {first['input']!r}"
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return message  # of several options; it names them itself
    return f"{name}: {message[0].lower()}{message[1:]}, found {first['input']!r}"
