"""Results, as the platforms that collect them read them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from minires.classroom.classes.class_page import page_of
from minires.classroom.classes.class_report import ClassReport
from minires.classroom.classes.gradebooks import GRADEBOOKS
from minires.classroom.results import Submission
from minires.serialize.atomic import atomic_write

from .classroom50 import as_classroom50, require_service
from .exercism import as_exercism
from .github import as_github
from .gradescope import as_gradescope
from .junit import as_junit
from .table import as_csv

__all__ = [
    "CLASS_FORMATS",
    "FORMATS",
    "as_classroom50",
    "as_csv",
    "as_exercism",
    "as_github",
    "as_gradescope",
    "as_junit",
    "require_service",
    "write_results",
]

# Of one submission, the text of a file and how it ends.
FORMATS: dict[str, tuple[str, Callable[[Submission], str]]] = {
    "exercism": (".json", lambda each: _json(as_exercism(each))),
    "github": (".txt", lambda each: as_github(each) + "\n"),
    "gradescope": (".json", lambda each: _json(as_gradescope(each))),
    "junit": (".xml", as_junit),
}
# Of a class, the text of a file and its name; gradebooks take what the platform exports, too.
CLASS_FORMATS: dict[str, tuple[str, Callable[[ClassReport], str]]] = {
    "csv": ("grades.csv", lambda report: as_csv(report.grades)),
    "html": ("grades.html", page_of),
}


def write_results(
    report: ClassReport,
    out: Path,
    format: str,
    *,
    gradebook: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[Path, list[str]]:
    """Write all results in a format: a file for each submission, or one for the class.

    Parameters
    ----------
    report : ClassReport
    out : Path
    format : str
        One of `FORMATS` or `CLASS_FORMATS`, ``canvas``, ``moodle``, or ``classroom50``: that is
        ``result.json``, of the one submission that the service has asked for.
    gradebook : Path, optional
        What Canvas or Moodle exported.
    environment : mapping
        Where Classroom 50 says of what it is.

    Returns
    -------
    Path
        Of the file, or of the folder of files.
    list of str
        What is to be told of it.

    Raises
    ------
    ValueError
        If Classroom 50 has not said which submission it is, or there are several; if what was
        exported is no gradebook.
    """
    if format in GRADEBOOKS:
        text, notes = GRADEBOOKS[format](report.grades, report.title, gradebook)
        return _written(out / f"{format}.csv", text), notes
    if format in CLASS_FORMATS:
        name, text_of_class = CLASS_FORMATS[format]
        return _written(out / name, text_of_class(report)), []
    if format == "classroom50":
        require_service(environment, len(report.submissions))
        text = _json(as_classroom50(report.submissions[0], environment))
        return _written(out / "result.json", text), []
    ending, text_of = FORMATS[format]
    folder = out / format
    folder.mkdir(parents=True, exist_ok=True)
    for each in report.submissions:
        _written(folder / f"{each.id}{ending}", text_of(each))
    return folder, []


def _written(path: Path, text: str) -> Path:
    with atomic_write(path, "w") as file:
        file.write(text)
    return path


def _json(told: Mapping[str, object]) -> str:
    return json.dumps(told, indent=1, allow_nan=False) + "\n"
