"""Grading a folder of submissions: each by itself, in any order, and gone on with after any end."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from minires.serialize.atomic import atomic_write
from minires.serialize.locking import alone_in

from .assignment import Assignment, AssignmentError
from .changes import SHARED, affected, check_digests, with_checks
from .judging import Prepared, judged, prepared
from .results import GradedCheck, Submission, graded
from .running.processes import Answer, Runner
from .running.substitutes import Substitutes, substitutes
from .submitted import digest_of, id_of, unpacked, with_files

__all__ = [
    "Record",
    "grade",
    "grading_in",
    "read_record",
    "recorded_submissions",
    "write_record",
]

_GRADING = "grading.json"
_RESULTS = "results"


@dataclass(frozen=True)
class Record:
    """What a folder of results is of.

    Attributes
    ----------
    assignment, title : str
    digest : str
        Of what decides about points.
    seed : int
        Of the numbers that all were called with.
    guards : tuple of str
        What the machine did not keep submissions from.
    says : dict of str to str
        What is said of mistakes, by their ids.
    asked : dict
        How grading was asked for, to do so again.
    """

    assignment: str
    title: str
    digest: str
    seed: int
    guards: tuple[str, ...] = ()
    says: dict[str, str] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)


@contextmanager
def grading_in(out: Path) -> Iterator[None]:
    """Keep other gradings out of a folder of results: each would draw numbers of its own.

    Raises
    ------
    AssignmentError
        If another one is at work in it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with alone_in(out) as alone:
        if not alone:
            raise AssignmentError(
                f"another grading is at work in '{out}'; wait for its end, or name another folder"
            )
        yield


def grade(
    assignment: Assignment,
    submissions: Sequence[Path],
    out: Path,
    runner: Runner,
    jobs: int = 1,
    told: Callable[[Submission], None] = lambda submission: None,
    *,
    name_of: Callable[[str], str] = str,
    guards: Sequence[str] = (),
    asked: Mapping[str, Any] | None = None,
    again: bool = False,
) -> list[Submission]:
    """Grade submissions, with numbers that nobody has seen before.

    Results are written one by one. Where some are there already, they are gone on with by the same
    numbers: what is done is left, unless what was handed in has changed since.

    Parameters
    ----------
    assignment : Assignment
    submissions : sequence of Path
        As from `minires.classroom.submitted.submissions_in`.
    out : Path
        Folder of the results.
    runner : Runner
        `minires.classroom.running.isolation.run_isolated`, for code of people one does not know.
    jobs : int
        How many are graded at a time.
    told : callable
        Hears of each.
    name_of : callable
        From what a submission is called to what its results are.
    guards : sequence of str
        What is missing on this machine, for the record.
    asked : mapping, optional
        For the record, too.
    again : bool
        Whether the assignment may have changed since: then the checks that have are made again.

    Returns
    -------
    list of Submission
        In the order of `submissions`.

    Raises
    ------
    AssignmentError
        If the folder has results of another assignment, or of another state of it; if two
        submissions would have one result; if one could not be graded, when all others are.
    """
    record = _begun(assignment, out, again)
    names = "pseudonyms" if record.asked.get("anonymous") else "names"
    if asked and record.asked and record.asked["anonymous"] != asked["anonymous"]:
        raise AssignmentError(f"'{out}' has results under {names}; name another folder")
    record = Record(
        **{
            **asdict(record),
            "title": assignment.settings.title,
            "digest": _digest(assignment.folder),
            "guards": tuple(guards),
            "says": {each.id: each.says for each in assignment.mistakes.values()},
            "asked": dict(asked or record.asked),
        }
    )
    write_record(out, record)
    targets = {path: out / _RESULTS / f"{name_of(id_of(path))}.json" for path in submissions}
    if len(set(targets.values())) < len(targets):
        raise AssignmentError("two submissions are called the same; grade into another folder")
    if (done := _all_done(assignment, targets, record.digest)) is not None:
        for each in done:
            told(each)
        return done
    cases = _prepared(assignment, record.seed, jobs)
    given = {
        name: substitutes(assignment, assignment.checks[name], case.calls)
        for name, case in cases.items()
    }
    digests = check_digests(assignment, cases)

    def one(path: Path) -> Submission:
        target, incidents = targets[path], list[str]()
        with unpacked(path, assignment.files, incidents) as folder:
            of = {
                "submission": digest_of(folder),
                "assignment": record.digest,
                "checks": digests,
            }
            was, done = _read(target)
            kept = was.get("checks", {}) if was.get("submission") == of["submission"] else {}
            changed = [name for name in digests if kept.get(name) != digests[name]]
            if done is None or changed or kept.keys() != digests.keys():
                part = with_checks(assignment, affected(assignment, changed))
                again = _graded(
                    part, cases, given, record.says, folder, target.stem, incidents, runner
                )
                done = _merged(assignment, done if kept else None, again)
                with atomic_write(target, "w") as file:
                    file.write(json.dumps({"of": of, **asdict(done)}, indent=1) + "\n")
        told(done)
        return done

    def tried(path: Path) -> Submission | Exception:
        try:
            return one(path)
        except Exception as error:  # which is the grader's fault, and no other submission's
            return error

    with ThreadPoolExecutor(jobs) as pool:
        found = dict(zip(submissions, pool.map(tried, submissions), strict=True))
    graded = [each for each in found.values() if isinstance(each, Submission)]
    if len(graded) < len(found):
        path, error = next((p, each) for p, each in found.items() if isinstance(each, Exception))
        raise AssignmentError(
            f"{len(found) - len(graded)} of {len(found)} submissions could not be graded, such as"
            f" {id_of(path)}: {error or type(error).__name__}; the results of the others are kept"
        ) from error
    return graded


