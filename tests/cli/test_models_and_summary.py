"""`minires models` and `minires summary`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from minires import models
from minires.cli import main


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names = ["cifar_resnet20_a", "resnet50"]
    monkeypatch.setattr(models, "list", lambda: names)
    return names


def test_models_are_listed_with_what_they_cost(few: list[str], capsys: Any) -> None:
    assert main(["models"]) == 0
    told, beside = capsys.readouterr()
    assert "cifar_resnet8 is cifar_resnet8_a" in beside
    heading, _, *rows = told.splitlines()
    assert heading.split() == [
        "network",
        "parameters",
        "MACs",
        "activations",
        "depth",
        "images",
    ]
    assert rows[0].split()[:3] == ["cifar_resnet20_a", "269,722", "40,551,040"]
    assert rows[1].split() == [
        "resnet50",
        "25,557,032",
        "4,089,184,256",
        "143.3",
        "MiB",
        "50",
        "3x224x224",
    ]
    assert "\x1b" not in told


def test_models_as_json_are_a_list(few: list[str], capsys: Any) -> None:
    assert main(["models", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told] == few
    assert told[0] == {
        "name": "cifar_resnet20_a",
        "params": 269_722,
        "macs": 40_551_040,
        "input": [3, 32, 32],
        "depth": 20,
    }


@pytest.mark.long
def test_every_model_is_listed(capsys: Any) -> None:
    assert main(["models", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == models.list()


def test_a_summary_is_a_line_per_layer_and_the_totals(capsys: Any) -> None:
    assert main(["summary", "resnet50"]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[2].split() == ["conv1", "Conv2d", "64x112x112", "9,408", "118,013,952", "7", "2"]
    assert lines[-3].split() == ["fc", "Linear", "1000", "2,049,000", "2,048,000", "all"]
    assert lines[-1] == (
        "resnet50, 3x224x224: 25,557,032 parameters, 4,089,184,256 MACs, depth 50, activations"
        " 143.3 MiB"
    )
    assert "\x1b" not in told


def test_a_summary_is_of_the_image_that_is_asked_for(capsys: Any) -> None:
    assert main(["summary", "cifar_resnet8", "--input", "3X64x48", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["input"] == [3, 64, 48]
    assert told["layers"][0]["output"] == [16, 64, 48]
    assert told["macs"] == 3 * (12_239_488 - 640) + 640


@pytest.mark.parametrize("columns", ["40", "60", "80", "120"])
@pytest.mark.parametrize("arguments", [["summary", "cifar_resnet8"], ["models"]])
def test_tables_fit_the_terminal_and_have_whole_numbers(
    arguments: list[str], columns: str, few: list[str], monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    assert main(arguments) == 0
    told = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(map(len, told.splitlines())) <= int(columns)
    monkeypatch.delenv("FORCE_COLOR")
    assert main(arguments) == 0
    whole = capsys.readouterr().out.split()
    for line in told.partition("\n\n")[0].splitlines()[2:]:
        # The first word may be a part of a name.
        assert set(line.split()[1:]) <= set(whole)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["resnet5"], "there is no network 'resnet5'; near: resnet50"),
        (["cifar_resnet21"], "minires: depth 21 is not possible: CIFAR networks have 6n + 2"),
        (["resnet50", "--input", "224"], "--input: expected channels, height and width"),
        (["resnet50", "--input", "3x0x224"], "such as 3x224x224; found '3x0x224'"),
        (
            ["resnet50", "--input", "1x224x224"],
            "resnet50 does not take 1x224x224, it was made for 3x224x224: conv2d: input has 1",
        ),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_a_mistake_costs_one_line_and_code_2(arguments: list[str], told: str, capsys: Any) -> None:
    assert main(["summary", *arguments]) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    assert told in line
    assert output.out == ""


@pytest.mark.parametrize("command", ["models", "summary"])
def test_help_tells_the_options(command: str, capsys: Any) -> None:
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert "--json" in told
    assert ("--input" in told) == (command == "summary")
