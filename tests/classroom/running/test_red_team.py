"""What becomes of submissions that attack the grader, and of the grader."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("submissions of others are graded on Linux", allow_module_level=True)

from minires.classroom.running.isolation import IsolationError, missing_guards, run_isolated, runner
from minires.classroom.running.substitutes import locked
from tests.classroom.running import red_team

try:
    missing_guards()
except IsolationError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.long  # an attack each, in a process of its own


class Expected(NamedTuple):
    """The score of an attack, a word from each incident, and a word of what it prints."""

    score: int
    incident: str = ""
    said: str = ""


UNREADABLE = "an unreadable answer: "
EXPECTED = {
    "agreeing_number": Expected(0),
    "always_equal": Expected(0),
    "answer_claims_much": Expected(0, UNREADABLE + "an array in it is not as large as it says"),
    "answer_is_bomb": Expected(0, UNREADABLE + "it is compressed"),
    "answer_is_deep": Expected(0, UNREADABLE + "RecursionError"),
    "answer_is_folder": Expected(0, "its answer is no plain file"),
    "answer_is_link": Expected(0, "its answer is no plain file"),
    "answer_is_pipe": Expected(0, "its answer is no plain file"),
    "answer_lacks_parts": Expected(0, UNREADABLE + "it is not built like an answer"),
    "answer_repeats": Expected(0, UNREADABLE + "KeyError"),
    "chatters": Expected(5, said="xxx"),
    "clocks": Expected(0, "did not end within 1 s"),
    "comet": Expected(5, "starts a process"),
    "crashes": Expected(0, "was ended by SIGSEGV"),
    "deep_folders": Expected(0, "ended itself with code 1"),
    "descriptors": Expected(0),
    "disk_fill": Expected(0, UNREADABLE),
    "endless": Expected(0, "did not end within 1 s"),
    "endless_at_last": Expected(2, "did not end within 1 s"),
    "ends_well": Expected(0, "ended itself with code 0"),
    "escapes": Expected(5, "starts a process"),
    "escapes_and_waits": Expected(0, "did not end within 1 s"),
    "forged_result": Expected(0, UNREADABLE + "it is not built like an answer"),
    "forged_values": Expected(0, said="passed"),
    "fork_bomb": Expected(5, "starts a process", "REFUSED"),
    "frames": Expected(0),
    "framework": Expected(0, "imports (minires|torch|jax|autograd)"),
    "kills_parent": Expected(5),
    "memory_of_the_harness": Expected(0, "was ended by SIG"),
    "memory_bomb": Expected(0, "ran out of memory"),
    "network": Expected(5, "uses the network", "REFUSED"),
    "new_rights": Expected(5, said="REFUSED namespace\nREFUSED mount\nREFUSED root\nREFUSED user"),
    "odd_text": Expected(0),
    "patched_library": Expected(0, "ended itself with code 0"),
    "patched_numpy": Expected(0),
    "pickles": Expected(0, UNREADABLE + "an array in it is of 'O'"),
    "raises_exit": Expected(0),
    "reads_parent": Expected(0, "opens /proc/1/environ"),
    "reads_reference": Expected(0, "opens .*source.py", "REFUSED"),
    "remembers": Expected(5, "writes /tmp/.*-kept"),
    "stands_for_all": Expected(0),
    "stands_for_reference": Expected(0),
    "threads": Expected(5, said="REFUSED"),
    "wipes_traces": Expected(0, UNREADABLE + "it is not built like an answer"),
    "writes_outside": Expected(5, "writes /.*/os.py.more"),
}
# What each form cannot keep a student from. It says so itself: `missing_guards`.
NO_NAMESPACES = EXPECTED | {
    "deep_folders": Expected(5),
    "disk_fill": Expected(5),
    "kills_parent": Expected(5, "sends a signal", "REFUSED"),
    "network": Expected(5, "uses the network", "SENT"),
    "new_rights": Expected(5, said="REFUSED user"),
    "reads_parent": Expected(0, "opens /proc/1/environ", "READ"),
    "remembers": Expected(5, "writes /tmp/.*-kept", "REMEMBERED"),
}
NO_RIGHTS = NO_NAMESPACES | {
    "kills_parent": Expected(0, "ended or stopped the process that keeps it"),
    "reads_reference": Expected(5, "opens .*source.py"),
    "writes_outside": Expected(5, "writes /.*/os.py.more", "WRITTEN"),
}
FORMS = {"no namespaces": NO_NAMESPACES, "no rights": NO_RIGHTS}
MISSING = {
    "no namespaces": ["no namespaces"],
    "no rights": ["no user of its own", "no namespaces"],
}
WHY = {
    "no namespaces": "Operation not permitted)",
    "no rights": "(the grader is not root)",
}
HARMS = {
    "no namespaces": {"network", "remembers"},
    "no rights": {"network", "remembers", "writes_outside"},
}


@pytest.fixture(scope="module")
def grader() -> Iterator[red_team.Grader]:
    if missing_guards():
        pytest.skip(f"needs root, and namespaces: {missing_guards()}")
    with red_team.grading() as found:
        yield found


@pytest.fixture(scope="module", params=FORMS)
def less(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if os.geteuid() != 0 and request.param != "no rights":
        pytest.skip("needs root")
    return request.param, red_team.without_rights(request.param)


def _holds(outcome: red_team.Outcome, expected: Expected) -> None:
    assert outcome.score == expected.score, outcome
    if expected.incident:
        assert any(re.match(expected.incident, each) for each in outcome.incidents), outcome
    else:
        assert outcome.incidents == [], outcome
    assert expected.said in outcome.said
    assert outcome.left == []
    assert not outcome.changed
    assert outcome.remains == []
    assert outcome.unharmed
    for each in (*outcome.says, *outcome.incidents, outcome.said):
        each.encode()  # or else no report could be written


def test_every_attack_is_expected_to_come_to_something() -> None:
    assert {each.stem for each in red_team.ATTACKS.glob("*.py")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_an_attack_gets_no_more_than_its_due_and_does_no_harm(
    grader: red_team.Grader, name: str
) -> None:
    outcome = grader.attacked(name)
    _holds(outcome, EXPECTED[name])
    assert not outcome.connected
    assert not outcome.marked
    for word in ("SENT", "GIVEN", "WRITTEN", "READ", "REMEMBERED", "IMPORTED", "ALL STARTED"):
        assert word not in outcome.said


@pytest.mark.timeout(300)
def test_with_fewer_rights_what_is_not_kept_off_is_known_and_the_rest_holds(
    less: tuple[str, dict[str, Any]],
) -> None:
    form, told = less
    assert [each.partition(":")[0] for each in told["missing"]] == MISSING[form]
    assert all(each.endswith(WHY[form]) for each in told["missing"])
    outcomes = told["outcomes"]
    for name, expected in FORMS[form].items():
        _holds(outcomes[name], expected)
    harmed = {name for name, each in outcomes.items() if each.connected or each.marked}
    assert harmed == HARMS[form]


def test_of_a_submission_only_plain_files_count(grader: red_team.Grader) -> None:
    def linked(folder: Path) -> None:
        (folder / "units.py").symlink_to(grader.bundle / "source.py")
        (folder / "more").symlink_to("/etc")
        os.mkfifo(folder / "pipe")

    outcome = grader.attacked("linked", linked)
    assert outcome.score == 0
    assert list(dict.fromkeys(outcome.incidents)) == [
        f"submits {name}, which is no plain file; it was left out"
        for name in ("more", "pipe", "units.py")
    ]


def test_of_a_submission_as_much_counts_as_there_is_room_for(grader: red_team.Grader) -> None:
    def large(folder: Path) -> None:
        (folder / "units.py").write_text(grader.honest.read_text())
        with (folder / "video").open("wb") as file:
            file.truncate(17 * 2**20)

    outcome = grader.attacked("large", large)
    assert outcome.score == 5
    assert outcome.incidents[0].startswith("submits more than there is room for")


def test_a_process_that_is_left_would_be_seen() -> None:
    command = [sys.executable, "-c", "import time; time.sleep(20)", "/scratch/out.npz"]
    with subprocess.Popen(command) as process:
        assert process.pid in red_team._left()
        process.kill()
    assert process.pid not in red_team._left()


def test_a_process_sees_no_variable_of_the_grader_and_no_file_but_its_own(
    grader: red_team.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    file = tmp_path / "looks.py"
    file.write_text(
        "import os\n"
        "def look(path):\n"
        "    return sorted(os.listdir(path)), list(os.environ), os.getuid(), os.getpid()\n"
    )
    answer = run_isolated(file, "look", [("/",), ("/student",), ("/packages",)], 5.0)
    names, variables, user, pid = answer.outcomes[0]["result"]
    assert {"child.py", "dev", "job.npz", "packages", "scratch", "student"} <= set(names)
    assert not {"proc", "sys", "etc", "home", "tmp", "work"} & set(names)
    assert "API_KEY" not in variables
    assert (user >= 61184, pid) == (True, 1)
    assert answer.outcomes[1]["result"][0] == ["looks.py"]
    assert set(answer.outcomes[2]["result"][0]) <= {"numpy", "numpy.libs"}


def test_a_student_may_import_a_file_of_their_own(grader: red_team.Grader, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("TWO = 2\n")
    (tmp_path / "main.py").write_text("import helper\ndef f(x):\n    return x * helper.TWO\n")
    answer = run_isolated(tmp_path / "main.py", "f", [(np.float64(3.0),)], 5.0)
    assert answer.outcomes[0]["result"] == 6.0


def test_what_is_given_can_be_used_where_nothing_else_is(
    grader: red_team.Grader, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(
        "def wrong(x):\n    return x\ndef f(x):\n    return wrong(x)\n"
    )
    given = {"wrong": locked("wrong", [([np.ones(3)], np.zeros(2))])}
    answer = run_isolated(tmp_path / "main.py", "f", [(np.ones(3),)], 5.0, given=given)
    assert answer.outcomes[0]["result"].tolist() == [0.0, 0.0]
    assert answer.incidents == ()


def test_calls_and_memory_are_measured_there_too(grader: red_team.Grader, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def f(x):\n    return abs(x)\n")
    measure = {"calls": 10, "memory": True}
    answer = run_isolated(tmp_path / "main.py", "f", [(np.ones(3),)], 5.0, measure=measure)
    assert answer.outcomes[0]["calls"] == 2
    assert answer.outcomes[0]["kept"] < 1000
    assert answer.incidents == ()


def test_temporary_files_beside_a_submission_do_not_become_part_of_it(
    grader: red_team.Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    file = tmp_path / "looks.py"
    file.write_text("import os\ndef look():\n    return os.listdir('/student')\n")
    assert run_isolated(file, "look", [()], 5.0).outcomes[0]["result"] == ["looks.py"]


def test_a_failure_of_the_grader_is_no_failure_of_the_student(
    grader: red_team.Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = runner._python() | {"child": "/no/such/child.py"}
    monkeypatch.setattr(runner, "_python", lambda: broken)
    with pytest.raises(IsolationError, match="No such file"):
        run_isolated(grader.honest, "relu", [(np.ones(3),)], 5.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_when_the_grader_is_ended_so_is_what_it_grades(
    grader: red_team.Grader, tmp_path: Path, number: int
) -> None:
    file = tmp_path / "waits.py"
    file.write_text("import time\ndef wait():\n    time.sleep(30)\n")
    program = (
        "import sys; from pathlib import Path;"
        "from minires.classroom.running.isolation import missing_guards, run_isolated;"
        "missing_guards(); sys.stdout.write('ready'); sys.stdout.flush();"
        "run_isolated(Path(sys.argv[1]), 'wait', [()], 30.0)"
    )
    environment = os.environ | {"PYTHONPATH": str(red_team.REPOSITORY), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program, str(file)]
    before = red_team._of_students()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        until = time.monotonic() + 20
        while not red_team._of_students() - before and time.monotonic() < until:
            time.sleep(0.01)
        assert red_team._of_students() - before
        process.send_signal(number)
    assert red_team._left() == []


def test_a_signal_without_a_name_ends_one_submission_and_no_grading(tmp_path: Path) -> None:
    file = tmp_path / "units.py"
    file.write_text(
        f"import os\nos.kill(os.getpid(), {signal.SIGRTMIN + 6})\n\ndef f(x):\n    return x\n"
    )
    without = runner._Guards(another_user=False, namespaces=False, why="")
    answer = runner._run(file, "f", [(1.0,)], 10.0, without)
    assert answer.ended == "killed"
    assert answer.incidents == (f"was ended by signal {signal.SIGRTMIN + 6} before it answered",)