def read_record(out: Path) -> Record:
    """Return what a folder of results is of.

    Raises
    ------
    AssignmentError
        If it is none.
    """
    try:
        told = json.loads((out / _GRADING).read_text(encoding="utf-8"))
        return Record(**{**told, "guards": tuple(told["guards"])})
    except (OSError, ValueError, TypeError, KeyError):
        raise AssignmentError(f"'{out}' is no folder of results: it has no {_GRADING}") from None


def write_record(out: Path, record: Record) -> None:
    """Write what a folder of results is of."""
    (out / _RESULTS).mkdir(parents=True, exist_ok=True)
    with atomic_write(out / _GRADING, "w") as file:
        file.write(json.dumps(asdict(record), indent=1) + "\n")


def recorded_submissions(out: Path) -> list[Submission]:
    """Return all results of a folder, by their ids."""
    found = [_read(path)[1] for path in sorted((out / _RESULTS).glob("*.json"))]
    return [each for each in found if each is not None]


def _all_done(
    assignment: Assignment, targets: Mapping[Path, Path], digest: str
) -> list[Submission] | None:
    """Return the results, if there is nothing left to be done and so nothing to be prepared."""
    results = []
    for path, target in targets.items():
        of, result = _read(target)
        if result is None or of.get("assignment") != digest:
            return None
        with unpacked(path, assignment.files, []) as folder:
            if of["submission"] != digest_of(folder):
                return None
        results.append(result)
    return results


def _prepared(assignment: Assignment, seed: int, jobs: int) -> dict[str, Prepared]:
    """Prepare all checks, as many at a time as submissions are graded.

    The assignment's mistakes have been read: they name checks, and a part has one check alone.
    """
    parts = [with_checks(assignment, [check.name]) for check in assignment.settings.checks]
    with ThreadPoolExecutor(jobs) as pool:
        each = pool.map if jobs > 1 else map
        return {
            name: case
            for found in each(lambda part: prepared(part, seed), parts)
            for name, case in found.items()
        }


def _begun(assignment: Assignment, out: Path, again: bool) -> Record:
    """Return the record of a new grading, with a new seed, or of the one to be gone on with."""
    if not (out / _GRADING).exists():
        title, seed = assignment.settings.title, secrets.randbits(64)
        return Record(assignment.name, title, _digest(assignment.folder), seed)
    was = read_record(out)
    if was.assignment != assignment.name:
        raise AssignmentError(
            f"'{out}' has results of {was.assignment}, not of {assignment.name}; name"
            " another folder"
        )
    if was.digest != _digest(assignment.folder) and not again:
        raise AssignmentError(
            f"'{out}' has results of {was.assignment} in another state than it is in now; grade"
            " into another folder, or again what has changed: minires class regrade OUT"
        )
    return was


def _graded(
    assignment: Assignment,
    cases: dict[str, Prepared],
    given: Mapping[str, Substitutes],
    says: Mapping[str, str],
    folder: Path,
    id: str,
    found: Sequence[str],
    runner: Runner,
) -> Submission:
    began = time.perf_counter()
    incidents = list(found)

    def noting(
        file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float, **also: Any
    ) -> Answer:
        answer = runner(file, function, calls, seconds, **also)
        incidents.extend(fact for fact in answer.incidents if fact not in incidents)
        return answer

    results = judged(assignment, with_files(folder, assignment.files), cases, noting, given)
    seconds = round(time.perf_counter() - began, 3)
    return graded(assignment, results, says, id, incidents, seconds)


def _digest(folder: Path) -> str:
    """Return a checksum of what decides about points, and about what is said."""
    tables = ("assignment.toml", "cases.py", "mistakes.toml", *SHARED)
    total = hashlib.sha256()
    for path in [*(folder / name for name in tables), *sorted((folder / "source").glob("*"))]:
        if path.is_file():
            total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _merged(assignment: Assignment, before: Submission | None, again: Submission) -> Submission:
    """Return what was found again, and of before what was not looked at again."""
    if before is None:
        return again
    checks = {each.name: each for each in (*before.checks, *again.checks)}
    return replace(
        again,
        checks=tuple(checks[check.name] for check in assignment.settings.checks),
        incidents=tuple(dict.fromkeys([*before.incidents, *again.incidents])),
    )


def _read(path: Path) -> tuple[dict[str, Any], Submission | None]:
    """Return of what a result is, and the result, if it is there."""
    if not path.exists():
        return {}, None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        of = dict(told.pop("of"))
        checks = tuple(GradedCheck(**check) for check in told.pop("checks"))
        told |= {"checks": checks, "incidents": tuple(told["incidents"])}
        return of, Submission(**told)
    except (ValueError, TypeError, KeyError):
        raise AssignmentError(
            f"'{path}' is no result that this version of minires wrote; grade into another folder"
        ) from None
