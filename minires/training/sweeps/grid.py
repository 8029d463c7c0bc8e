"""A grid of options: every combination is a run of its own, in a folder that says which."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_origin

from minires.training.runs import ConfigError, RunConfig, configured

__all__ = ["Trial", "read_grid", "trials_of"]

_NETWORK = "model_options."
_LONGEST = 100  # letters of a folder's name that are said by the options


class Trial(NamedTuple):
    """One combination.

    Attributes
    ----------
    name : str
        Of its folder: what distinguishes it, and eight digits of its configuration's SHA-256. The
        same options have the same name, whatever else stands in the grid.
    varied : dict
        The options of which the grid has several values.
    config : RunConfig
    """

    name: str
    varied: dict[str, Any]
    config: RunConfig


def read_grid(path: str | os.PathLike[str]) -> list[Trial]:
    """Read a grid from a TOML file.

    Parameters
    ----------
    path : path
        Its keys are the options of ``minires train``, ``batch-size`` or ``batch_size``; a list has
        the values to try. An option whose value is itself a list, such as ``freeze``, takes a list
        of lists for that.

    Returns
    -------
    list of Trial
        The last option varies fastest.

    Raises
    ------
    ConfigError
        If it is no TOML, or a combination makes no sense.
    OSError
        If it cannot be read.
    """
    try:
        options = tomllib.loads(Path(path).read_text("utf-8"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise ConfigError(f"'{path}' is no TOML: {error}") from None
    try:
        return trials_of(options)
    except ConfigError as error:
        raise ConfigError(f"'{path}': {_as_keys(str(error))}") from None


def _as_keys(message: str) -> str:
    """Name options as the command line does, and as a grid may."""
    for name in RunConfig.model_fields:
        if "_" in name:
            message = re.sub(rf"\b{name}\b", name.replace("_", "-"), message)
    return message


def trials_of(options: Mapping[str, Any]) -> list[Trial]:
    """Combine the values of options.

    Raises
    ------
    ConfigError
        If a combination makes no sense, nothing is kept for validation, or two are the same.

    Examples
    --------
    >>> for trial in trials_of(
    ...     {"model": "cifar_resnet8", "dataset": "digits", "val_split": 0.2, "lr": [0.1, 0.01]}
    ... ):
    ...     trial.name[:-9], trial.varied, trial.config.lr
    ('lr=0.1', {'lr': 0.1}, 0.1)
    ('lr=0.01', {'lr': 0.01}, 0.01)
    """
    values = _values_of(options)
    for name in ("model", "dataset"):
        if name not in values:
            raise ConfigError(f"{name}: it is missing")
    varied = [name for name, several in values.items() if len(several) > 1]
    trials: dict[str, Trial] = {}
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        trial = _trial(chosen, {name: chosen[name] for name in varied})
        digest = trial.name[-8:]
        if digest in trials:
            raise ConfigError(
                f"{', '.join(trial.varied)}: the grid has the same run twice, as"
                f" {_told(trials[digest].varied)} and as {_told(trial.varied)}"
            )
        trials[digest] = trial
    return list(trials.values())


def _values_of(options: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of each option, one or several; those of the network have dotted names."""
    values: dict[str, list[Any]] = {}
    for key, value in options.items():
        name = key.replace("-", "_")
        if name == "width":  # as `minires train` has it
            found = {_NETWORK + name: _several(name, value)}
        elif name == "model_options" and isinstance(value, dict):
            found = {_NETWORK + option: _several(option, each) for option, each in value.items()}
        else:
            found = {name: _several(name, value)}
        for option, several in found.items():
            if option in values:
                raise ConfigError(f"{_short(option)}: the grid names it twice")
            if not several:
                raise ConfigError(f"{_short(option)}: the list of values is empty")
            values[option] = several
    return values


def _several(name: str, value: Any) -> list[Any]:
    field = RunConfig.model_fields.get(name)
    if field is None or get_origin(field.annotation) is not tuple:
        return value if isinstance(value, list) else [value]
    nested = isinstance(value, list) and value and isinstance(value[0], list)
    return [tuple(v) if isinstance(v, list) else v for v in (value if nested else [value])]


def _trial(chosen: Mapping[str, Any], varied: Mapping[str, Any]) -> Trial:
    run = {name: value for name, value in chosen.items() if not name.startswith(_NETWORK)}
    network = {_short(name): value for name, value in chosen.items() if name not in run}
    named = {_short(name): value for name, value in varied.items()}
    if network:
        run["model_options"] = network
    try:
        config = configured(**run)
    except ConfigError as error:
        raise ConfigError(f"{error} (with {_told(named)})" if named else str(error)) from None
    if config.distributed:
        raise ConfigError(
            "distributed: a run of a sweep has one process; --executor mpi trains many runs at a"
            " time"
        )
    if not config.val_split:
        raise ConfigError(
            "val_split: nothing is kept for validation, and the best of a sweep is not to be chosen"
            " by the test part; set a share or a number of images"
        )
    digest = hashlib.sha256(config.model_dump_json(by_alias=True).encode()).hexdigest()[:8]
    told = re.sub(r"[^\w.=,+-]+", "_", _told(named).replace(", ", ","))[:_LONGEST]
    return Trial(f"{told or 'run'}-{digest}", named, config)


def _short(name: str) -> str:
    return name.removeprefix(_NETWORK)


def _told(varied: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_text(value)}" for name, value in varied.items())


def _text(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
