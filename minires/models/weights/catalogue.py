"""The published weights that minires knows: what each is, and where it is to be had."""

from __future__ import annotations

import difflib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from minires.serialize import atomic_write
from minires.serialize.download import Progress, fetch, home, is_there

__all__ = [
    "Card",
    "Entry",
    "Preprocessing",
    "card_of",
    "entries",
    "find",
    "get",
    "is_listed",
    "write_card",
]


class _Record(BaseModel):
    """What stands in a JSON file: nothing unknown, nothing left out, nothing changed."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False
    )


class Preprocessing(_Record):
    """What is done to an image: its shorter side to `size`, the middle `crop`, then x / 255.

    Attributes
    ----------
    size, crop : int
        Pixels.
    mean, std : tuple of float
        For each channel, what is subtracted, and what then is divided by.
    pixel_mean : tuple of float
        Of channels * crop * crop numbers, row by row: what is subtracted from each pixel instead.
    """

    size: int = Field(gt=0)
    crop: int = Field(gt=0)
    mean: tuple[float, ...] = Field(min_length=1)
    std: tuple[float, ...] = Field(min_length=1)
    pixel_mean: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.pixel_mean) not in (0, len(self.mean) * self.crop**2):
            raise ValueError("pixel_mean must have a number for each pixel of each channel")
        if self.crop > self.size or len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError("crop must be at most size, and each mean have its positive std")
        return self


_NOT_HERE = {
    "num_classes": "the names of the classes tell it",
    "in_channels": "the preprocessing's mean tells it",
    "device": "it is for whoever asks the network to say",
    "seed": "all weights are in the file",
}


class Card(_Record):
    """What one must know to use a file of weights; it stands beside the file, as JSON.

    Attributes
    ----------
    model : str
        Its name, as for `minires.models.create`.
    options : dict
        For the model, besides `num_classes` and `in_channels`.
    classes : tuple of str
        Names of the classes, in order.
    preprocessing : Preprocessing
    licence, source : str
    training : dict
        Of weights that minires trained: after which epoch, and what was measured.
    """

    schema_: str = Field(default="minires.weights/1", alias="schema", pattern="^minires.weights/1$")
    model: str
    options: dict[str, Any] = {}
    classes: tuple[str, ...] = Field(min_length=1)
    preprocessing: Preprocessing
    licence: str = ""
    source: str = ""
    training: dict[str, Any] = {}

    @field_validator("model", "classes")
    @classmethod
    def _cannot_steer_a_terminal(cls, names: Any) -> Any:
        if not "".join(names).isprintable():
            raise ValueError("a name has characters that cannot be printed")
        return names

    @field_validator("options")
    @classmethod
    def _are_the_cards(cls, options: dict[str, Any]) -> dict[str, Any]:
        for option, why in _NOT_HERE.items():
            if option in options:
                raise ValueError(f"{option!r} does not belong here: {why}")
        return options


class Entry(_Record):
    """Weights that can be had.

    Attributes
    ----------
    name : str
    file : str
        The file's own name.
    address : str or None
        Where it is downloaded from; None for one that came with minires.
    sha256 : str
    size : int or None
        In bytes, where it is known.
    card : Card
    """

    name: str
    file: str = Field(pattern=r"^[\w-]+(\.\w+)+$")
    address: str | None = Field(default=None, pattern="^https://")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int | None = None
    card: Card


class _Catalogue(_Record):
    weights: tuple[Entry, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """Return all weights that are known, in the catalogue's order."""
    text = Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8")
    return _Catalogue.model_validate_json(text).weights


def find(name: str) -> Entry:
    """Return the entry of a name.

    Raises
    ------
    ValueError
        If there is none; it says what there is.
    """
    names = [entry.name for entry in entries()]
    if name in names:
        return entries()[names.index(name)]
    near = difflib.get_close_matches(name, names, 1, 0.6)
    advice = f"perhaps {near[0]!r}" if near else "there are: " + ", ".join(names)
    raise ValueError(f"there are no weights {name!r} in the catalogue; {advice}")


def is_listed(name: object) -> bool:
    """Tell whether there are weights of this name, and not only something near."""
    return any(entry.name == name for entry in entries())


def get(
    name: str, folder: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> Path:
    """Bring weights to a folder, with their card beside them, unless they are there already.

    Parameters
    ----------
    name : str
        One in `entries`.
    folder : str or os.PathLike, optional
        By default ``weights`` in `minires.serialize.download.home`.
    progress : callable, optional
        As for `minires.serialize.download.fetch`.

    Returns
    -------
    pathlib.Path
        Of the weights; the card has the same name with the suffix ``.json``.

    Raises
    ------
    ValueError
        If there is no such entry.
    DownloadError
        If the file cannot be had.
    """
    entry = find(name)
    path = (home() / "weights" if folder is None else Path(folder)) / entry.file
    if entry.address is not None:
        fetch(
            entry.address,
            path,
            sha256=entry.sha256,
            size=entry.size,
            licence=entry.card.licence,
            progress=progress,
        )
    elif not is_there(path, entry.sha256):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(Path(__file__).with_name(entry.file).read_bytes())
    if not path.with_suffix(".json").exists():  # somebody may have changed it
        write_card(entry.card, path)
    return path


def write_card(card: Card, weights: Path) -> None:
    """Write a card beside weights; older versions read it unless it says something new."""
    says = card.model_dump(mode="json", by_alias=True)
    for record, newer in ((says, "training"), (says["preprocessing"], "pixel_mean")):
        if not record[newer]:
            del record[newer]
    with atomic_write(weights.with_suffix(".json"), "w") as text:
        text.write(json.dumps(says, indent=2, ensure_ascii=False) + "\n")


def card_of(weights: Path) -> Card:
    """Read the card beside a file of weights.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it does not say what it should.
    """
    path = weights.with_suffix(".json")
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {str(path)!r}, which would say the names of the classes and what is done"
            " to an image; a wrong guess would give wrong answers without any error. minires"
            " weights get and minires compare write one; copy and change it"
        )
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"'{path}' is no card of weights: {where}: {first['msg']}") from None
