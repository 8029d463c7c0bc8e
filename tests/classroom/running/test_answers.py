"""What is read of an answer that may be anything."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.classroom.running import answers, child
from minires.classroom.running.answers import read_answer

CALLS = [(np.ones(2), {"a": 1})]
OUTCOME = {"arguments": [1, 2], "shared": False, "result": None}

ERROR = {"error": "ValueError", "message": "no", "kinds": ["ValueError"], "frames": []}


def _told(result: Any, **changes: Any) -> dict[str, Any]:
    outcome = {**OUTCOME, "result": result, **changes}
    return {"outcomes": [outcome], "said": "", "noted": []}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**63 - 1,
        0.1,
        "text",
        np.zeros((2, 0, 3)),
        np.array(1.5),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
        np.array([True, False]),
        np.array([1 + 2j]),
        np.arange(3, dtype=">i4"),
    ],
    ids=str,
)
def test_a_value_comes_back_as_it_was(tmp_path: Path, value: Any) -> None:
    child.dump(tmp_path / "out.npz", _told({"x": [value, (value, 1)]}))
    answer = read_answer(tmp_path / "out.npz", CALLS)
    assert (answer.ended, answer.incidents) == ("", ())
    one, (two, three) = answer.outcomes[0]["result"]["x"]
    assert three == 1
    for found in (one, two):
        np.testing.assert_array_equal(found, value, strict=isinstance(value, np.ndarray))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (_told(2**63), "more than 64 bits"),
        (_told(None, arguments=[1]), "not built like an answer"),
        (_told(None, shared=1), "not built like an answer"),
        (_told(None, calls="many"), "not built like an answer"),
        (_told(None, error=1), "not built like an answer"),
        (_told(None, **(ERROR | {"frames": "all"})), "not built like an answer"),
        (_told(None, **(ERROR | {"kinds": [1]})), "not built like an answer"),
        (_told(None, **(ERROR | {"calls": [1]})), "not built like an answer"),
        (_told(None, missing=1), "not built like an answer"),
        *[
            (_told(None, **{k: v for k, v in ERROR.items() if k != part}), "not built like an")
            for part in ("message", "frames", "kinds")
        ],
        (_told(None) | {"said": 1}, "not built like an answer"),
        (_told(None) | {"noted": [1]}, "notes are not texts"),
        (_told(None) | {"outcomes": [OUTCOME] * 2}, "not built like an answer"),
        (_told("x" * 2**20), "too many parts"),
        ([1, 2], "TypeError"),
    ],
)
def test_what_is_not_built_like_an_answer_is_not_read(
    tmp_path: Path, told: Any, words: str
) -> None:
    child.dump(tmp_path / "out.npz", told)
    answer = read_answer(tmp_path / "out.npz", CALLS)
    assert (answer.outcomes, answer.ended) == ([], "unreadable")
    assert words in answer.incidents[0]


def test_what_is_no_archive_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "out.npz").write_bytes(b"PK\x03\x04 and so on")
    assert read_answer(tmp_path / "out.npz", CALLS).ended == "unreadable"
    assert read_answer(tmp_path / "none.npz", CALLS).ended == "killed"


def test_what_is_larger_than_any_answer_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child.dump(tmp_path / "out.npz", _told(np.zeros(1000)))
    monkeypatch.setattr(answers, "MOST_BYTES", 8000)
    answer = read_answer(tmp_path / "out.npz", CALLS)
    assert answer.incidents == ("an unreadable answer: it is larger than 8000 bytes",)


def test_a_member_that_says_it_is_larger_than_the_file_is_not_read(tmp_path: Path) -> None:
    # Two members in the same place: the way to a large archive in a small file.
    path = tmp_path / "out.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.npy", bytes(10_000))
        [member] = archive.infolist()
        archive.filelist.append(member)
    assert "larger than it is" in read_answer(path, CALLS).incidents[0]


def test_text_that_no_file_can_hold_or_a_terminal_obeys_is_changed(tmp_path: Path) -> None:
    # Half a character, an order to clear the screen, one to turn the direction of writing.
    said = "a\ud800b\x1b[2J\r\u202e é 数\n\tx"
    child.dump(tmp_path / "out.npz", _told(None) | {"said": said})
    assert read_answer(tmp_path / "out.npz", CALLS).said == "ab\n é 数\n    x"


def test_a_dict_that_names_its_kind_twice_is_not_read(tmp_path: Path) -> None:
    text = json.dumps({"list": [], "tuple": []})
    np.savez(tmp_path / "out.npz", structure=np.frombuffer(text.encode(), np.uint8))
    assert read_answer(tmp_path / "out.npz", CALLS).ended == "unreadable"


def test_what_a_student_runs_knows_nothing_of_isolation() -> None:
    program = (
        "import sys; sys.modules['resource'] = sys.modules['fcntl'] = sys.modules['pty'] = None;"
        "import minires.classroom.judging, minires.classroom.verify;"
        "assert not [name for name in sys.modules if 'isolation' in name]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
