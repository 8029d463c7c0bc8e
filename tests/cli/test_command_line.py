"""The installed command, as a user's shell runs it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

OPTIONS = {"--depths", "--epochs", "--dataset", "--width", "--seed", "--device", "--out"}
OPTIONS |= {"--quiet", "--half", "--json", "--help"}
TINY = ["--depths", "8", "--epochs", "1", "--width", "2"]


def environment(**changes: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return inherited | {"PYTHONWARNINGS": "error", "COLUMNS": "100"} | changes


def in_a_shell(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minires", *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def names_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_version_and_help_are_told(tmp_path: Path) -> None:
    version = in_a_shell("--version", cwd=tmp_path)
    general = in_a_shell("--help", cwd=tmp_path)
    special = in_a_shell("compare", "--help", cwd=tmp_path)

    assert version.returncode == general.returncode == special.returncode == 0
    assert version.stdout.strip() == f"minires {importlib.metadata.version('minires')}"
    assert "compare" in general.stdout
    assert set(re.findall(r"--\w+", special.stdout)) == OPTIONS
    assert version.stderr == general.stderr == special.stderr == ""


def test_no_command_is_answered_with_the_help(minires: Any) -> None:
    done = minires()

    assert done.returncode == 2
    assert "minires compare" in done.stdout


def test_the_installed_script_is_the_same_command() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="minires")

    assert script.value == "minires.cli:main"


def test_the_command_line_loads_no_heavy_library_until_it_is_needed(tmp_path: Path) -> None:
    program = (
        "import sys; from minires.cli import main; main(['--version'])\n"
        "heavy = {'matplotlib', 'sklearn', 'scipy', 'numpy', 'PIL', 'threadpoolctl'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_json_alone_is_on_stdout_and_progress_on_stderr(tmp_path: Path) -> None:
    done = in_a_shell("compare", *TINY, "--json", "--out", "here", cwd=tmp_path)
    table = json.loads(done.stdout)

    assert done.returncode == 0
    assert table["schema"] == "minires.compare.table/1"
    assert [row["name"] for row in table["rows"]] == ["plain-8", "residual-8"]
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    for line, name in zip(lines, ("plain-8", "residual-8"), strict=True):
        assert re.match(
            rf"{name} +epoch 1/1 +mean loss \d\S* +training acc +\d+\.\d%"
            r" +\d+ img/s +\d+:\d\d left$",
            line,
        )
    assert names_below(tmp_path / "here") == {
        "compare.png",
        "metrics.json",
        "report.html",
        "traces",
        "traces/8.html",
        "weights",
        "weights/plain-8.json",
        "weights/plain-8.safetensors",
        "weights/residual-8.json",
        "weights/residual-8.safetensors",
    }
    record = json.loads((tmp_path / "here" / "metrics.json").read_text("utf-8"))
    assert record["verdict"] == table["verdict"]


def test_quiet_ends_with_table_verdict_and_files_in_a_folder_of_its_own(
    minires: Any, tmp_path: Path, undrawn: None
) -> None:
    done = minires("compare", *TINY, "--quiet")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"8 +plain +[\d,]+ +\d+\.\d% +\d+\.\d%( +[\d.]+ / [\d.]+){2}", done.stdout)
    assert re.search(r"8 +residual ", done.stdout)
    assert "With 8 layers" in done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-compare", folder.name)
    for name in ("report.html", "compare.png", "metrics.json", "weights"):
        assert (folder / name).exists()
        assert str(Path("runs") / folder.name / name) in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--depths", "9"], "--depths: 9 is not possible; these networks have 6n + 2 layers"),
        (["--depths", "8,x"], "--depths: expected whole numbers separated by commas"),
        (["--depths", ""], "--depths: none given"),
        (["--epochs", "0"], "--epochs: must be at least 1, found 0"),
        (["--epochs", "many"], "--epochs"),
        (["--width", "0"], "--width: must be at least 1, found 0"),
        (["--seed", "-1"], "--seed: must be 0 or more, found -1"),
        (["--dataset", "faces"], "--dataset: unknown data set 'faces'; there are: "),
        (["--device", "cuda:7"], "--device: device 'cuda:7' is not available"),
        (["--out", "file"], "--out file: cannot be written to"),
        (["--out", "file/below"], "--out file/below: cannot be written to"),
        (["--out", "full"], "--out full: there is a comparison in it already"),
        (["--bogus"], "No such option: --bogus"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_costs_one_line_and_code_2_before_anything_is_done(
    minires: Any, tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "metrics.json").write_text("precious")
    before = names_below(tmp_path)

    # Training at this depth would take longer than the test may.
    done = minires("compare", "--depths", "602", *arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("minires: ")
    assert told.replace("/", os.sep) in line.replace("/", os.sep)
    # No command's help knows what a machine lacks.
    assert line.endswith(("Help: minires compare --help", "minires info"))
    assert names_below(tmp_path) == before
    assert (tmp_path / "full" / "metrics.json").read_text() == "precious"


def test_an_unknown_command_costs_one_line_and_code_2(tmp_path: Path) -> None:
    done = in_a_shell("comprae", cwd=tmp_path)

    assert done.returncode == 2
    assert "No such command 'comprae'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.long
def test_an_empty_folder_and_one_with_other_files_are_used_as_they_are(
    minires: Any, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    done = minires("compare", *TINY, "--quiet", "--out", ".")

    assert done.returncode == 0
    assert {"notes.txt", "report.html", "metrics.json", "compare.png"} <= names_below(tmp_path)


def interrupted(cwd: Path, after: str, *arguments: str) -> tuple[int, str, str]:
    """Press Ctrl-C as soon as a line of progress begins with `after`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "minires", "compare", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=cwd,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith(after):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    return process.returncode, out, "".join(seen) + err


