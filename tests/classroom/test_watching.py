"""What has changed in a student's files, what is run again for it, and what is shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from minires.classroom.assignment import Assignment
from minires.classroom.release import Handed, handed, release
from minires.classroom.running.processes import Answer
from minires.classroom.running.remembering import Remembering
from minires.classroom.watching import Changes, Watch

from .assignments import run_here
from .conftest import SMALL

RIGHT = "import numpy as np\ndef relu(x):\n    return np.maximum(x, 0), {'mask': x > 0}\n"
RIGHT_BACK = "def relu_backward(g, cache):\n    return g * cache['mask']\n"


class _Counting:
    """A runner that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(
        self, file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float
    ) -> Answer:
        self.asked.append(function)
        return run_here(file, function, calls, seconds)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's folder of two programs, of which the second is given out broken."""
    place = tmp_path_factory.mktemp("pair")
    shutil.copytree(SMALL, place / "small")
    toml = place / "small" / "assignment.toml"
    text = toml.read_text().replace('needs = ["relu_values"]\n', "")
    toml.write_text(
        text.replace('outputs = ["dx"]', 'outputs = ["dx"]\nfile = "back.py"\nbroken = "L4"')
    )
    source = place / "small" / "source"
    forward, backward = (source / "units.py").read_text().split("\n\n\ndef relu_backward")
    (source / "units.py").write_text(forward + "\n")
    (source / "back.py").write_text(f"def relu_backward{backward}")
    return release(Assignment(place / "small"), place / "a0", run_here)


@pytest.fixture
def started(pair: Path, tmp_path: Path) -> Handed:
    shutil.copytree(pair, tmp_path / "a0")
    return handed(tmp_path / "a0")


@pytest.fixture
def counting() -> _Counting:
    return _Counting()


@pytest.fixture
def watch(started: Handed, counting: _Counting) -> Watch:
    watch = Watch(started, counting)
    watch.check()
    return watch


@pytest.fixture
def write(started: Handed, watch: Watch) -> Callable[[str, str], None]:
    """Write a file, and check it."""

    def write(name: str, text: str) -> None:
        (started.folder / name).write_text(text)
        watch.check([name])

    return write


# -- changes -------------------------------------------------------------------------------------


