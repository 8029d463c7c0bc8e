"""Result files: where they lie, what figures are in them, and two of them side by side."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

from minires.serialize.atomic import atomic_write

from .measure import environment

FOLDER = Path(__file__).parent / "results"
SCHEMA = "minires.benchmark/2"


def new_result(device: str = "cpu") -> dict[str, Any]:
    """Return a result that holds nothing yet but where and when."""
    today = date.today().isoformat()
    return {"schema": SCHEMA, "date": today, "environment": environment(device)}


def file_name(result: dict[str, Any]) -> str:
    """Return ``<processor>-<number>cpu-<date>.json``, or ``<gpu>-<date>.json``.

    The name of the machine has no part in it.
    """
    where = result["environment"]
    slug = re.sub(r"[^a-z0-9]+", "-", where.get("gpu", where["processor"]).lower()).strip("-")
    number = "" if "gpu" in where else f"-{where['processors']}cpu"
    return f"{slug}{number}-{result['date']}.json"


def save(result: dict[str, Any], path: Path) -> None:
    """Write a result file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        file.write(json.dumps(_rounded(result), indent=1) + "\n")


def _rounded(value: Any) -> Any:
    """Shorten floats to seven digits, all that float32 holds."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def load(path: Path) -> dict[str, Any]:
    """Read a result file, of this format or the older one.

    Raises
    ------
    ValueError
        If the file cannot be read, or is none.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(result, dict) or not str(result.get("schema")).startswith(
        "minires.benchmark/"
    ):
        raise ValueError(f"{path}: not a result of `python -m benchmarks`")
    return result


def figures(result: dict[str, Any]) -> dict[str, float]:
    """Return the minimum of everything that was measured, by the path that leads to it."""
    found: dict[str, float] = {}

    def walk(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict) and isinstance(value.get("minimum"), (int, float)):
            found[" / ".join(path)] = value["minimum"]
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(item, path if key in ("jobs", "blocks") else (*path, key))

    walk(result, ())
    return found


def comparison(first: Path, second: Path) -> list[dict[str, Any]]:
    """Return a row for each figure that both files have, with the second's in terms of the first's.

    Raises
    ------
    ValueError
        If a file is no result, or they have no figure in common.
    """
    a, b = figures(load(first)), figures(load(second))
    rows = [
        {"figure": name, "first": a[name], "second": b[name], "ratio": b[name] / a[name]}
        for name in a
        if name in b and a[name]
    ]
    if not rows:
        raise ValueError(f"{first} and {second} have no figure in common")
    return rows
