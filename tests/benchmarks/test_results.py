"""Result files, two of them side by side, and the page that is made of one."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks import results
from benchmarks.__main__ import app
from benchmarks.page import write_page
from benchmarks.peers import environments

ROOT = Path(results.__file__).parent.parent


def measured(*names: str, scale: float = 1.0) -> dict[str, Any]:
    """Make up what `paired` returns."""
    times = {"minimum": 2.0 * scale, "median": 3.0 * scale, "cpu_minimum": 4.0 * scale}
    ratio = {"median": 1.5, "low": 1.25, "high": 1.75}
    return {
        "unit": "ms",
        "rounds": 15,
        "jobs": dict.fromkeys(("minires", *names), times),
        "ratios": {"minires": dict.fromkeys(names, ratio)},
    }


@pytest.fixture
def result() -> dict[str, Any]:
    layouts = ("torch NCHW", "torch channels_last")
    losses = {name: [2.5, 2.25] for name in ("minires", *layouts)}
    agreement = {"largest_difference": 1.5e-6, "tolerance": 0.01}
    usual = {"depth": 20, "batch": 128, "size": 32, "threads": 2}
    cases = [usual, {**usual, "depth": 56}, {**usual, "batch": 16}, {**usual, "threads": 1}]
    cases.append({**usual, "size": 224, "batch": 4})
    training = {
        f"case {number}": case
        | measured(*layouts, "products", "traffic", "floor", scale=10**number)
        | {"losses": losses, "agreement": agreement}
        for number, case in enumerate(cases)
    }
    geometry = {"channels": 64, "filters": 32, "size": [8, 8]}
    one = {"geometry": geometry, "batch": 1, "forward": measured("torch")}
    worse = measured("torch") | {
        "ratios": {"minires": {"torch": {"median": 3.75, "low": 3.0, "high": 4.0}}}
    }
    return results.new_result() | {
        "machine": {"1": {"sgemm_gflops": 100.0, "copy_gbps": 10.0}},
        "training": training,
        "breakdown": {
            "ResNet-20": {
                "steps": 15,
                "ops": {"conv2d": 77.0, "add": 0.01},
                "parts": {"convolution": 77.0, "other": 0.01},
            }
        },
        "inference": {"ResNet-20, batch 1": measured(*layouts)},
        "memory": {"ResNet-20": measured(*layouts)},
        "geometries": {"7x7, batch 1": one | {"with backward": worse}},
    }


def benchmarks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
        timeout=60,
        check=False,
    )


def test_a_file_is_named_by_processor_number_and_date() -> None:
    where = {"processor": "Intel Xeon Platinum 8259CL", "processors": 2}

    name = results.file_name({"environment": where, "date": "2026-11-21"})

    assert name == "intel-xeon-platinum-8259cl-2cpu-2026-11-21.json"


def test_figures_are_the_minimum_of_all_that_was_measured(result: dict[str, Any]) -> None:
    found = results.figures(result)

    assert found["training / case 1 / torch NCHW"] == 20.0
    assert found["geometries / 7x7, batch 1 / with backward / minires"] == 2.0
    assert found["memory / ResNet-20 / minires"] == 2.0


def test_two_files_are_compared_as_a_table_and_as_json(
    result: dict[str, Any], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    results.save(result, first)
    result["training"]["case 0"]["jobs"]["minires"] = {"minimum": 1.0}
    del result["memory"]
    results.save(result, second)

    table, as_json = (
        benchmarks("compare", first, second),
        benchmarks("compare", first, second, "--json"),
    )
    rows = {row["figure"]: row for row in json.loads(as_json.stdout)["rows"]}

    assert (table.returncode, table.stderr) == (as_json.returncode, as_json.stderr) == (0, "")
    assert "\x1b" not in table.stdout
    assert re.search(r"training / case 0 / minires +2 +1 +0\.50", table.stdout)
    assert rows["training / case 0 / minires"]["ratio"] == 0.5
    assert not [name for name in rows if name.startswith("memory")]


def test_the_older_results_can_be_compared() -> None:
    old = results.FOLDER / "2026-11-21-engine.json"

    assert all(row["ratio"] == 1.0 for row in results.comparison(old, old))


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"schema": "minires.compare/1"}'])
def test_what_is_no_result_is_refused_with_code_2(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)

    done = CliRunner().invoke(app, ["compare", str(path), str(path)])

    assert (done.exit_code, done.stdout) == (2, "")
    assert isinstance(done.exception, SystemExit)


def test_an_unknown_section_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "--only", "machine,nonsense", "--out", str(tmp_path)])

    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("missing", "section"), [("PyTorch is not installed", "inference"), ("none is inst", "peers")]
)
def test_what_is_not_installed_is_told_before_anything_is_measured(
    missing: str, section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    done = CliRunner().invoke(app, ["run", "--only", f"machine,{section}", "--out", str(tmp_path)])

    assert done.exit_code == 2
    assert missing in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_page_tells_the_numbers_of_the_file_and_shows_its_pictures(
    result: dict[str, Any], tmp_path: Path
) -> None:
    result["peers"] = {
        "minires": {"minimum": 400.0, "median": 410.0, "timed_steps": 7},
        "peers": {
            "Slow": {
                "status": "measured",
                "minimum": 4321.0,
                "median": 4400.0,
                "ratio": {"median": 10.5, "minimum": 10.25, "maximum": 11.0},
                "losses_agree": True,
            },
            "Missing": {"status": "absent"},
        },
    }
    page, *pictures = write_page(result, tmp_path / "performance.md")
    text = page.read_text("utf-8")

    for told in ("at most 1.5e-06", "1.50 [1.25–1.75]", "3.75: 7x7, batch 1, with backward"):
        assert told in " ".join(text.split())
    assert "| Slow | 4321 | 4400 | 10.5 [10.2–11.0] | yes |" in text
    assert "Missing" not in text
    assert "`add`" not in text
    linked = re.findall(r"\]\((\S+\.png)\)", text)
    assert sorted(linked) == sorted(f"performance/{each.name}" for each in pictures)
    for each in pictures:
        assert np.unique(Image.open(each).convert("L")).size > 10
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 100


def test_a_page_of_half_a_result_is_refused_and_the_missing_named(
    result: dict[str, Any], tmp_path: Path
) -> None:
    del result["memory"]

    with pytest.raises(ValueError, match="the result lacks memory; measure it with"):
        write_page(result, tmp_path / "performance.md")
    assert list(tmp_path.iterdir()) == []
