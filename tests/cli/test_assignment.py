"""`minires assignment`: hints, what is handed in, and systems that are not POSIX."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from minires.classroom import handing_in, shipped
from minires.classroom.assignment import Assignment
from minires.classroom.release import handed, release
from minires.classroom.results import GradedCheck, Submission
from minires.cli import assignment_shown, main

SMALL = Path(__file__).parents[1] / "classroom" / "small"
RIGHT = Assignment(SMALL).solution["units.py"]


@pytest.fixture(scope="module")
def given_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(Assignment(SMALL), tmp_path_factory.mktemp("given") / "a0")


@pytest.fixture
def file(given_out: Path, tmp_path: Path) -> Path:
    """The file to write in, of an assignment that was started."""
    shutil.copytree(given_out, tmp_path / "a0")
    return tmp_path / "a0" / "units.py"


def test_a_hint_is_on_the_first_check_that_fails(minires: Any, file: Path) -> None:
    done = minires("assignment", "hint", "a0")
    assert done.stdout == "What is max(-1, 0)?\n"
    assert done.stderr == "relu_values: ReLU keeps what is above 0\n"
    file.write_text(RIGHT.replace("g * cache", "1.0 * cache"))
    assert minires("assignment", "hint", "a0", "--level", "2").stdout == (
        "A truth value times a number is 0 or it.\n"
    )
    assert minires("assignment", "hint", "relu_values", "a0").stdout == "What is max(-1, 0)?\n"
    file.write_text(RIGHT)
    done = minires("assignment", "hint", "a0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "minires: no check fails\n")
    assert minires("assignment", "hint", "other", "a0").returncode == 2


def test_the_first_hint_is_on_the_mistake_that_was_made(minires: Any, file: Path) -> None:
    hints = file.parent / ".assignment" / "hints.json"
    hints.write_text(json.dumps({"L2": "Is 0 above 0?"}))
    file.write_text(RIGHT.replace("x > 0", "x >= 0"))
    for check in ([], ["relu_values"]):
        assert minires("assignment", "hint", *check, "a0").stdout == "Is 0 above 0?\n"
    assert minires("assignment", "hint", "a0", "--level", "2").stdout.startswith("NumPy compares")


def test_what_a_terminal_would_obey_is_not_printed(minires: Any, file: Path) -> None:
    file.write_text(
        "print('\\x1b]0;title\\x07\\x1b[2Jsaid' + 'a' * 5000)\n"
        "def relu(x):\n    raise ValueError('\\x1b[31m\\x9b1mred\\a\\u202e')\n"
    )
    done = minires("assignment", "check", "a0")
    assert done.returncode == 1
    assert "red" in done.stdout
    assert not set("\x1b\x9b\a\u202e") & set(done.stdout)
    assert max(map(len, done.stdout.split("\n"))) < 350
    assert "said" in done.stdout


def test_a_zip_is_made_to_be_handed_in(minires: Any, file: Path, given_out: Path) -> None:
    file.write_text(RIGHT)
    done = minires("assignment", "submit", "a0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "small.zip has units.py: 5 of 5 points here; grading counts\n"
    (file.parent / "handout.md").write_text("")
    done = minires("assignment", "submit", "a0", "--out", "mine.zip")
    assert done.returncode == 0
    assert "handout.md' is not as it was given out" in done.stderr
    (file.parent / "handout.md").write_bytes((given_out / "handout.md").read_bytes())
    assert minires("assignment", "submit", "a0").stderr == ""
    file.write_text(RIGHT.replace("x > 0", "x >= 0"))
    replaced = minires("assignment", "submit", "a0").stderr
    assert replaced == "minires: 'small.zip' was there already, with other contents: replaced\n"
    file.write_bytes((given_out / "units.py").read_bytes())
    empty = minires("assignment", "submit", "a0", "--out", "empty.zip").stderr
    assert empty == "minires: nothing is written yet: all is as it was given out\n"
    assert minires("assignment", "submit", "a0", "--out", "a0/units.py").returncode == 2
    assert minires("assignment", "submit", "a0", "--out", "nowhere/a.zip").returncode == 1
    file.write_text("")
    done = minires("assignment", "submit", "a0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("leave in what is not written yet, as the starter has it\n")
    assert file.read_text() == ""


def test_who_is_in_a_wrong_folder_is_told_the_way_out(minires: Any, file: Path) -> None:
    def told(folder: str) -> str:
        done = minires("assignment", "check", folder)
        assert (done.returncode, done.stdout) == (1, "")
        return str(done.stderr)

    assert told("nowhere") == "minires: there is no folder 'nowhere'\n"
    assert "units.py' is a file" in told(str(Path("a0", "units.py")))
    assert told(".").endswith("'.' is no assignment's folder; in it there are a0: name one\n")
    shutil.rmtree(file.parent / ".assignment")
    assert "start the assignment anew, in another folder, and copy your files" in told("a0")
    done = minires("assignment", "start", "a0")
    assert done.stderr == (
        "minires: 'a0' is there already, and is not overwritten: name another folder, with --to\n"
    )


@pytest.mark.parametrize("command", ["start a1", "submit a0"])
def test_a_folder_in_which_nothing_can_be_written_is_named(
    minires: Any, file: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a_temporary_name")

    monkeypatch.setattr(shipped, "_unpack", denied)
    monkeypatch.setattr(handing_in, "pack", denied)
    done = minires("assignment", *command.split())
    assert (done.returncode, done.stdout) == (1, "")
    where = file.parents[1]
    assert done.stderr == f"minires: nothing can be written in '{where}': Permission denied\n"


# -- what is seen ---------------------------------------------------------------------------------


def _check(name: str, status: str, message: str = "", **more: Any) -> GradedCheck:
    title = f"What {name} claims, in {'so ' * 12}many words"
    return GradedCheck(name, title, status, 0, 12, False, message, **more)


SUBMISSION = Submission(
    "a0",
    "small",
    (
        _check(
            "first",
            "failed",
            "first: it is wrong\n  (1) " + "a step of the way back " * 4,
            output="said\n" * 15,
            heat_map=[[["the picture of it, " * 4, ""]], [["0 ", ""], ["##@", "worst"]]],
        ),
        _check("second", "skipped", "skipped: mend first first"),
        _check("third", "unread", "The text."),
    ),
)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What a function prints in a terminal of 60 columns, or in a file."""

    def seen(show: Any, *arguments: Any, terminal: bool = True) -> list[str]:
        console = Console(
            file=io.StringIO(),
            width=60,
            force_terminal=terminal,
            color_system=None,
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        monkeypatch.setattr(assignment_shown, "console_of_text", lambda: console)
        show(*arguments)
        return [line.rstrip() for line in console.file.getvalue().split("\n")]  # type: ignore[attr-defined]

    return seen


def test_lines_are_broken_under_where_they_begin(seen: Any) -> None:
    lines = seen(assignment_shown.print_submission, SUBMISSION)
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("wrong   0/12 first   What first claims")
    assert lines[1].startswith(" " * 21 + "so")
    step = next(n for n, line in enumerate(lines) if "(1)" in line)
    assert lines[step].startswith(" " * 15 + "(1) a step")
    assert lines[step + 1].startswith(" " * 19 + "back a step")
    assert " " * 13 + "0 ##@" in lines


def test_where_nobody_looks_no_line_is_broken(seen: Any) -> None:
    lines = seen(assignment_shown.print_submission, SUBMISSION, terminal=False)
    assert lines[0].endswith("so many words")
    assert lines[3] == " " * 13 + ("the picture of it, " * 4).rstrip()


def test_what_was_printed_comes_last_and_a_cut_is_told(seen: Any) -> None:
    lines = [each.strip() for each in seen(assignment_shown.print_submission, SUBMISSION)]
    assert lines.index("0 ##@") < lines.index("printed:")
    assert lines.count("said") == 10
    assert "... and 5 lines more" in lines


def test_what_has_no_points_yet_is_explained(seen: Any) -> None:
    lines = seen(assignment_shown.print_submission, SUBMISSION, 3, terminal=False)
    assert " " * 13 + "skipped: mend first first" in lines
    assert " " * 13 + "people read it later" in lines
    assert "The text." not in "".join(lines)
    assert lines[-2] == "0 of 36 points here, 12 to be read; 3 more at grading"


def test_the_list_has_one_line_for_each_check(seen: Any) -> None:
    lines = seen(assignment_shown.print_list, SUBMISSION)
    assert [line[:5].rstrip() for line in lines] == ["wrong", "-", "unrea", "0 of", ""]
    assert max(map(len, lines)) == 60


def test_a_narrow_terminal_is_told_what_assignments_are_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    main(["assignment", "list"])
    told = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "Convolution: one product of" in told
    assert "a2_convolution" in told
    assert max(map(len, told.split("\n"))) <= 80


def test_the_list_counts_hidden_points_as_the_handout_does(
    minires: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = handed(file.parent).sheet
    sheet.settings = sheet.settings.model_copy(update={"hidden_points": 7})
    monkeypatch.setattr(shipped, "names", lambda: ["small"])
    monkeypatch.setattr(shipped, "sheet_of", lambda _: sheet)
    [told] = json.loads(minires("assignment", "list", "--json").stdout)["assignments"]
    assert told["points"] == 12
    assert " 12 " in minires("assignment", "list").stdout


# -- other systems -------------------------------------------------------------------------------

ELSEWHERE = """
import sys
for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
from minires.cli import main
codes = [main(line.split()) for line in sys.argv[1].split(";")]
assert not [name for name in sys.modules if "isolation" in name]
sys.exit(codes != [int(code) for code in sys.argv[2:]])
"""


def _elsewhere(commands: str, *codes: int) -> list[str]:
    """Return a command that runs some of minires' on a system without POSIX."""
    return [sys.executable, "-c", ELSEWHERE, commands, *map(str, codes)]


def test_students_need_nothing_of_posix(tmp_path: Path) -> None:
    done = subprocess.run(
        _elsewhere(
            "assignment list; assignment start a2; assignment check a2; assignment hint a2;"
            " assignment submit a2; assignment submit nothing",
            *(0, 0, 1, 0, 0, 1),
        ),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    for said in ("a1_tape", "conv.py is yours", "0 of 47 points", "0 of 47 points here"):
        assert said in done.stdout
    with subprocess.Popen(
        _elsewhere("assignment watch a2"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        try:
            told = "".join(process.stdout.readline() for _ in range(4))
        finally:
            process.terminate()
    assert "not written yet: output_size is yours to write" in told


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_a_terminal_without_single_keys_is_watched_without_keys(file: Path) -> None:
    import pty

    there, here = pty.openpty()
    with subprocess.Popen(
        _elsewhere(f"assignment watch {file.parent}"), stdin=here, stdout=here
    ) as process:
        os.close(here)
        said = b""
        try:
            while b"a hint:" not in said:
                said += os.read(there, 65536)
        finally:
            process.terminate()
            os.close(there)
    assert b"q quit" not in said
