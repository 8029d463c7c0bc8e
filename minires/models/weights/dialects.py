"""The ways in which published files name the same weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from minires.serialize.torch_pickle import shown

__all__ = ["AUXILIARY_HEADS", "DIALECTS", "Dialect", "flat"]

# Used in training alone, so a file or a model may be without.
AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")


class Dialect(NamedTuple):
    """A way of naming weights.

    Attributes
    ----------
    name : str
    read : callable
        Takes what a file holds and returns the weights by minires' names; raises a ValueError of
        half a sentence where the file is plainly something else.
    """

    name: str
    read: Callable[[Any], Mapping[str, Any]]


def _torchvision(contents: Any) -> dict[str, Any]:
    """Rename what DenseNet's files, which are older than its code, call ``norm.1``."""
    state: dict[str, Any] = {}
    for older, value in flat(contents).items():
        name = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", older)
        if name in state:
            raise ValueError(f"{shown(name)} is in the file twice, by its older name too")
        state[name] = value
    return state


def _akamaster(contents: Any) -> dict[str, Any]:
    """Undo what akamaster's training in parallel wrapped around, and rename the head."""
    if isinstance(contents, Mapping) and "state_dict" in contents:
        contents = contents["state_dict"]
    state = {}
    for name, value in flat(contents).items():
        if not name.startswith("module."):
            raise ValueError(f"{shown(name)} does not begin with 'module.'")
        if name.startswith("module.fc."):
            raise ValueError(f"{shown(name)} is called 'module.linear.' there")
        state[re.sub(r"^linear\.", "fc.", name.removeprefix("module."))] = value
    return state


def flat(contents: Any) -> Mapping[str, Any]:
    """Return what a file holds, if it is arrays by their names.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if not isinstance(contents, Mapping):
        raise ValueError(f"the file holds a {type(contents).__name__}, not arrays by their names")
    for name, value in contents.items():
        if not isinstance(name, str) or not hasattr(value, "dtype"):
            raise ValueError(f"{shown(name)} is a {type(value).__name__}, not an array")
    return contents


DIALECTS = (Dialect("torchvision", _torchvision), Dialect("akamaster", _akamaster))
