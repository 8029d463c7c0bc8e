"""`minires assignment watch`, in a terminal and in a pipe."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minires.classroom import watching
from minires.classroom.assignment import Assignment
from minires.classroom.release import handed, release
from minires.classroom.running.processes import run_alone
from minires.classroom.watching import Watch
from minires.cli.assignment_watch import _Screen

SMALL = Path(__file__).parents[1] / "classroom" / "small"
RIGHT = Assignment(SMALL).solution["units.py"]
COMMAND = [sys.executable, "-m", "minires", "assignment", "watch"]


@pytest.fixture(scope="module")
def given_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(Assignment(SMALL), tmp_path_factory.mktemp("given") / "a0")


@pytest.fixture
def file(given_out: Path, tmp_path: Path) -> Path:
    """The file to write in, of an assignment that was started."""
    shutil.copytree(given_out, tmp_path / "a0")
    (tmp_path / "tmp").mkdir()
    return tmp_path / "a0" / "units.py"


class Terminal:
    """The command in a terminal, and what it shows there."""

    def __init__(self, folder: Path, *options: str) -> None:
        import pty
        import termios

        self.pid, self._terminal = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm", "COLUMNS": "200", "LINES": "40", "NO_COLOR": "1"}
            os.environ["TMPDIR"] = str(folder.parent / "tmp")
            os.execv(sys.executable, [*COMMAND, str(folder), *options])
        self.before = termios.tcgetattr(self._terminal)

    def press(self, key: str, until: str) -> str:
        """Press a key, and return what is shown then."""
        os.write(self._terminal, key.encode())
        return self.read(until)

    def read(self, until: str, seconds: float = 20) -> str:
        """Return what is shown until a text has come, without what moves the cursor."""
        text, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.05)[0]:
                try:
                    text += os.read(self._terminal, 65536)
                except OSError:  # it has ended
                    end = 0
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode("utf-8", "replace"))
            if until and until in plain:
                # The rest of the screen.
                until, end = "", min(end, time.monotonic() + 0.06)
        assert not until, plain
        return plain

    def modes(self) -> Any:
        """Return how the terminal is set."""
        import termios

        return termios.tcgetattr(self._terminal)[3]

    def children(self) -> list[int]:
        """Return the processes that the command has started."""
        told = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in told.stdout.split()]

    def code(self) -> int:
        """Wait for the end, and return the exit code."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                if select.select([self._terminal], [], [], 0.02)[0]:
                    os.read(self._terminal, 65536)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError("it does not end")

    def close(self) -> None:
        """End the command, if it has not ended."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)


@pytest.fixture
def terminal(file: Path) -> Iterator[Callable[..., Terminal]]:
    if os.name == "nt":
        pytest.skip("there are no pseudo-terminals")
    opened = []

    def terminal(*options: str) -> Terminal:
        opened.append(Terminal(file.parent, *options))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


def test_what_is_saved_is_checked_and_shown(terminal: Any, file: Path) -> None:
    shown = terminal()
    first = shown.read("q quit")
    assert "units.py  0 of 2 checks, 0 of 5 points" in first
    assert "not written yet: relu is yours to write" in first
    for text, words in [
        (RIGHT.replace("x > 0", "x >= 0"), "At exactly 0 the mask is true"),
        ("def relu(x)\n    pass\n", "SyntaxError: expected ':' (line 1"),
        ("print('so far')\nprint('\\x1b[31mred\\a')\n", "so far"),
        (b"name = 'caf\xe9'\n", "SyntaxError: (unicode error) 'utf-8' codec can't decode"),
        (RIGHT.replace("g * cache", "1.0 * cache"), "1 of 2 checks, 2 of 5 points"),
        (RIGHT, "all checks are passed"),
    ]:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        said = shown.read(words)
        assert "Traceback" not in said
        if "so far" in words:
            assert "there is no function relu in units.py" in said
            assert "red" in said
            assert "\a" not in said
    file.unlink()
    assert "there is no units.py" in shown.read("there is no units.py")
    # As an editor does that writes beside and renames.
    (file.parent / "units.py~").write_text(RIGHT)
    (file.parent / "units.py~").replace(file)
    shown.read("all checks are passed")


def test_every_key_does_what_it_says(terminal: Any, file: Path) -> None:
    file.write_text(RIGHT.replace("x > 0", "x >= 0"))
    shown = terminal()
    shown.read("q quit")
    assert "hint 1 of 3: What is max(-1, 0)?" in shown.press("h", "q quit")
    shown.press("h", "hint 2 of 3: NumPy compares")
    said = shown.press("h", "hint 3 of 3: np.maximum")
    assert "hint 1 of 3" in said
    assert "there are no more hints" in shown.press("h", "q quit")
    assert "relu_backward_values  ReLU lets gradients" in shown.press("l", "0 of 5 points\r\n")
    assert "relu_backward_values" not in shown.press("l", "q quit")
    assert "At exactly 0" in shown.press("n", "q quit")
    assert "checking ..." in shown.press("r", "q quit")
    assert "relu_backward_values  ReLU lets gradients" in shown.press("c", "0 of 5 points\r\n")
    shown.press("x", "make units.py what it was at the start? y or n")
    assert "hint 3 of 3" in shown.press("n", "q quit")
    assert not (file.parent / "units.py.bak-1").exists()
    shown.press("x", "y or n")
    said = shown.press("y", "relu is yours to write")
    assert "what it was is in units.py.bak-1" in said
    assert said.count("checking ...") == 1
    assert (file.parent / "units.py.bak-1").read_text() == RIGHT.replace("x > 0", "x >= 0")
    assert "'?' is no key here" in shown.press("?", "q quit")
    assert "no other check fails" in shown.press("n", "q quit")
    file.write_text(RIGHT)
    shown.read("all checks are passed")
    assert "no check of units.py fails" in shown.press("h", "q quit")
    os.write(shown._terminal, b"q")
    assert shown.code() == 0


def test_a_file_that_cannot_be_written_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{file}.a_temporary_name")

    monkeypatch.setattr(watching, "atomic_write", denied)
    seen = Watch(handed(file.parent), run_alone)
    seen.check()
    screen = _Screen(seen, has_keys=True)
    for key in "xy":
        assert not screen.pressed(key)
    told = capsys.readouterr().out
    assert f"nothing can be written in '{file.parent}': Permission denied" in told
    assert "a_temporary_name" not in told


def test_keys_pressed_during_an_endless_loop_are_no_keys_afterwards(
    terminal: Any, file: Path
) -> None:
    sheet = file.parent / ".assignment" / "assignment.json"
    sheet.write_text(sheet.read_text().replace('"seconds": 5.0', '"seconds": 0.7'))
    shown = terminal()
    shown.read("q quit")
    loop = "def relu(x):\n    while True:\n        pass\n"
    file.write_text(loop)
    shown.read("checking ...")
    os.write(shown._terminal, b"xyq")
    shown.read("it did not end within 0.7 seconds")
    assert file.read_text() == loop
    file.write_text(RIGHT)
    shown.read("all checks are passed")
    assert "ReLU keeps what" in shown.press("l", "5 of 5 points\r\n\r\nn next")


def test_the_end_of_keys_during_an_endless_loop_is_the_end_afterwards(
    terminal: Any, file: Path
) -> None:
    sheet = file.parent / ".assignment" / "assignment.json"
    sheet.write_text(sheet.read_text().replace('"seconds": 5.0', '"seconds": 0.7'))
    file.write_text("def relu(x):\n    while True:\n        pass\n")
    shown = terminal()
    shown.read("checking ...")
    os.write(shown._terminal, b"\x04")
    assert shown.code() == 0


def test_only_r_runs_where_that_is_asked_for(terminal: Any, file: Path) -> None:
    shown = terminal("--manual-run")
    shown.read("yours to write")
    file.write_text(RIGHT)
    time.sleep(0.3)
    listed = shown.press("l", "q quit")
    assert "wrong   0/2  relu_values" in listed
    assert "yours to write" not in listed  # which is what c is for
    assert "all checks are passed" in shown.press("r", "q quit")


@pytest.mark.parametrize(("end", "code"), [("q", 0), ("\x03", 130), (signal.SIGTERM, 143)])
def test_it_leaves_no_process_and_the_terminal_as_it_was(
    terminal: Any, file: Path, end: Any, code: int
) -> None:
    shown = terminal()
    shown.read("q quit")
    if end == signal.SIGTERM:  # in the middle of a run
        file.write_text("while True:\n    pass\n")
        shown.read("checking ...")
    processes = shown.children()
    assert len(processes) >= (2 if end != signal.SIGTERM else 1)
    assert shown.modes() != shown.before[3]
    if isinstance(end, str):
        os.write(shown._terminal, end.encode())
    else:
        os.kill(shown.pid, end)
    assert shown.code() == code
    assert shown.modes() == shown.before[3]
    assert list((file.parents[1] / "tmp").iterdir()) == []
    for pid in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_in_a_pipe_it_prints_one_verdict_after_the_other(file: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, str(file.parent)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            lines = iter(process.stdout)
            assert "yours to write" in "".join(next(lines) for _ in range(4))
            assert "minires assignment hint relu_values" in next(lines)
            file.write_text(RIGHT)
            said = "".join(next(lines) for _ in range(3))
            assert said == "\nunits.py  2 of 2 checks, 5 of 5 points\nall checks are passed\n"
        finally:
            process.terminate()
    assert process.returncode in (143, 1)  # 1 on Windows, where nothing can be cleaned up


def test_keys_need_a_terminal(minires: Any, file: Path) -> None:
    done = minires("assignment", "watch", file.parent, "--manual-run")
    assert (done.returncode, "needs a terminal" in done.stderr) == (2, True)
    assert minires("assignment", "watch", ".").returncode == 1
