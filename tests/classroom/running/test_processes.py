"""Processes that wait to be told what to call."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from minires.classroom.running import processes
from minires.classroom.running.processes import Answer, WarmRunner, run_alone

pytestmark = pytest.mark.long

PROGRAM = """
import os
import sys
import builtins

def pid():
    return os.getpid()

def keep():
    "Leave something behind."
    builtins.left = getattr(builtins, "left", 0) + 1
    with open("left", "w") as file:
        file.write("here")
    return builtins.left, os.listdir()

def read():
    return sys.stdin.read()

def loop():
    while True:
        pass

def end():
    os._exit(3)

def numbers():
    import numpy
    return hash("a") % 1000, os.path.dirname(os.path.dirname(numpy.__file__))

def shout():
    os.write(1, b"x" * 2**20)
    return "heard"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


@pytest.fixture
def warm() -> Iterator[WarmRunner]:
    with WarmRunner(spares=2) as runner:
        yield runner


def _pids(runner: WarmRunner) -> list[int]:
    return [each._process.pid for each in runner._waiting]


def _result(answer: Answer) -> object:
    assert answer.ended == "", answer
    return answer.outcomes[0]["result"]


def test_a_process_that_waited_is_used_once(file: Path, warm: WarmRunner) -> None:
    waited = _pids(warm)
    assert [_result(warm(file, "pid", [()], 5.0)) for _ in range(2)] == waited
    # None is left: the next one is started for it.
    assert _result(warm(file, "pid", [()], 5.0)) not in waited
    warm.warm_up()
    assert len(_pids(warm)) == 2
    assert not set(_pids(warm)) & set(waited)


def test_nothing_of_a_run_is_left_for_the_next(file: Path, warm: WarmRunner) -> None:
    for _ in range(3):
        left, files = _result(warm(file, "keep", [()], 5.0))  # type: ignore[misc]
        assert (left, "left" in files) == (1, True)
        warm.warm_up()
    assert not (file.parent / "left").exists()


def test_it_says_what_a_process_that_did_not_wait_says(file: Path, warm: WarmRunner) -> None:
    for function, seconds in (("read", 5.0), ("loop", 0.5), ("end", 5.0), ("none", 5.0)):
        assert warm(file, function, [()], seconds) == run_alone(file, function, [()], seconds)


@pytest.fixture
def without_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python that finds no NumPy by itself, as after `pip install --user`."""
    venv.create(tmp_path / "bare", symlinks=os.name != "nt")
    there = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin")
    monkeypatch.setattr(sys, "executable", str(there / "python"))
    monkeypatch.setattr(site, "getsitepackages", list)
    return tmp_path


def test_numpy_is_found_where_this_process_has_it(file: Path, without_numpy: Path) -> None:
    _, home = _result(run_alone(file, "numbers", [()], 5.0))  # type: ignore[misc]
    assert home == str(Path(np.__file__).parents[1])


def test_strings_have_the_same_hashes_each_time(file: Path) -> None:
    assert len({str(_result(run_alone(file, "numbers", [()], 5.0))) for _ in range(3)}) == 1


def test_a_slow_start_is_no_time_of_the_students(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text("import time\ntime.sleep(1.5)\n")
    slow = processes._environment() | {"PYTHONPATH": str(tmp_path / "slow")}
    monkeypatch.setattr(processes, "_environment", lambda: slow)
    assert run_alone(file, "pid", [()], 1.0).ended == ""


def test_what_is_written_past_python_fills_nothing(file: Path) -> None:
    assert _result(run_alone(file, "shout", [()], 5.0)) == "heard"


def test_a_process_that_died_while_it_waited_is_replaced(file: Path, warm: WarmRunner) -> None:
    first, second = warm._waiting
    first._process.kill()
    first._process.wait()
    assert _result(warm(file, "pid", [()], 5.0)) == second._process.pid
    for each in warm._waiting:
        each._process.kill()
        each._process.wait()
    warm.warm_up()
    assert len(_pids(warm)) == 2
    assert _result(warm(file, "pid", [()], 5.0)) not in (first._process.pid, second._process.pid)


def test_all_end_with_the_block_and_leave_no_folder(file: Path) -> None:
    waiting = []

    def broken() -> None:
        with WarmRunner(spares=2) as runner:
            waiting.extend(runner._waiting)
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        broken()
    assert all(each._process.returncode is not None for each in waiting)
    assert not any(each._job.parent.exists() for each in waiting)


@pytest.mark.skipif(sys.platform == "win32", reason="asks for processes as POSIX does")
@pytest.mark.parametrize("busy", [False, True])
def test_all_end_by_themselves_if_this_process_is_killed(file: Path, busy: bool) -> None:
    call = f"runner(Path({str(file)!r}), 'loop', [()], 60.0)" if busy else "time.sleep(60)"
    program = (
        "import time; from pathlib import Path;"
        "from minires.classroom.running.processes import WarmRunner;"
        "runner = WarmRunner(spares=2);"
        "print(*[each._process.pid for each in runner._waiting], flush=True);" + call
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        time.sleep(0.7)
        parent.kill()
    end = time.monotonic() + 10
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    left = [pid for pid in pids if _is_alive(pid)]
    for pid in left:
        os.kill(pid, 9)
    assert left == []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Where nobody waits for orphans they stay as zombies.
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(") ", 1)[1][0] != "Z"
