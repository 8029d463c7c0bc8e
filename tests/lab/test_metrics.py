from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.lab import Comparison, metrics_of, table_of
from minires.serialize.json_text import to_json


def strictly(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_record_names_its_schema_and_holds_every_run(comparison: Comparison) -> None:
    record = strictly(to_json(metrics_of(comparison)))

    assert record["schema"] == "minires.compare/1"
    assert (record["complete"], record["missing"]) == (True, [])
    assert record["settings"]["depths"] == [8, 14]
    assert record["settings"]["milestones"] == [1, 2]
    assert record["verdict"]["headline"] == comparison.verdict.headline
    assert {"minires", "numpy", "python"} <= record["environment"].keys()
    names = ["plain-8", "residual-8", "plain-14", "residual-14"]
    assert [run["name"] for run in record["runs"]] == names
    for run in record["runs"]:
        assert run["status"] == "finished"
        assert run["train_error"] == pytest.approx(run["epochs"]["train_error"][-1])
        assert np.shape(run["steps"]["gradient_norm"]) == (len(run["layers"]), 46)
        assert len(run["steps"]["loss"]) == 46
        first = run["gradient_norm"]["first_layer"]
        assert first["layer"] == run["layers"][0] == "conv1"
        assert first["first_step"] == run["steps"]["gradient_norm"][0][0]


def test_the_table_has_a_row_per_run_without_the_curves(comparison: Comparison) -> None:
    record = strictly(to_json(table_of(comparison)))

    assert record["schema"] == "minires.compare.table/1"
    assert [(row["depth"], row["twin"]) for row in record["rows"]] == [
        (8, "plain"),
        (8, "residual"),
        (14, "plain"),
        (14, "residual"),
    ]
    for plain, residual in (record["rows"][:2], record["rows"][2:]):
        assert plain["parameters"] == residual["parameters"]
    assert "steps" not in record["rows"][0]


def test_numbers_that_json_does_not_have_become_null(make_comparison: Any) -> None:
    odd = make_comparison(plain_8=0.5, residual_8=None)
    odd.runs[0].gradient_norms = [[float("inf"), float("nan")]]
    odd.runs[0].loss = [float("-inf")]
    record = strictly(to_json(metrics_of(odd)))
    plain, residual = record["runs"]

    assert plain["steps"] == {"loss": [None], "gradient_norm": [[None], [None]]}
    assert (residual["status"], residual["train_error"]) == ("diverged", None)
    assert residual["diverged_at_step"] == 1
    assert residual["gradient_norm"] == {"first_layer": None, "last_layer": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"loss": float("nan")})


def test_an_unfinished_comparison_says_what_is_missing(make_comparison: Any) -> None:
    record = metrics_of(make_comparison(plain_8=0.5))

    assert (record["complete"], record["missing"]) == (False, ["residual-8"])


def test_the_record_tells_neither_host_nor_user_nor_folder(comparison: Comparison) -> None:
    environment = json.dumps(metrics_of(comparison)["environment"])

    for secret in (platform.node(), str(Path.home()), str(Path.cwd())):
        assert secret not in environment
    assert getpass.getuser() not in environment.replace("-", " ").split()
