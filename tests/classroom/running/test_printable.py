"""What students' code said, before it goes to a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.classroom.running.printable import as_printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain α\nover two lines", "plain α\nover two lines"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b[38;2;1;2;3mred\x1b[m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1;2|data\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("\x1b(0lines", "lines"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cafter", "after"),
        ("cut off \x1b[31", "cut off "),
        ("cut off \x1b", "cut off "),
        ("never ended \x1b]0;title\nnext", "never ended \nnext"),
        ("ring\a back\b\b feed\x0c null\x00 del\x7f", "ring back feed null del"),
        ("50 %\r100 %\r\ndone", "50 %\n100 %\ndone"),
        ("a\tb", "a   b"),
        ("\u202eright to left\u2066", "right to left"),
        ("half \ud800", "half "),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out(text: str, shown: str) -> None:
    assert as_printable(text) == shown


def test_long_lines_are_cut() -> None:
    assert as_printable("a" * 400 + "\nb") == "a" * 300 + " ...\nb"
    assert as_printable("abcdef", longest=3) == "abc ..."
    assert len(as_printable("a" * 10**7)) < 400


@given(st.text())
def test_no_control_is_left_in_any_text(text: str) -> None:
    shown = as_printable(text)
    assert all(unicodedata.category(each) not in ("Cc", "Cs") for each in shown if each != "\n")
