"""What the platforms read, as JSON schemas, written from their documentation."""

from __future__ import annotations

from typing import Any

_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE = {"type": "integer", "minimum": 0}
_FORMAT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
_VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}


def _object(
    required: dict[str, Any], optional: dict[str, Any] | None = None, more: bool = False
) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": more,
    }


def _array(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


GRADESCOPE = _object(
    {"score": {"type": "number"}},
    {
        "execution_time": {"type": "number"},
        "output": _TEXT,
        "output_format": _FORMAT,
        "test_output_format": _FORMAT,
        "test_name_format": _FORMAT,
        "visibility": _VISIBILITY,
        "stdout_visibility": _VISIBILITY,
        "extra_data": {"type": "object"},
        "tests": _array(
            _object(
                {"name": _TEXT},
                {
                    "score": {"type": "number"},
                    "max_score": {"type": "number"},
                    "status": {"enum": ["passed", "failed"]},
                    "name_format": _FORMAT,
                    "number": _TEXT,
                    "output": _TEXT,
                    "output_format": _FORMAT,
                    "tags": _array(_TEXT),
                    "visibility": _VISIBILITY,
                    "extra_data": {"type": "object"},
                },
            )
        ),
    },
)

_URL = {"type": "string", "pattern": "^https?://"}
CLASSROOM50 = _object(
    {
        "schema": {"const": "classroom50/result/v1"},
        "classroom": _TEXT,
        "assignment": _TEXT,
        "submission": {"type": "string", "pattern": "^submit/"},
        "commit": _URL,
        "release": _URL,
        "review": _URL,
        "datetime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "score": _WHOLE,
        "max-score": _WHOLE,
        "tests": _array(
            _object(
                {
                    "test-name": _TEXT,
                    "passed": {"type": "boolean"},
                    "score": _WHOLE,
                    "max-score": _WHOLE,
                },
                more=True,  # what else there is of a test is kept
            )
        ),
    }
)

_STATUS = {"enum": ["pass", "fail", "error"]}
GITHUB = _object(
    {
        "version": {"const": 3},
        "status": _STATUS,
        "max_score": _WHOLE,
        "tests": _array(
            _object(
                {"name": _TEXT, "status": _STATUS},
                {
                    "message": _TEXT,
                    "test_code": _TEXT,
                    "task_id": _WHOLE,
                    "filename": _TEXT,
                    "line_no": _WHOLE,
                    "duration": {"type": "number"},
                    "score": {"type": "number"},
                    "output": _TEXT,
                },
            )
        ),
    },
    {"message": _TEXT},
)

_TEXT_OR_NULL = {"type": ["string", "null"]}
EXERCISM = _object(
    {
        "version": {"enum": [1, 2, 3]},
        "status": _STATUS,
        "tests": _array(
            _object(
                {"name": _TEXT, "status": _STATUS},
                {
                    "message": {**_TEXT_OR_NULL, "maxLength": 65_535},
                    "output": {**_TEXT_OR_NULL, "maxLength": 500},
                    "test_code": _TEXT_OR_NULL,
                    "task_id": _WHOLE,
                },
            )
        ),
    },
    {"message": _TEXT_OR_NULL},
)
