"""Results that take longer than a tutorial may, as the lab recorded them."""

from __future__ import annotations

from typing import Any

from .catalogue import root


def recorded(experiment: str) -> dict[str, Any]:
    """Return the lab's recorded result of an experiment: its trials, numbers and outcomes.

    ``minires lab run EXPERIMENT --scale small`` measures it again.

    Parameters
    ----------
    experiment : str
        Its name in the lab, such as ``"degradation"``.

    Returns
    -------
    dict
        As in the JSON file of a result.

    Raises
    ------
    LookupError
        If no such result was recorded.
    FileNotFoundError
        If minires was installed without its source.

    Examples
    --------
    >>> recorded("degradation")["scale"]
    'small'
    """
    import json

    folder = root() / "docs" / "lab" / "results"
    path = folder / f"{experiment}.json"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.json"))) or "none"
        raise LookupError(f"recorded: no result of {experiment!r} was recorded; there are: {known}")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result
