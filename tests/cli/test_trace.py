"""`minires trace` and `minires step`: what they show, write and refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minires as mr
from minires.cli import main

SMALL = ["--model", "cifar_resnet8", "--width", "2", "--batch", "4"]


def test_twins_are_recorded_on_one_batch_and_shown_side_by_side(
    minires: Any, tmp_path: Path
) -> None:
    done = minires("trace", *SMALL, "--vs", "cifar_plain8")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "cifar_resnet8: 32 forward and 55 backward steps" in done.stdout
    assert "cifar_plain8: 25 forward and 48 backward steps" in done.stdout
    assert "├→⊕" in done.stdout
    assert "all 3 sums at forks are bit for bit the engine's gradient" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_the_table_fits_the_terminal(minires: Any, columns: str) -> None:
    done = minires("trace", *SMALL, "--vs", "cifar_plain8", "--spectrum", COLUMNS=columns)

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert "path spectrum at relu/relu" in done.stdout


def test_colour_is_for_those_who_want_it(minires: Any) -> None:
    coloured = minires("trace", *SMALL, FORCE_COLOR="1", TERM="xterm-256color")
    plain = minires("trace", *SMALL, FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")

    assert "38;5;" in coloured.stdout
    assert "38;5;" not in plain.stdout


@pytest.mark.long
def test_the_same_seed_gives_the_same_numbers_and_another_one_others(minires: Any) -> None:
    def rows(*options: str) -> list[object]:
        done = minires("trace", *SMALL, "--json", *options)
        return [row["cells"][0]["gradient"] for row in json.loads(done.stdout)["rows"]]

    assert rows() == rows()
    assert rows() != rows("--seed", "1")


def test_json_is_alone_on_stdout_and_describes_itself(minires: Any) -> None:
    done = minires("trace", *SMALL, "--vs", "cifar_plain8", "--json", "--spectrum")
    record = json.loads(done.stdout)

    assert record["schema"] == "minires.trace.table/1"
    assert "definitions" in record
    assert [len(spectra) for spectra in record["spectra"]] == [1, 0]
    additions = [row for row in record["rows"] if row["op"] == "residual_add"]
    assert [row["cells"][1] for row in additions] == [None] * 3
    assert additions[0]["cells"][0]["fork"]["verdict"] == "exact"


def test_the_page_and_the_traces_are_written_and_their_names_told(
    minires: Any, tmp_path: Path
) -> None:
    done = minires(
        "trace", *SMALL, "--vs", "cifar_plain8", "--html", "a.html", "--out", "b.trace",
    )  # fmt: skip

    names = ["a.html", "b-cifar_resnet8.trace", "b-cifar_plain8.trace"]
    assert done.stdout.split() == names
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert (tmp_path / "a.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    mistaken = minires("trace", "b.trace")
    near = "near: 'b-cifar_plain8.trace' 'b-cifar_resnet8.trace', one for each network."
    assert f"there is no file 'b.trace'; {near}" in mistaken.stderr
    again = minires("trace", names[1], names[2])
    assert "cifar_plain8" in again.stdout
    assert "all 3 sums at forks are bit for bit" in again.stdout


def saved(path: Path, title: str) -> Path:
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        (x * 2).sum().backward()
    trace.records.title = title
    trace.save(path)
    return path


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (("net", "net"), ["q-left.trace", "q-right.trace"]),
        (("Net", "net"), ["q-left.trace", "q-right.trace"]),
        (("", "net"), ["q-left.trace", "q-right.trace"]),
        (("../../evil", "a/b\x1b[2J"), ["q-evil.trace", "q-a-b-2J.trace"]),
    ],
)
def test_two_traces_go_to_two_files_whatever_they_are_called(
    tmp_path: Path,
    titles: tuple[str, str],
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    files = [saved(tmp_path / "in" / str(i), title) for i, title in enumerate(titles)]
    monkeypatch.chdir(tmp_path / "out")

    assert main(["trace", *map(str, files), "--out", "q.trace"]) == 0
    assert capsys.readouterr().out.split() == names
    assert sorted(path.name for path in Path().iterdir()) == sorted(names)
    assert [mr.trace.load(name).records.title for name in names] == list(titles)


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_what_cannot_be_written_is_named_as_it_was_asked_for(
    tmp_path: Path,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", ".step.1234.tmp")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.chdir(tmp_path)
    code = main(["trace", *SMALL, option, "step"])

    told = f"minires: {option}: cannot write 'step': No space left on device\n"
    assert (code, capsys.readouterr().err) == (1, told)


def test_a_saved_trace_can_be_stepped_through(minires: Any) -> None:
    minires("trace", *SMALL, "--out", "a.trace")
    done = minires("step", "a.trace", keys="fork\nquit\n")

    assert done.returncode == 0
    assert "2 contributions met here and were added up:" in done.stdout


def test_step_reads_commands_from_a_pipe_and_opens_what_is_spelled_out() -> None:
    options = [*SMALL, "--expand", "conv2d,batch_norm", "--vs", "cifar_plain8"]
    done = subprocess.run(
        [sys.executable, "-m", "minires", "step", *options],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"},
        input="into\nfork\n",
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "conv2d in conv1, spelled out: 5 steps" in done.stdout
    assert "the output's entry" in done.stdout
    assert "cifar_plain8: |gradient| of" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "cifar_resnt20"], "no network 'cifar_resnt20'; near: cifar_resnet20"),
        (["--model", "cifar_resnet21"], "depth 21 is not possible"),
        (["--vs", "vgg17"], "--vs: there is no network 'vgg17'"),
        (["--dataset", "faces"], "--dataset: unknown data set 'faces'; there are: cifar10, "),
        (["--save", "all"], "--save: expected summary, thumbs or full, found 'all'"),
        (["--batch", "0"], "--batch"),
        (["--expand", "relu"], "--expand: "),
        (
            ["--model", "densenet121", "--size", "8"],
            "--size, --batch: densenet121 cannot be trained on 4 images of 8x8: avg_pool2d: ",
        ),
        (["--open", "layer9"], "--open: expand: no block of the trace is called 'layer9'"),
        (["--html", "no/where.html"], "--html: there is no folder 'no'"),
        (["--out", "."], "--out: '.' is a folder"),
        (["--out", "a", "--html", "./a"], "--html and --out are both 'a'"),
        (["missing.trace", "--seed", "1"], "--seed: says how to record, but 'missing.trace'"),
        (["missing.trace", "--spectrum", "--save", "summary"], "--save, --spectrum: says how to"),
        (["missing.trace"], "there is no file 'missing.trace'"),
        (["a", "b", "c"], "at most two stand side by side"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_costs_one_line_and_code_2(
    tmp_path: Path,
    arguments: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    options = SMALL[2:] if arguments[0].startswith("--") else []  # a FILE takes none of them
    code = main(["trace", *options, *arguments])
    captured = capsys.readouterr()

    assert (code, captured.out) == (2, "")
    (line,) = captured.err.splitlines()
    assert told in line
    assert line.endswith("Help: minires trace --help")


def test_what_does_not_fit_into_memory_costs_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("Unable to allocate 36.4 TiB")

    monkeypatch.setattr("minires.lab.first_batch", full)
    code = main(["trace", *SMALL, "--size", "100000"])

    told = "minires: there is not enough memory: Unable to allocate 36.4 TiB\n"
    assert (code, capsys.readouterr().err) == (1, told)


def test_a_file_that_is_no_trace_is_refused(minires: Any, tmp_path: Path) -> None:
    (tmp_path / "a.trace").write_bytes(b"nonsense")
    done = minires("step", "a.trace")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "a.trace" in done.stderr


def test_any_architecture_is_traced_at_the_size_it_was_made_for(minires: Any) -> None:
    options = ["--model", "resnet18", "--width", "2", "--batch", "2", "--json"]
    small = minires("trace", *options, "--size", "40")
    made_for = minires("trace", *options)

    for done, side in ((small, 20), (made_for, 112)):
        assert done.returncode == 0, done.stderr
        (cell,) = json.loads(done.stdout)["rows"][0]["cells"]
        assert cell["shape"] == [2, 2, side, side]


def test_the_steps_are_printed_as_json_without_reading_commands(minires: Any) -> None:
    done = minires("step", *SMALL, "--vs", "cifar_plain8", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    residual, plain = map(json.loads, done.stdout.splitlines())
    assert residual["schema"] == plain["schema"] == "minires.trace/1"
    assert len(residual["forward"]) > len(plain["forward"])
