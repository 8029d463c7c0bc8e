"""A trained network, made from its weights and the card beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from minires import nn
from minires.devices import Device
from minires.serialize import load_metadata

from ..registry import create
from .loading import fitting, read_weights

if TYPE_CHECKING:
    from .catalogue import Card


class Pretrained(NamedTuple):
    """A trained network, and what one must know to ask it.

    Attributes
    ----------
    model : Module
        In evaluation mode.
    card : Card
        With the names of its `classes`, in order, and the `preprocessing` of images, which
        `minires.data.prepare` takes.
    """

    model: nn.Module
    card: Card


def pretrained(
    weights: str | os.PathLike[str],
    *,
    model: str | None = None,
    device: str | Device = "cpu",
) -> Pretrained:
    """Make the network that a file of weights belongs to, and load them into it.

    Parameters
    ----------
    weights : str or os.PathLike
        A name in ``minires weights list``, which is fetched unless it is there, or the path of a
        file with its card beside it: of ``model.th`` that is ``model.json``.
    model : str, optional
        The network, instead of the card's, but not its plain or residual twin.
    device : str or Device

    Returns
    -------
    Pretrained
        The model, and the card.

    Raises
    ------
    FileNotFoundError
        There is no such file, or no card beside it.
    ValueError
        The card does not say what it should, the network cannot be made, or the weights do not fit.
    DownloadError
        The weights cannot be had; an `OSError`.

    Examples
    --------
    >>> import minires as mr
    >>> model, card = mr.models.pretrained("cifar_resnet20_digits")
    >>> split = mr.data.digits()
    >>> image, label = split.test[1]
    >>> card.classes[int(model(mr.tensor(image[None])).argmax())] == str(label)
    True
    """
    from .catalogue import card_of, get, is_listed  # needs pydantic

    path = get(str(weights)) if is_listed(weights) else Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no file {str(path)!r}, and no such name in minires weights list"
        )
    if path.suffix == ".safetensors" and _is_checkpoint(path):
        raise ValueError(
            f"'{path}' is a checkpoint, from which a run goes on; to ask a run's network name its"
            " folder, or its best.safetensors"
        )
    card = card_of(path)
    name = model or card.model
    if _is_plain(name) != _is_plain(card.model):
        raise ValueError(
            f"'{path}' is of {card.model}, its card says, and {name}, with other shortcuts, would"
            " answer wrongly; if the card is wrong, change it"
        )
    sizes: dict[str, Any] = {
        "num_classes": len(card.classes),
        "in_channels": len(card.preprocessing.mean),
    }
    file = read_weights(path)
    try:
        _refuse_more_layers(card.options, _arrays_in(file.contents))
        plan = create(name, device="meta", **sizes, **card.options)
    except Exception as error:  # whatever a builder makes of options that nobody checked
        raise ValueError(f"cannot make {name} with {card.options}: {error}") from error
    try:
        fit = fitting(plan, file)
    except ValueError as error:
        said = {**sizes, **card.options}.items()
        made = " and ".join(f"{option} {value!r}" for option, value in said)
        raise ValueError(
            f"{error} (by {str(path.with_suffix('.json'))!r}, the model has {made})"
        ) from error
    # It takes no more memory than the file, now that it fits.
    network = create(name, seed=0, **sizes, **card.options)
    fit.copied_into(network)
    return Pretrained(network.to(device=device).eval(), card)


def _is_checkpoint(path: Path) -> bool:
    return load_metadata(path).get("format", "").startswith("minires.checkpoint/")


def _is_plain(name: str) -> bool:
    return "plain" in name.lower()  # names of networks are the same in capitals


def _arrays_in(contents: Any) -> int:
    if isinstance(contents, Mapping):
        return sum(map(_arrays_in, contents.values()))
    return int(hasattr(contents, "dtype"))


def _refuse_more_layers(options: Mapping[str, Any], arrays: int) -> None:
    """Raise ValueError if the network, though without values, would take for ever to make."""
    for option in ("depth", "blocks"):
        asked = options.get(option, 0)
        numbers = asked if isinstance(asked, list) else [asked]
        if sum(number for number in numbers if isinstance(number, int)) > arrays:
            raise ValueError(f"{option} {asked}, but there are only {arrays} arrays in the file")
