"""Putting the audit's correct statements to their checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic asks for this one, before Python 3.12

from minires.lab.experiment import ScaleName
from minires.lab.fingerprint import digest
from minires.lab.laboratory import Laboratory, NotMeasuredError, Trial
from minires.lab.results import commit, first_of
from minires.lab.rules import Measured, Outcome
from minires.lab.workers import Job, carry_out
from minires.serialize import atomic_write
from minires.serialize.json_text import strict

from .audited import audited_items
from .item import Item

FILE = "claims.json"


class Record(TypedDict):
    """A statement of the audit, and what came of the check of the correct one.

    The outcome is "supports", "contradicts" or "inconclusive" by the rule, "failed" if the check
    did, and "cited" of a citation. What was read of experiments has digests, by their names.
    """

    code: str
    statement: str
    verdict: str
    correct: str
    kind: Literal["experiment", "citation"]
    outcome: Outcome | Literal["failed", "cited"]
    measured: dict[str, Any]
    rule: str
    because: str
    source: str
    seconds: float
    scale: str
    commit: str | None
    created: str
    read: dict[str, str]


def audit(
    lab: Laboratory,
    codes: Sequence[str] | None = None,
    told: Callable[[Record], None] = lambda record: None,
    trial_told: Callable[[Trial], None] = lambda trial: None,
    *,
    before: Callable[[Sequence[str]], None] = lambda names: None,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> list[Record]:
    """Check items of the audit; an experiment that one reads is run if it has no result yet.

    Parameters
    ----------
    lab : Laboratory
    codes : sequence of str, optional
        By default all.
    told : callable
        Called with each record as it comes.
    trial_told : callable
        Called with each trial of an experiment that had to be run.
    before : callable
        Called with the names of experiments before they are run.
    failed : dict of str, optional
        Why experiments have failed a moment ago, by name: they are not run again.

    Returns
    -------
    list of Record
        In the order of the codes.

    Raises
    ------
    ValueError
        If a code is unknown.
    """
    known = audited_items()
    wanted = list(known) if codes is None else [code.upper() for code in codes]
    unknown = [code for code in wanted if code not in known]
    if unknown:
        raise ValueError(f"unknown claim {unknown[0]!r}; there are: {', '.join(known)}")
    records: dict[str, Record] = {}
    why_not = dict(failed)

    def keep(code: str, **found: Any) -> None:
        records[code] = strict({**_described(known[code], lab.scale), **found})
        told(records[code])

    for code in wanted:
        if known[code].check is None:
            keep(code)
    open_ = [code for code in wanted if code not in records]
    were_run: set[str] = set()
    while open_:
        arguments = str(lab.folder), lab.scale, lab.seeds
        jobs = [Job(code, check_item, (code, *arguments)) for code in open_]
        needed: dict[str, str] = {}
        for done in carry_out(jobs, lab.jobs):
            code = done.job.name
            if done.failure:
                keep(code, outcome="failed", because=done.failure, seconds=done.seconds)
            elif isinstance(done.value, str):
                needed[code] = done.value
            else:
                keep(code, seconds=done.seconds, **done.value)
        why_not |= dict.fromkeys(
            were_run & set(needed.values()) - set(why_not),
            "it was run, and is out of date: the lab's source was changed meanwhile",
        )
        absent = sorted(set(needed.values()) - set(why_not))
        were_run |= set(absent)
        if absent:
            before(absent)
        why_not |= {
            name: result.failures[0]["failure"]
            for name, result in lab.run(absent, trial_told).items()
            if result.outcome == "failed"
        }
        for code, name in needed.items():
            if name in why_not:
                because = f"the experiment {name!r} has failed: {why_not[name]}"
                keep(code, outcome="failed", because=because)
        open_ = [code for code in needed if code not in records]
    return [records[code] for code in wanted]


class _Reader:
    """Notes what a check reads of a laboratory."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.read: dict[str, str] = {}

    def measured(self, experiment: str) -> Measured:
        found = self.lab.measured(experiment)
        self.read[experiment] = digest(dict(found))
        return found


def check_item(
    code: str, folder: str, scale: ScaleName, seeds: int | None = None
) -> dict[str, Any] | str:
    """Check one item; return what was found, or the name of the experiment that it lacks."""
    item, reader = audited_items()[code], _Reader(Laboratory(folder, scale, seeds=seeds))
    assert item.rule is not None
    assert item.check is not None
    try:
        measured = item.check(reader)
    except NotMeasuredError as error:
        return error.experiment
    judged = item.rule.judge(measured)
    return {
        "outcome": judged.outcome,
        "because": judged.because,
        "measured": dict(measured),
        "read": reader.read,
    }


def out_of_date(record: Record, lab: Laboratory) -> str:
    """Return why a record is none of a laboratory and of the audit as they are now, or ""."""
    if record["scale"] != lab.scale:
        return f"of the scale {record['scale']}"
    item = audited_items().get(record["code"])
    if item is None or (item.correct, item.rule.text if item.rule else "") != (
        record["correct"],
        record["rule"],
    ):
        return "out of date"
    for name, read in record["read"].items():
        result = lab.result(name)
        if result is None or digest(result.measured) != read:
            return "out of date"
    return ""


def write_audit(records: Sequence[Record], folder: Path) -> Path:
    """Write records of an audit as a JSON list; those of other codes that are there stay.

    Raises
    ------
    ValueError
        If the file that is there is damaged.
    """
    file = folder / FILE
    found = {record["code"]: record for record in (*(read_audit(folder) or ()), *records)}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file, "w") as opened:
        opened.write(as_json([found[code] for code in audited_items() if code in found]))
    return file


def as_json(records: Sequence[Record]) -> str:
    """Return the records of an audit as a JSON list, one line for each."""
    lines = ",\n  ".join(json.dumps(record, allow_nan=False) for record in records)
    return f"[\n  {lines}\n]\n" if records else "[]\n"


def read_audit(folder: Path) -> list[Record] | None:
    """Read the records of an audit; None if there are none.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    from pydantic import TypeAdapter, ValidationError

    file = folder / FILE
    if not file.exists():
        return None
    try:
        return TypeAdapter(list[Record]).validate_json(file.read_text("utf-8"), strict=True)
    except ValidationError as error:
        told = first_of(error)
    except ValueError as error:
        told = str(error)
    raise ValueError(
        f"'{file}' is no audit of minires lab, or a damaged one ({told}); move it away"
    )


def _described(item: Item, scale: ScaleName) -> Record:
    return {
        "code": item.code,
        "statement": item.statement,
        "verdict": item.verdict,
        "correct": item.correct,
        "kind": "citation" if item.check is None else "experiment",
        "outcome": "cited",
        "measured": {},
        "rule": item.rule.text if item.rule else "",
        "because": "",
        "source": item.source,
        "seconds": 0.0,
        "scale": scale,
        "commit": commit(),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "read": {},
    }
