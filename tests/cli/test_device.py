"""--device: one option for all commands, looked at before they begin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from minires.cli import main

COMMANDS = ["compare", "trace", "step", "bench"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_missing_costs_one_line_and_code_2_and_leaves_nothing(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(sys, "platform", "linux")

    assert main([command, "--device", "cuda:7"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--device: device 'cuda:7' is not available: CuPy is not installed" in line
    assert line.endswith(". See also: minires info")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_word_that_is_no_device_costs_one_line_and_code_2(command: str, capsys: Any) -> None:
    assert main([command, "--device", "gpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--device: unknown device 'gpu'" in line
    assert line.endswith(f". Help: minires {command} --help")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_without_values_costs_one_line_and_code_2(command: str, capsys: Any) -> None:
    assert main([command, "--device", "meta"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--device: on 'meta' there are no values to compute with" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_the_option_is_told_in_the_same_words_everywhere(command: str, capsys: Any) -> None:
    assert main([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Where to compute: cpu, or cuda (the first GPU), or cuda:1, ..." in told