posix = pytest.mark.skipif(os.name == "nt", reason="on Windows, Ctrl-C goes to a whole console")


@posix
@pytest.mark.long
def test_ctrl_c_keeps_the_finished_twins_and_names_the_missing(tmp_path: Path) -> None:
    where = ["--out", "here"]
    code, out, err = interrupted(
        tmp_path, "plain-56", "--depths", "8,56", "--epochs", "2", "--width", "2", *where
    )

    assert code == 130
    assert "Traceback" not in err
    assert "stopped; kept: plain-8, residual-8; not finished: plain-56, residual-56" in err
    assert "With 8 layers" in out
    record = json.loads((tmp_path / "here" / "metrics.json").read_text("utf-8"))
    assert record["complete"] is False
    assert record["missing"] == ["plain-56", "residual-56"]
    assert "stopped early" in (tmp_path / "here" / "report.html").read_text("utf-8")
    assert names_below(tmp_path / "here" / "weights") == {
        "plain-8.json",
        "plain-8.safetensors",
        "residual-8.json",
        "residual-8.safetensors",
    }
    assert not [name for name in names_below(tmp_path) if name.endswith(".tmp")]


@posix
def test_ctrl_c_before_the_first_network_is_finished_leaves_nothing(tmp_path: Path) -> None:
    code, out, err = interrupted(
        tmp_path, "plain-8", "--depths", "8", "--epochs", "500", "--width", "2", "--out", "a/b"
    )

    assert (code, out) == (130, "")
    assert err.endswith("minires: stopped before a network was finished; nothing is kept\n")
    assert names_below(tmp_path) == set()


@posix
def test_ctrl_c_while_the_files_are_written_waits_until_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> None:
    from minires import lab
    from minires.cli import main

    really = lab.write_comparison

    def impatient(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        return really(*arguments)

    monkeypatch.setattr(lab, "write_comparison", impatient)
    code = main(["compare", *TINY, "--quiet", "--out", str(tmp_path / "here")])

    assert code == 130
    assert (tmp_path / "here" / "report.html").is_file()


def test_a_twin_that_diverges_is_a_result_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from minires import lab
    from minires.cli import main

    class Reckless(lab.Settings):
        @property
        def learning_rate(self) -> float:  # type: ignore[override]
            return 1e30

        @learning_rate.setter
        def learning_rate(self, value: float) -> None: ...

    monkeypatch.setattr(lab, "Settings", Reckless)
    code = main(["compare", *TINY, "--quiet", "--out", str(tmp_path / "here")])
    out = capsys.readouterr().out

    assert code == 0
    assert "With 8 layers, both twins diverged." in out
    assert "plain-8: training diverged at step" in out


def test_a_disk_that_fails_costs_one_line_and_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from minires import lab
    from minires.cli import main

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lab, "write_comparison", full)
    code = main(["compare", *TINY, "--quiet", "--out", str(tmp_path / "here")])
    captured = capsys.readouterr()

    assert code == 1
    assert captured.err == "minires: [Errno 28] No space left on device\n"
    assert not (tmp_path / "here").exists()