def test_a_change_counts_when_it_was_seen_twice(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one")
    changes = Changes(tmp_path, ["a.py", "b.py"])
    assert changes.look() == []
    (tmp_path / "a.py").write_text("")  # as an editor does before it writes
    assert changes.look() == []
    (tmp_path / "a.py").write_text("two")
    assert changes.look() == []
    assert changes.look() == ["a.py"]
    assert changes.look() == []


def test_files_that_come_go_or_are_replaced_have_changed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one")
    changes = Changes(tmp_path, ["a.py", "b.py"])
    (tmp_path / "b.py").write_text("new")
    (tmp_path / "beside").write_text("two")
    (tmp_path / "beside").replace(tmp_path / "a.py")
    assert [changes.look(), changes.look()] == [[], ["a.py", "b.py"]]
    (tmp_path / "a.py").unlink()
    assert [changes.look(), changes.look()] == [[], ["a.py"]]
    (tmp_path / "a.py").mkdir()
    (tmp_path / "b.py").write_text("new")  # what is in it is the same
    assert [changes.look(), changes.look()] == [[], []]


# -- what is run again ---------------------------------------------------------------------------


def test_only_what_a_change_can_affect_is_run_again(
    watch: Watch, counting: _Counting, write: Callable[[str, str], None]
) -> None:
    assert counting.asked == ["relu", "relu_backward"]
    write("units.py", RIGHT)
    assert counting.asked[2:] == ["relu"]
    watch.check()
    assert len(counting.asked) == 3
    watch.check(again=True)
    assert counting.asked[3:] == ["relu", "relu_backward"]


def test_a_change_of_what_is_imported_counts_too(tmp_path: Path, counting: _Counting) -> None:
    (tmp_path / "a.py").write_text("import b\ndef f():\n    return 1.0\n")
    (tmp_path / "b.py").write_text("from c import x\n")
    (tmp_path / "c.py").write_text("from a import y\n")  # round and round
    (tmp_path / "d.py").write_text("")
    calls, run = [()], Remembering(counting)
    for name, text, times in [
        ("d.py", "x = 1", 1),
        ("c.py", "x = 1", 2),
        ("c.py", "x = ", 3),
        ("b.py", "import", 4),
        ("c.py", "x = 2", 4),
        ("a.py", "\0", 5),
    ]:
        run(tmp_path / "a.py", "f", calls, 1.0)
        (tmp_path / name).write_text(text)
        run(tmp_path / "a.py", "f", calls, 1.0)
        assert len(counting.asked) == times, (name, text)


# -- what is shown -------------------------------------------------------------------------------


def test_the_first_check_that_is_not_passed_is_shown(
    watch: Watch, write: Callable[[str, str], None]
) -> None:
    assert (watch.file, watch.shown and watch.shown.name) == ("units.py", "relu_values")
    write("units.py", RIGHT)
    assert (watch.file, watch.shown, watch.done) == ("units.py", None, False)
    watch.next()
    assert (watch.file, watch.shown and watch.shown.diagnosis) == ("back.py", "L4")
    write("back.py", RIGHT_BACK)
    assert (watch.shown, watch.done) == (None, True)
    watch.next()
    assert watch.file == "back.py"


def test_a_file_of_which_no_check_is_shown_can_be_at_hand(
    watch: Watch, started: Handed, write: Callable[[str, str], None]
) -> None:
    started.sheet.functions["other"] = started.sheet.functions["relu"].model_copy(
        update={"name": "other", "file": "other.py"}
    )
    write("other.py", "")
    assert (watch.file, watch.shown, watch.done) == ("other.py", None, False)
    watch.hint()
    watch.next()
    assert watch.file == "units.py"


def test_next_goes_around_and_a_change_brings_its_file_to_hand(
    watch: Watch, write: Callable[[str, str], None]
) -> None:
    watch.next()
    assert watch.file == "back.py"
    watch.next()
    assert watch.file == "units.py"
    write("back.py", "def relu_backward(g, cache):\n    return None\n")
    assert (watch.file, watch.shown and watch.shown.name) == ("back.py", "relu_backward_values")


def test_a_chosen_check_that_is_skipped_hides_no_error(started: Handed) -> None:
    sheet = started.sheet
    needing = sheet.settings.checks[1].model_copy(update={"needs": ("relu_values",)})
    sheet.settings = sheet.settings.model_copy(
        update={"checks": (sheet.settings.checks[0], needing)}
    )
    relu_backward = sheet.functions["relu_backward"]
    sheet.functions["relu_backward"] = relu_backward.model_copy(update={"file": "units.py"})
    watch = Watch(started, run_here)
    wrong_back = RIGHT_BACK.replace("g *", "2 * g *")
    (started.folder / "units.py").write_text(RIGHT + wrong_back)
    watch.check(["units.py"])
    watch.next()
    watch.hint()
    assert watch.shown is not None
    assert (watch.shown.name, len(watch.hints())) == ("relu_backward_values", 1)
    (started.folder / "units.py").write_text(RIGHT + "    return g g\n")
    watch.check(["units.py"])
    assert watch.shown.name == "relu_values"
    assert "SyntaxError" in watch.shown.message
    assert watch.hints() == []
    (started.folder / "units.py").write_text(RIGHT + wrong_back)
    watch.check(["units.py"])
    assert watch.shown.name == "relu_backward_values"


def test_hints_go_from_the_mistake_to_all_but_the_answer(
    watch: Watch, started: Handed, write: Callable[[str, str], None]
) -> None:
    started.hints["L2"] = "Is 0 above 0?"
    write("units.py", RIGHT.replace("x > 0", "x >= 0"))
    assert watch.hints() == []
    for _ in range(4):
        watch.hint()
    assert watch.hints() == [
        "Is 0 above 0?",
        "NumPy compares whole arrays.",
        "np.maximum takes two.",
    ]
    write("units.py", RIGHT.replace("x > 0", "x < 0"))  # no mistake that is known
    assert watch.hints()[0] == "What is max(-1, 0)?"
    watch.next()
    assert watch.hints() == []
    watch.hint()
    assert watch.hints() == ["Where did the input count?"]


def test_a_reset_keeps_what_was_there(watch: Watch, started: Handed) -> None:
    path = started.folder / "units.py"
    starter = path.read_text()
    for number, text in enumerate(("first\r\n", "second"), 1):
        path.write_bytes(text.encode())
        kept = watch.reset()
        assert kept == started.folder / f"units.py.bak-{number}"
        assert kept.read_bytes().decode() == text
        assert path.read_text() == starter
    path.unlink()
    assert watch.reset() is None
    assert path.read_text() == starter
