"""Beginning with weights that are trained already, and leaving some of them as they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

from minires.models.weights.catalogue import card_of, get, is_listed
from minires.models.weights.loading import MisfitError, load_weights
from minires.nn import Module
from minires.serialize import load_metadata

from .best import BEST
from .checkpoint import FORMAT
from .errors import ConfigError, RunError

__all__ = ["begin_with", "freeze"]


def begin_with(model: Module, weights: str) -> str:
    """Copy trained weights into a model; a head of other classes stays as it was drawn.

    Parameters
    ----------
    model : Module
    weights : str
        A file, the folder of a run, whose best weights are taken, or a name in
        ``minires weights list``.

    Returns
    -------
    str
        A sentence about what was copied.

    Raises
    ------
    RunError
        If the weights are not there, cannot be read, or do not fit.
    """
    path = Path(weights)
    if path.is_dir():
        path = path / BEST
    try:
        if is_listed(weights):
            path = get(weights)
        if path.suffix == ".safetensors" and load_metadata(path).get("format") == FORMAT:
            raise RunError(
                f"weights: '{path}' is a checkpoint, which is gone on with by --resume; to begin"
                f" with a run's weights name its folder, or its {BEST}"
            )
        report = load_weights(model, path, new_head=True)
    except RunError:
        raise
    except MisfitError as error:
        why = _network_of(path) or "; ".join(error.problems)
        raise RunError(f"weights: '{path}' does not fit this network: {why}") from None
    except (FileNotFoundError, ValueError) as error:
        raise RunError(f"weights: {error}") from None
    told = f"{path.name}: {report.tensors} tensors were copied"
    if report.new_head:
        told += f"; the classes are others, so {' and '.join(report.new_head)} begin anew"
    return told


def _network_of(path: Path) -> str:
    """Say which network weights are of, if a card beside them does."""
    try:
        card = card_of(path)
    except (FileNotFoundError, ValueError):
        return ""
    options = "".join(f" --{name} {value}" for name, value in card.options.items())
    return f"it is of --model {card.model}{options}"


def freeze(model: Module, patterns: Sequence[str]) -> list[str]:
    """Let parameters whose names match a pattern be as they are; return their names.

    Running statistics of batch normalisation follow the images all the same.

    Parameters
    ----------
    model : Module
    patterns : sequence of str
        Such as ``layer1.*`` or ``*.bias``, as in a shell.

    Raises
    ------
    ConfigError
        If a pattern matches nothing, or nothing is left to train.

    Examples
    --------
    >>> import minires as mr
    >>> freeze(mr.nn.Sequential(mr.nn.Linear(2, 2), mr.nn.Linear(2, 2)), ["0.*"])
    ['0.weight', '0.bias']
    """
    parameters = dict(model.named_parameters())
    frozen: list[str] = []
    for pattern in patterns:
        found = fnmatch.filter(parameters, pattern)
        if not found:
            raise ConfigError(
                f"freeze: no parameter matches {pattern!r}; their names begin with"
                f" {', '.join(dict.fromkeys(name.split('.')[0] for name in parameters))}"
            )
        frozen += found
    if set(frozen) == set(parameters):
        raise ConfigError("freeze: every parameter is frozen; nothing is left to train")
    for name in frozen:
        parameters[name].requires_grad_(False)
    return list(dict.fromkeys(frozen))
