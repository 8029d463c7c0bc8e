"""Results of experiments as files: each trial, and what follows from all of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict  # pydantic asks for this one, before Python 3.12

from minires.serialize import atomic_write
from minires.serialize.json_text import strict, to_json

from .rules import Outcome

if TYPE_CHECKING:
    from pydantic import ValidationError

SCHEMA = "minires.lab.result/2"
_DIGITS = 5

DEFINITIONS = {
    "outcome": "supports, contradicts or inconclusive, by the rules; failed if a trial failed",
    "measured": "a list has one number for each seed, in their order; all else is exact",
    "trials": "by condition, what each seed's run has returned; the figure is drawn from it",
    "origins": "by which commit and where the trials were run, how many, and when",
    "seconds": "of all trials together, each on its share of the processors",
    "null": "not measured, or not a finite number",
}


class Judged(TypedDict):
    """A claim, and what came of it."""

    claim: str
    source: str
    paper: str
    rule: str
    outcome: Outcome
    because: str
    measured: dict[str, Any]
    shows_at: str | None


class Failure(TypedDict):
    """What failed: a trial, or with the condition "" the experiment."""

    condition: str
    seed: int
    failure: str
    details: str


class Origin(TypedDict):
    """Where trials come from: `environment` is that of `minires.training.machine`."""

    commit: str | None
    environment: dict[str, Any]
    trials: int
    first: str
    last: str


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
    claims : list of Judged
    measured : dict
    trials : dict
        By condition, a list by seed.
    failures : list of Failure
    images : dict or None
        Which these were.
    origins : list of Origin
        One for each commit and machine that ran trials.
    judged : dict
        By which "commit" they were judged, and when: "created", in UTC.
    seconds : float
    fingerprint : str
        Of all that trials depend on, see `minires.lab.fingerprint`.
    source : str
        Of the source that they ran.
    """

    experiment: str
    title: str
    scale: str
    device: str
    settings: dict[str, Any]
    seeds: list[int]
    outcome: Outcome | Literal["failed"] = "failed"
    claims: list[Judged] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    images: dict[str, Any] | None = None
    origins: list[Origin] = field(default_factory=list)
    judged: dict[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0
    fingerprint: str = ""
    source: str = ""


def write_result(result: Result, folder: Path) -> Path:
    """Write a result into ``results`` in a folder, all of it or nothing."""
    record = {"schema": SCHEMA, **as_kept(asdict(result)), "definitions": DEFINITIONS}
    return _written(_result_file(folder, result.experiment), to_json(record))


def read_result(folder: Path, experiment: str) -> Result | None:
    """Read the result of an experiment; None if there is none.

    Raises
    ------
    ValueError
        If the file is no result, or a damaged one.
    """
    from pydantic import TypeAdapter, ValidationError

    file = _result_file(folder, experiment)
    if not file.exists():
        return None
    try:
        text = file.read_text("utf-8")
        if json.loads(text)["schema"] != SCHEMA:
            raise ValueError("another format")
        result = TypeAdapter(Result).validate_json(text, strict=True)
        if result.experiment == experiment:
            return result
        told = f"it is of {result.experiment!r}"
    except ValidationError as error:
        told = first_of(error)
    except (ValueError, TypeError, KeyError) as error:
        told = str(error)
    raise ValueError(
        f"'{file}' is no result of minires lab, or a damaged one ({told}); move it away, and run"
        " the experiment again"
    )


def first_of(error: ValidationError) -> str:
    """Return in a few words what is wrong with a file, and at which place of it."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is kept of a trial.

    Attributes
    ----------
    trial : dict
        What it has returned.
    seconds : float
    commit : str or None
        Of minires, if it lies in a repository.
    environment : dict
        See `minires.training.machine.environment`.
    created : str
        When it ended, in UTC.
    """

    trial: dict[str, Any]
    seconds: float
    commit: str | None
    environment: dict[str, Any]
    created: str


def write_trial(folder: Path, condition: str, seed: int, kept: Kept) -> Kept:
    """Keep a trial; return what will be read."""
    record = as_kept(asdict(kept))
    text = json.dumps({"condition": condition, "seed": seed, **record})
    _written(folder / trial_name(condition, seed), text + "\n")
    return Kept(**record)


def read_trial(folder: Path, condition: str, seed: int) -> Kept | None:
    """Return what is kept of a trial; None if it must be run (again)."""
    try:
        record = json.loads((folder / trial_name(condition, seed)).read_text("utf-8"))
        if (record.pop("condition"), record.pop("seed")) != (condition, seed):
            return None
        return Kept(**record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def origins(trials: Iterable[Kept]) -> list[Origin]:
    """Return by which commits and where trials were run, how many, and when."""
    found: list[Origin] = []
    for kept in sorted(trials, key=lambda kept: kept.created):
        same = [
            each
            for each in found
            if (each["commit"], each["environment"]) == (kept.commit, kept.environment)
        ]
        if same:
            same[0]["trials"] += 1
            same[0]["last"] = kept.created
        else:
            found.append(
                {
                    "commit": kept.commit,
                    "environment": kept.environment,
                    "trials": 1,
                    "first": kept.created,
                    "last": kept.created,
                }
            )
    return found


def as_kept(value: Any) -> Any:
    """Return what a file will hold: lists for tuples, floats of so many digits, None for NaN.

    Raises
    ------
    TypeError
        If it is no JSON.
    """
    return json.loads(json.dumps(strict(value, _DIGITS)))


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
