"""Data sets by name, for the command line and for experiments."""

from __future__ import annotations

from collections.abc import Callable

from .handwriting import digits
from .split import Split

_MAKERS: dict[str, Callable[[int], Split]] = {"digits": digits}


def dataset_names() -> list[str]:
    """Return the names that `get_dataset` knows, sorted."""
    return sorted(_MAKERS)


def get_dataset(name: str, seed: int = 0) -> Split:
    """Return the data set called `name`, divided into training and test part.

    Parameters
    ----------
    name : str
        One of `dataset_names`.
    seed : int
        Decides the division where the data set has none of its own.

    Raises
    ------
    ValueError
        If there is no such data set; the message lists those that there are.

    Examples
    --------
    >>> import minires as mr
    >>> len(mr.data.get_dataset("digits").test)
    359
    """
    if name not in _MAKERS:
        raise ValueError(f"unknown data set {name!r}; there are: {', '.join(dataset_names())}")
    return _MAKERS[name](seed)
