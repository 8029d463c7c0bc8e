"""The rules in conftest.py are themselves held to account, on a test suite of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SUITE = """
import pytest
from hypothesis import given, strategies as st

@pytest.mark.oracle
def test_oracle_that_is_skipped():
    pytest.skip("no such operation")

@pytest.mark.oracle
@pytest.mark.xfail
def test_oracle_known_to_differ():
    assert False

def test_another_that_is_skipped():
    pytest.skip("no such file")

@given(st.integers())
def test_of_every_integer(number):
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    oracle\n    property\n")
    (tmp_path / "libraries").mkdir()
    return tmp_path


def outcome_of(suite: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=suite,
        env={**os.environ, "PYTHONPATH": str(suite / "libraries"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def counts_in(output: str) -> dict[str, int]:
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)(?=[, ])", output)}


def test_a_skipped_oracle_test_is_only_skipped_by_default(suite: Path) -> None:
    code, output = outcome_of(suite, MINIRES_REQUIRE_ORACLE="")

    assert code == 0
    assert counts_in(output)["skipped"] == 2


def test_a_skipped_oracle_test_fails_where_the_oracle_is_required(suite: Path) -> None:
    (suite / "libraries" / "torch.py").touch()
    code, output = outcome_of(suite, MINIRES_REQUIRE_ORACLE="1")

    assert code == 1
    counts = counts_in(output)
    assert (counts["failed"], counts["skipped"], counts["xfailed"]) == (1, 1, 1)
    assert "skipped while MINIRES_REQUIRE_ORACLE is set" in output


def test_nothing_runs_where_the_oracle_is_required_and_missing(suite: Path) -> None:
    (suite / "libraries" / "torch.py").write_text("raise ImportError('not installed')")
    code, output = outcome_of(suite, MINIRES_REQUIRE_ORACLE="1")

    assert code == pytest.ExitCode.USAGE_ERROR
    assert "torch cannot be imported" in output


def test_every_hypothesis_test_and_no_other_is_marked_property(suite: Path) -> None:
    _, output = outcome_of(suite, "-m", "property", "--collect-only", "-q")

    assert re.findall(r"::(\w+)", output) == ["test_of_every_integer"]
