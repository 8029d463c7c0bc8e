"""The published JSON Schema, and the text that it describes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import minires as mr
from minires.trace import schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "trace.schema.json"


@pytest.fixture(scope="module")
def trace() -> mr.trace.Trace:
    model = mr.models.cifar_resnet(depth=8)
    with mr.trace.record(model, save="thumbs") as trace:
        mr.ops.cross_entropy(model(mr.randn(2, 3, 8, 8)), mr.tensor([1, 2])).backward()
    trace.path_spectrum()
    return trace


@pytest.fixture
def validator() -> jsonschema.Draft202012Validator:
    found = json.loads(PUBLISHED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def test_the_published_schema_is_what_the_code_says():
    # To publish it anew, write json.dumps(mr.trace.json_schema(), indent=2) and a line end there.
    assert json.loads(PUBLISHED.read_text("utf-8")) == mr.trace.json_schema()


def test_a_real_trace_is_valid(trace, validator):
    validator.validate(json.loads(trace.to_json()))


def test_not_a_number_and_infinity_are_written_by_name_and_valid(validator):
    x = mr.tensor([0.0, -1.0], requires_grad=True)
    with np.errstate(all="ignore"), mr.trace.record() as trace:
        mr.log(x).sum().backward()
    text = trace.to_json()
    assert '"NaN"' in text
    assert '"Infinity"' in text
    validator.validate(json.loads(text, parse_constant=pytest.fail))


@pytest.mark.parametrize(
    "change",
    [
        lambda records: records.pop("budget"),
        lambda records: records.update(schema="minires.trace/2"),
        lambda records: records.update(surprise=1),
        lambda records: records["values"][0]["stats"].update(norm="one"),
        lambda records: records["steps"].append(["sideways", 0]),
    ],
)
def test_the_schema_refuses_what_the_code_refuses(trace, validator, change):
    records = json.loads(trace.to_json())
    change(records)
    assert not validator.is_valid(records)
    with pytest.raises(schema.TextError):
        schema.from_json(json.dumps(records))


def test_every_key_that_the_records_describe_is_described(validator):
    described = validator.schema["$defs"]["Stats"]
    assert described["description"] == "A summary of one array."
    assert described["properties"]["norm"]["description"].startswith("Euclidean norm")
