"""`minires bench` and `minires info`: what they measure, name and refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from minires import get_num_threads, set_num_threads
from minires.cli.bench import stacked_bar

TINY = ["--depth", "8", "--batch", "2", "--rounds", "1"]


def in_a_shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "minires", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environment | {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.fixture
def threads() -> Iterator[None]:
    """As many afterwards as before."""
    before = get_num_threads()
    yield
    set_num_threads(before)


def test_bench_tells_machine_step_floor_and_where_the_time_goes() -> None:
    done = in_a_shell("bench", *TINY)

    assert (done.returncode, done.stderr) == (0, "")
    for told in (
        "sgemm",
        "memory copy",
        "ResNet-8, batch 2",
        "step / floor",
        "threads busy",
        "images/s",
    ):
        assert told in done.stdout
    assert "\x1b" not in done.stdout
    assert "convolution backward" in done.stdout


@pytest.mark.usefixtures("threads")
def test_bench_as_json_holds_the_same_figures(minires: Any) -> None:
    done = minires("bench", *TINY, "--threads", "1", "--json")
    told = json.loads(done.stdout)

    assert done.returncode == 0
    assert told["schema"] == "minires.bench/1"
    asked = {"depth": 8, "batch": 2, "rounds": 1, "threads": 1, "device": "cpu"}
    assert told["settings"] == asked | {"precision": "highest"}
    assert told["machine"].keys() == {"1"}
    assert told["jobs"].keys() == {"step", "floor", "products", "traffic"}
    assert told["step_to_floor"]["median"] > 0
    assert {"convolution", "batch norm backward", "other"} <= told["parts"].keys()
    assert min(told["parts"].values()) > 0


def test_a_batch_that_memory_cannot_hold_costs_one_line_and_code_1(minires: Any) -> None:
    done = minires("bench", "--batch", str(10**12))

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "not enough memory for --batch 1000000000000" in line


@pytest.mark.parametrize("kernels", ["numpy", "nunpy"])
def test_the_variable_that_chooses_kernels_is_read_strictly(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIRES_KERNELS", kernels)
    done = in_a_shell("info")

    if kernels == "numpy":
        assert "MINIRES_KERNELS=numpy leaves Numba aside" in done.stdout
    else:
        assert done.returncode != 0
        assert "MINIRES_KERNELS is 'nunpy'; it can be 'numpy', or not be set" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--depth", "9"], "--depth: 9 is not possible; these networks have 6n + 2 layers"),
        (["--batch", "0"], "--batch"),
        (["--rounds", "0"], "--rounds"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_a_mistake_costs_one_line_and_code_2(minires: Any, arguments: list[str], told: str) -> None:
    done = minires("bench", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert told in line


def test_info_names_what_computes(minires: Any) -> None:
    done, as_json = minires("info"), minires("info", "--json")
    told = json.loads(as_json.stdout)

    assert done.returncode == as_json.returncode == 0
    assert told["schema"] == "minires.info/1"
    assert told["cuda"]["devices"] or told["cuda"]["missing"] in done.stdout
    for name, value in told.items():
        assert name in ("schema", "cuda") or str(value) in done.stdout
    assert {"processor", "blas", "threads", "kernels", "numpy", "minires"} <= told.keys()


@pytest.mark.parametrize("width", [7, 40, 99])
def test_the_stacked_bar_fills_its_width_and_shows_each_part_by_its_share(width: int) -> None:
    parts = {"convolution": 30.0, "batch norm": 60.0, "gradients summed": 0.0, "other": 10.0}
    bar, *lines = map(str, stacked_bar(parts, width, unicode=False))

    assert len(bar) == width
    for sign, share in (("#", 0.3), ("%", 0.6), ("*", 0.0), (".", 0.1)):
        assert abs(bar.count(sign) - share * width) <= 1
    assert [line.split()[-1] for line in lines] == ["30.0%", "60.0%", "0.0%", "10.0%"]
