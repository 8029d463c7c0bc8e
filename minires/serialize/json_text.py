"""Records as JSON that can be read by eye and compared line by line."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(record: dict[str, Any]) -> str:
    """Write a record as JSON, one line per entry and per run.

    Raises
    ------
    ValueError
        If it holds a number that JSON does not have.
    """
    lines = []
    for key, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n    ".join(json.dumps(item, allow_nan=False) for item in value)
            lines.append(f"  {json.dumps(key)}: [\n    {items}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def strict(value: Any, digits: int = 6) -> Any:
    """Shorten floats to so many digits, and replace what JSON has no word for by None.

    Examples
    --------
    >>> strict({"loss": [0.123456789, float("nan")]})
    {'loss': [0.123457, None]}
    """
    if isinstance(value, dict):
        return {key: strict(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item, digits) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value
