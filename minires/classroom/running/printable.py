"""What students' code said, fit for a terminal."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["as_printable"]

_LONGEST = 300
# Colours, moves of the cursor, titles of windows; 8-bit letters stand for the escape, too.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)


def as_printable(text: str, longest: int = _LONGEST) -> str:
    r"""Return a text without what moves the cursor, colours, rings or turns the direction around.

    Parameters
    ----------
    text : str
    longest : int
        Characters of a line that are kept.

    Examples
    --------
    >>> as_printable("\x1b[31mred\x1b[0m\a\rover")
    'red\nover'
    """
    text = _SEQUENCES.sub("", text[: 100 * longest]).replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(_cut(_plain(line), longest) for line in text.split("\n"))


def _plain(line: str) -> str:
    # Cc and Cf: controls, and marks of direction; Cs: halves of a pair, which no terminal can show.
    shown = line.expandtabs(4)
    return "".join(each for each in shown if unicodedata.category(each) not in ("Cc", "Cf", "Cs"))


def _cut(line: str, longest: int) -> str:
    return line if len(line) <= longest else f"{line[:longest]} ..."
