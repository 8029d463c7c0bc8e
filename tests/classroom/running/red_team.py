"""Grades attacks as submissions, and looks at what became of the machine.

As a program it gives up rights that it has, and then does the same: ``red_team.py FORM OUT``, where
FORM is "no namespaces" or "no rights".
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minires.classroom.assignment import Assignment
from minires.classroom.judging import judged, prepared
from minires.classroom.running.isolation import jail, missing_guards, run_isolated
from minires.classroom.running.processes import Answer
from minires.classroom.running.substitutes import substitutes

HERE = Path(__file__).parent
ATTACKS = HERE / "attacks"
REPOSITORY = HERE.parents[2]
# What never ends gets less time than a check has by default.
ENDLESS = ("clocks", "endless", "endless_at_last", "escapes_and_waits")
SECONDS = 1.0
# Nobody's, and none that the jail gives away.
SOMEBODY = 60999
_SYS_ADMIN = 21


class Outcome(NamedTuple):
    """What became of a submission, and of what is around it.

    Attributes
    ----------
    score : int
    says : list of str
    said : str
    incidents : list of str
    left : list of int
        Processes that were still there after it.
    marked : bool
        Whether it made a file that is not its own.
    connected : bool
    changed : bool
        Whether its folder is another one than before.
    remains : list of str
        What is left where temporary files are.
    unharmed : bool
        Whether what comes next is called as always.
    """

    score: int
    says: list[str]
    said: str
    incidents: list[str]
    left: list[int]
    marked: bool
    connected: bool
    changed: bool
    remains: list[str]
    unharmed: bool


class Grader:
    """Grades submissions to the smallest assignment, one after the other."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.assignment = Assignment(HERE.parent / "small")
        self.cases = prepared(self.assignment, 3, run_isolated, mistakes=False)
        self.given = {
            name: substitutes(self.assignment, check, self.cases[name].calls)
            for name, check in self.assignment.checks.items()
        }
        self.honest = place / "honest" / "units.py"
        self.honest.parent.mkdir()
        self.honest.write_text(self.assignment.solution["units.py"], encoding="utf-8")
        self.bundle = place / "bundle"
        self.bundle.mkdir(mode=0o700)
        (self.bundle / "source.py").write_text(
            self.assignment.solution["units.py"], encoding="utf-8"
        )
        np.savez(self.bundle / "expected.npz", structure=np.zeros(3))
        self.temporary = place / "temporary"
        self.temporary.mkdir(mode=0o711)

    def graded(self, file: Path, within: float = 5.0) -> tuple[int, list[str], list[Answer]]:
        """Return the score of a file, what is said of it, and what its processes came to."""
        answers: list[Answer] = []

        def runner(
            file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float, **also: Any
        ) -> Answer:
            answers.append(run_isolated(file, function, calls, within, **also))
            return answers[-1]

        results = judged(self.assignment, file.parent, self.cases, runner, self.given)
        points = {each.name: each.points for each in self.assignment.settings.checks}
        score = sum(points[each.name] for each in results if each.status == "passed")
        return score, [each.says for each in results], answers

    def attacked(self, name: str, arrange: Callable[[Path], None] | None = None) -> Outcome:
        """Grade an attack, call a right submission after it, and look around."""
        folder, mark = self.place / name, self.place / f"{name}-was-here"
        folder.mkdir()
        shutil.rmtree(mark, ignore_errors=True)
        with _listening() as (server, port), _temporary(self.temporary):
            if arrange is not None:
                arrange(folder)
            else:
                text = (ATTACKS / f"{name}.py").read_text(encoding="utf-8")
                for word, meaning in {
                    "BUNDLE": self.bundle,
                    "MARK": mark,
                    "NAME": f"{self.place.name}-{name}",
                    "PACKAGES": Path(np.__file__).parents[1],
                    "PORT": port,
                    "REPOSITORY": REPOSITORY,
                }.items():
                    text = text.replace(f"@{word}@", str(meaning))
                (folder / "units.py").write_text(text, encoding="utf-8")
            before = _contents(folder)
            score, says, answers = self.graded(
                folder / "units.py", SECONDS if name in ENDLESS else 5.0
            )
            left = _left()
            connected = _was_called(server)
            kept = list(self._kept(name))
            following = run_isolated(self.honest, "relu", [(np.array([-1.0, 2.0]),)], 5.0)
            return Outcome(
                score=score,
                says=says,
                said="".join(each.said for each in answers),
                incidents=[fact for each in answers for fact in each.incidents],
                left=left,
                marked=mark.exists() or bool(kept),
                connected=connected,
                changed=_contents(folder) != before,
                remains=sorted(each.name for each in self.temporary.iterdir()),
                unharmed=not following.ended and _is_right(following),
            )

    def _kept(self, name: str) -> Iterator[Path]:
        """Take away what an attack put where everybody may write, and yield it."""
        for place in ("/dev/shm", "/tmp", "/var/tmp"):
            for each in Path(place).glob(f"{self.place.name}-{name}-kept"):
                each.unlink()
                yield each


