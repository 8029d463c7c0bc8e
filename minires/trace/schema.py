"""Records to JSON text and back, and the JSON Schema of that text.

All three follow from the declarations in `records`: Pydantic reads them. JSON has no word for NaN
and infinity; they are the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from . import records as declarations
from .records import SCHEMA, Records

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import SchemaSerializer, SchemaValidator

# Names, sources and errors are told in views, where longer ones would help nobody.
_LONGEST = 1 << 16

# What was found at a fault may be nearly all of the text, as objects of Python's.
_QUOTED = 1 << 22

_BEGINNING = re.compile(rb'\s*\{\s*"schema"\s*:\s*"([^"\\]{0,200})"')

_NAMED = ("NaN", "Infinity", "-Infinity")


class TextError(ValueError):
    """The text is not that of a trace; the message says where and why."""


def to_json(records: Records) -> str:
    """Write records as JSON, on one line.

    Parameters
    ----------
    records : Records

    Returns
    -------
    str
        The same for equal records. A character that UTF-8 does not have (from an undecodable file
        name) becomes a question mark, and a text of more than 65,536 characters is cut.
    """
    # Equal dicts may differ in order.
    steps = [
        replace(
            step,
            constants=dict(sorted(step.constants.items())),
            notes=dict(sorted(step.notes.items())),
        )
        for step in records.forward
    ]
    return _tools()[1].to_json(replace(records, forward=steps)).decode()


def from_json(text: bytes | str) -> Records:
    """Read records from JSON, strictly: no type is converted, no key ignored.

    Parameters
    ----------
    text : bytes or str

    Returns
    -------
    Records
        Well-formed; whether their numbers refer to something is for `integrity.check` to say.

    Raises
    ------
    TextError
        The text is not JSON, of another version of the schema, or not what the schema says.
    """
    import pydantic_core

    # A later version's text begins with the key, too; reading all of it twice would take as long.
    begun = _BEGINNING.match(text if isinstance(text, bytes) else text.encode(errors="replace"))
    if begun is not None:
        _require_version(begun[1].decode(errors="replace"))
    try:
        records: Records = _tools()[0].validate_json(text)
    except pydantic_core.ValidationError as error:
        raise TextError(_said(error, quote=len(text) < _QUOTED)) from None
    _require_version(records.schema)
    return records


def _require_version(found: str) -> None:
    if found != SCHEMA:
        raise TextError(
            f"its schema is {found[:80]!r}, and this version of minires reads {SCHEMA!r} only;"
            " read it with the version that wrote it"
        )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a trace's text, as published in docs/trace.schema.json.

    Returns
    -------
    dict
        JSON Schema, draft 2020-12.

    Examples
    --------
    >>> json_schema()["properties"]["schema"]["const"]
    'minires.trace/1'
    """
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import core_schema

    class Generate(GenerateJsonSchema):
        def float_schema(self, schema: core_schema.FloatSchema) -> dict[str, Any]:
            return {"anyOf": [{"type": "number"}, {"enum": list(_NAMED)}]}

    found = _adapter().json_schema(schema_generator=Generate)
    found["$schema"] = Generate.schema_dialect
    found["properties"]["schema"]["const"] = SCHEMA
    for name, part in [("Records", found), *found["$defs"].items()]:
        _describe(part, getattr(declarations, name).__doc__)
    return found


@cache
def _adapter() -> TypeAdapter[Records]:
    from pydantic import TypeAdapter

    return TypeAdapter(Records)


@cache
def _tools() -> tuple[SchemaValidator, SchemaSerializer]:
    from pydantic_core import SchemaSerializer, SchemaValidator

    schema = _respelled(_adapter().core_schema)
    return SchemaValidator(schema), SchemaSerializer(schema)


def _respelled(schema: Any) -> Any:
    """Let floats be read from their names, and text be written that UTF-8 does not have."""
    from pydantic_core import core_schema

    if isinstance(schema, list):
        return [_respelled(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "float":
        number = core_schema.float_schema(strict=True, allow_inf_nan=False)
        return core_schema.no_info_wrap_validator_function(
            lambda found, read: float(found) if found in _NAMED else read(found), number
        )
    if schema.get("type") == "str":
        writer = core_schema.plain_serializer_function_ser_schema(
            lambda text: text[:_LONGEST].encode(errors="replace").decode()
        )
        return {**schema, "serialization": writer, "max_length": _LONGEST}
    respelled = {key: _respelled(value) for key, value in schema.items()}
    if schema.get("type") in ("list", "tuple"):
        respelled["fail_fast"] = True  # to collect millions of faults would take gigabytes
    return respelled


def _said(error: Any, *, quote: bool) -> str:
    """Name the first few places at which the text is wrong; quote what was found there."""
    found = error.errors(include_url=False, include_context=False, include_input=quote)
    told = []
    for each in found[:3]:
        what = {
            "missing": "it is missing",
            "json_invalid": each["msg"].replace("Invalid JSON", "it is not JSON"),
            "unexpected_keyword_argument": "there is no such key",
        }.get(each["type"], each["msg"].replace("Input should be", "it should be"))
        if each["type"] == "json_invalid":
            return str(what)
        if each["type"] not in ("missing", "unexpected_keyword_argument"):
            what += f", found {str(each['input'])[:60]!r}" if quote else ""
        told.append(f"{_place(each['loc'])}: {what}")
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(told) + more


def _place(path: tuple[int | str, ...]) -> str:
    """Write a place in the text as values[3].stats.norm."""
    written = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return written.lstrip(".") or "the text"


def _describe(part: dict[str, Any], docstring: str) -> None:
    """Let a docstring's first line describe a record, and its Attributes describe the keys."""
    part["additionalProperties"] = False  # as older versions of Pydantic check, but do not say
    first, _, attributes = docstring.partition("\n\n")
    part["description"] = " ".join(first.split())
    for key in part["properties"].values():
        key.pop("title", None)
    entries = re.findall(
        r"^    (\w[\w, ]*) : .*\n((?:     +.*\n)*)", attributes, flags=re.MULTILINE
    )
    for names, text in entries:
        for name in names.split(", "):
            if text:
                part["properties"][name]["description"] = " ".join(text.split())
