"""Results, as the platforms that collect them read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from minires.classroom.results import Submission
from minires.serialize.atomic import atomic_write

from .classroom50 import as_classroom50
from .exercism import as_exercism
from .github import as_github
from .gradescope import as_gradescope
from .junit import as_junit
from .table import as_csv

__all__ = [
    "FORMATS",
    "as_classroom50",
    "as_csv",
    "as_exercism",
    "as_github",
    "as_gradescope",
    "as_junit",
    "write_results",
]

# Of one submission, the text of a file and how it ends. Classroom 50 wants its service's variables.
FORMATS: dict[str, tuple[str, Callable[[Submission], str]]] = {
    "exercism": (".json", lambda each: json.dumps(as_exercism(each), indent=1) + "\n"),
    "github": (".txt", lambda each: as_github(each) + "\n"),
    "gradescope": (".json", lambda each: json.dumps(as_gradescope(each), indent=1) + "\n"),
    "junit": (".xml", as_junit),
}


def write_results(submissions: Sequence[Submission], out: Path, format: str) -> Path:
    """Write all results in one of `FORMATS`, a file each, or as one table, ``csv``.

    Returns
    -------
    Path
        Of the folder, or of the table.
    """
    if format == "csv":
        path = out / "grades.csv"
        with atomic_write(path, "w") as file:
            file.write(as_csv(submissions))
        return path
    ending, text_of = FORMATS[format]
    folder = out / format
    folder.mkdir(parents=True, exist_ok=True)
    for each in submissions:
        with atomic_write(folder / f"{each.id}{ending}", "w") as file:
            file.write(text_of(each))
    return folder