@contextlib.contextmanager
def grading() -> Iterator[Grader]:
    """Yield a grader with a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="minires-red-team-") as place:
        Path(place).chmod(0o711)
        yield Grader(Path(place))


def without_rights(form: str) -> dict[str, Any]:
    """Grade all attacks in a process with fewer rights; return what became of them."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "outcomes.json"
        Path(place).chmod(0o777)
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        subprocess.run(
            [sys.executable, __file__, form, str(out)], check=True, timeout=300, env=environment
        )
        told: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    told["outcomes"] = {name: Outcome(**each) for name, each in told["outcomes"].items()}
    return told


def main(form: str, out: str) -> None:
    """Give up rights, unless they are given up already, and grade all attacks."""
    if form != "now":
        if os.geteuid() == 0:
            _let_be_reached([sys.base_prefix, sys.prefix, str(REPOSITORY)])
        if form == "no namespaces":
            jail._prctl(jail.DROP_FROM_BOUND, _SYS_ADMIN)
        elif os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
            os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)
        os.execv(sys.executable, [sys.executable, __file__, "now", out])
    with grading() as grader:
        outcomes = {
            each.stem: grader.attacked(each.stem)._asdict() for each in sorted(ATTACKS.glob("*.py"))
        }
    told = {"missing": missing_guards(), "outcomes": outcomes}
    Path(out).write_text(json.dumps(told), encoding="utf-8")


def _let_be_reached(paths: Iterable[str]) -> None:
    """Let these folders be reached by all, in what this process sees of the machine."""
    jail._call("unshare", jail.NEW_MOUNTS)
    jail._call("mount", b"none", b"/", None, jail.RECURSIVE | jail.PRIVATE, None)
    aside = tempfile.mkdtemp()
    for number, path in enumerate(paths):
        closed = [each for each in Path(path).parents if not each.stat().st_mode & 1]
        if not closed:
            continue
        kept = f"{aside}/{number}"
        Path(kept).mkdir()
        jail._call("mount", path.encode(), kept.encode(), None, jail.BIND, None)
        jail._tmpfs(str(closed[-1]), 0, "mode=755")
        Path(path).mkdir(parents=True)
        jail._call("mount", kept.encode(), path.encode(), None, jail.BIND, None)


@contextlib.contextmanager
def _listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server, server.getsockname()[1]


def _was_called(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _temporary(place: Path) -> Iterator[None]:
    """Let temporary files be made in a folder where nobody else makes some."""
    before, tempfile.tempdir = tempfile.tempdir, str(place)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _is_right(answer: Answer) -> bool:
    return answer.outcomes[0]["result"][0].tolist() == [0.0, 2.0]


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(each): each.read_bytes() if each.is_file() and not each.is_symlink() else b""
        for each in folder.rglob("*")
    }


def _left() -> list[int]:
    """Return processes of students that do not go away."""
    found = _of_students()
    until = time.monotonic() + 2
    while found and time.monotonic() < until:
        time.sleep(0.05)
        found &= _of_students()
    return sorted(found)


def _of_students() -> set[int]:
    found = set()
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (each / "cmdline").read_bytes().split(b"\0") if each.name.isdecimal() else []
            ours = each.stat().st_uid in (os.geteuid(), *jail.USERS)
            if ours and words[-2:-1] and words[-2].endswith(b"/scratch/out.npz"):
                found.add(int(each.name))
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
