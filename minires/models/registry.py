"""Networks by name.

An architecture's file registers its names; those of a family that goes on for ever, such as
``cifar_resnet26_b``, are recognised by a pattern.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from minires import devices, nn
from minires.devices import Device, random

Image = tuple[int, int, int]
Builder = Callable[..., nn.Module]


class Entry(NamedTuple):
    """How to make a network.

    Attributes
    ----------
    build : callable
        Makes it.
    input : (int, int, int)
        Channels, height and width of the images that it was made for.
    options : dict
        What `build` is given.
    """

    build: Builder
    input: Image
    options: dict[str, Any]


# What names spell out: another value would make a network that is called what it is not.
_SPELLED = "depth", "shortcut"

_ENTRIES: dict[str, Entry] = {}
_FAMILIES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], Entry]]] = []


def register(name: str, build: Builder, input: Image = (3, 224, 224), **options: Any) -> None:
    """Give a network a name.

    Parameters
    ----------
    name : str
        In capitals or not, which `create` does not tell apart either.
    build : callable
        Called with the options, and with those that `create` is given, which come first.
    input : (int, int, int)
        Channels, height and width of the images that it is made for.
    **options
        What makes this one of `build`'s networks. `create` takes no other `depth` and `shortcut`.

    Raises
    ------
    ValueError
        If the name is taken.
    """
    name = name.lower()
    if name in _ENTRIES:
        raise ValueError(f"there is a network {name!r} already")
    _ENTRIES[name] = Entry(build, input, options)


def register_family(pattern: str, entry: Callable[[re.Match[str]], Entry]) -> None:
    """Recognise further names: `entry` makes what is registered of a name that matches."""
    _FAMILIES.append((re.compile(pattern), entry))


def names() -> list[str]:
    """Return the names of all registered networks, numbers in them by size.

    Examples
    --------
    >>> import minires as mr
    >>> mr.models.list()[:2]
    ['alexnet', 'alexnet_2012']
    """
    return sorted(_ENTRIES, key=_by_size)


def _by_size(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def find(name: str) -> Entry:
    """Return what is registered under `name`.

    Raises
    ------
    ValueError
        If there is no such network; it says which names are near.
    TypeError
        If it is no name.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"the name of a network is needed, such as 'resnet50'; found {type(name).__name__}."
            " A network that is made already is counted by mr.models.summary(model, input)"
        )
    name = name.lower()
    if name in _ENTRIES:
        return _ENTRIES[name]
    for pattern, entry in _FAMILIES:
        found = pattern.fullmatch(name)
        if found:
            return entry(found)
    # Without its letter a name is that of a network, too, and the nearer one.
    known = {*_ENTRIES, *(re.sub(r"(\d)_[abc]$", r"\1", entry) for entry in _ENTRIES)}
    near = difflib.get_close_matches(name, sorted(known), 3, 0.6)
    advice = f"; near: {', '.join(near)}" if near else ""
    raise ValueError(
        f"there is no network {name!r}{advice}; mr.models.list(), or minires models, tells them all"
    )


def create(
    name: str, *, seed: int | None = None, device: str | Device | None = None, **options: Any
) -> nn.Module:
    """Make a network by its name.

    Parameters
    ----------
    name : str
        One of `mr.models.list()`, or of a family that goes on, such as ``cifar_resnet26_b``.
    seed : int, optional
        Of the weights; by default the streams of `minires.manual_seed` are continued.
    device : str or Device, optional
        Where it is made, by default the CPU; one seed gives the same numbers everywhere. On
        ``"meta"`` nothing is drawn.
    **options
        What its builder takes, for example `num_classes`, `in_channels` and `width`.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such network or device, an option is out of range, or it is a `depth` or a
        `shortcut` other than the name's.
    TypeError
        If its builder does not know an option.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.models.create("cifar_resnet20", num_classes=100)
    >>> model(mr.zeros(1, 3, 32, 32)).shape
    (1, 100)
    """
    entry = find(name)
    for option in _SPELLED:
        if option in options and entry.options.get(option, options[option]) != options[option]:
            raise ValueError(
                f"{name} has {option}={entry.options[option]!r}, as its name says, and not"
                f" {options[option]!r}; take another name, or make it without one, as by"
                " mr.models.cifar_resnet and mr.models.ResNet"
            )
    with random.seeded(seed), devices.default(device):
        try:
            return entry.build(**{**entry.options, **options})
        except TypeError as error:
            # Builders hand on what they do not know, down to the blocks.
            unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if unknown is None or unknown[1] not in options:
                raise
            near = difflib.get_close_matches(unknown[1], _known(entry.build), 3, 0.6)
            advice = f"; near: {', '.join(near)}" if near else ""
            raise TypeError(f"{name} has no option {unknown[1]!r}{advice}") from error


def _known(build: Builder) -> set[str]:
    """Return the options that a builder itself names, and those that all have."""
    return {*inspect.signature(build).parameters, "num_classes", "in_channels", "width"}


def input_of(name: str) -> Image:
    """Return channels, height and width of the images that a network is made for."""
    return find(name).input
