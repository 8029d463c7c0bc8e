"""Results of experiments as files: each trial, and what follows from all of them."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from minires.serialize import atomic_write
from minires.serialize.json_text import strict, to_json

from .rules import Outcome

SCHEMA = "minires.lab.result/1"
_DIGITS = 5

DEFINITIONS = {
    "outcome": "supports, contradicts or inconclusive, by the rules; failed if a trial failed",
    "measured": "a list has one number for each seed, in their order; all else is exact",
    "trials": "by condition, what each seed's run has returned; the figure is drawn from it",
    "seconds": "of all trials together, each on its share of the processors",
    "null": "not measured, or not a finite number",
}


@dataclass(kw_only=True)
class Result:
    """What came of an experiment.

    Attributes
    ----------
    experiment, title, scale, device : str
    settings : dict
        The scale's fields.
    seeds : list of int
    outcome : {"supports", "contradicts", "inconclusive", "failed"}
        Of all claims together: the weakest.
    claims : list of dict
        Each with "claim", "source", "paper", "rule", "outcome", "because" and "measured".
    measured : dict
    trials : dict
        By condition, a list by seed.
    failures : list of dict
        Each with "condition", "seed", "failure".
    images : dict or None
        Which these were.
    environment : dict
        See `minires.training.machine.environment`.
    commit : str or None
        Of minires, if it lies in a repository.
    created : str
        In UTC.
    seconds : float
    fingerprint : str
        Of all that it depends on: a result with another one is out of date.
    """

    experiment: str
    title: str
    scale: str
    device: str
    settings: dict[str, Any]
    seeds: list[int]
    outcome: Outcome | Literal["failed"] = "failed"
    claims: list[dict[str, Any]] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, Any] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None
    created: str = ""
    seconds: float = 0.0
    fingerprint: str = ""


def write_result(result: Result, folder: Path) -> Path:
    """Write a result into ``results`` in a folder, all of it or nothing."""
    record = {"schema": SCHEMA, **asdict(result), "definitions": DEFINITIONS}
    return _written(_result_file(folder, result.experiment), to_json(strict(record, _DIGITS)))


def read_result(folder: Path, experiment: str) -> Result | None:
    """Read the result of an experiment; None if there is none.

    Raises
    ------
    ValueError
        If the file is no result, or a damaged one.
    """
    file = _result_file(folder, experiment)
    if not file.exists():
        return None
    try:
        record = json.loads(file.read_text("utf-8"))
        if record.pop("schema") != SCHEMA:
            raise ValueError("another format")
        record.pop("definitions")
        return Result(**record)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"'{file}' is no result of minires lab, or a damaged one ({error}); move it away, and"
            " run the experiment again"
        ) from None


def write_trial(
    folder: Path,
    fingerprint: str,
    condition: str,
    seed: int,
    trial: dict[str, Any],
    seconds: float,
) -> None:
    """Keep what a trial has returned, and how many seconds it took."""
    record = {
        "fingerprint": fingerprint,
        "condition": condition,
        "seed": seed,
        "seconds": seconds,
        "trial": trial,
    }
    _written(folder / trial_name(condition, seed), json.dumps(strict(record, _DIGITS)) + "\n")


def read_trial(
    folder: Path, fingerprint: str, condition: str, seed: int
) -> tuple[dict[str, Any], float] | None:
    """Return what a trial has returned and its seconds; None if it must be run (again)."""
    try:
        record = json.loads((folder / trial_name(condition, seed)).read_text("utf-8"))
        if (record["fingerprint"], record["condition"]) != (fingerprint, condition):
            return None
        return record["trial"], record["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def trial_name(condition: str, seed: int) -> str:
    """Return the name of a trial's file.

    Examples
    --------
    >>> trial_name("Plain, 56 layers", 0)
    'plain-56-layers-seed0.json'
    """
    return f"{re.sub('[^a-z0-9.]+', '-', condition.lower()).strip('-')}-seed{seed}.json"


@cache
def commit() -> str | None:
    """Return the commit of minires, ``-dirty`` if files differ from it; None outside of git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        told = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip() or None


def _result_file(folder: Path, experiment: str) -> Path:
    return folder / "results" / f"{experiment}.json"


def _written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, "w") as opened:
        opened.write(text)
    return file
