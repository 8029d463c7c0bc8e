"""Why a file of answers is no TOML, for those who wrote it: the line, and what to do there."""

from __future__ import annotations

import re
import tomllib

__all__ = ["slip"]

_TEXT_BEGINS = re.compile(r'\s*[\w."\']+\s*=\s*"""')
# What stands in a line that cannot be read, and what to do about it; the first that fits is told.
_OF_LINES = [
    (r"=\s*[-+]?\d+,\d+\s*$", "a number has a decimal point, not a comma"),
    (r"=\s*[-+]?[\d.]+\s*%", "a share is a number such as 0.25, without a percent sign"),
    (r"=\s*$", 'there is nothing after =; what is not answered yet is ""'),
    (r"=\s*[-+]?(\.\d|\d+\.(\D|$))", "a number has digits on both sides of its decimal point"),
    (r"=\s*[-+]?\d+\s*/\s*\d", "a quotient is yours to compute; what stands here is a number"),
    (r"=\s*[-+]?0\d", "a number does not begin with a needless 0"),
    (r"[“”„«»‘’]", 'quotes are straight ones, as in "text"'),  # noqa: RUF001
    (r"^\s*\[[^\]]*$", "a table's name stands between [ and ]"),
    (r"^\s*[\w-]+\s*:", "a name and its value have = between them, not a colon"),
    (r"=\s*[^\W\d]", "a text stands in quotes, and a number is digits alone"),
]
# The same, by what tomllib says.
_OF_ERRORS = {
    "Unescaped '\\'": "a backslash in a text is written twice, \\\\",
    "'\\n'": 'the text is not ended: it lacks a quote; one of several lines stands between """ and'
    ' """',
    "Cannot overwrite": "the name stands in the file before; it can have one value",
    "Cannot declare": "the table stands in the file before; it can stand there once",
}


def slip(text: str, error: tomllib.TOMLDecodeError) -> tuple[int, str]:
    r"""Return the line of what is no TOML, and what to do about it.

    Parameters
    ----------
    text : str
        The whole file.
    error : tomllib.TOMLDecodeError
        That reading it ended in.

    Examples
    --------
    >>> text = "[readings]\nloss = 1,848\n"
    >>> try:
    ...     tomllib.loads(text)
    ... except tomllib.TOMLDecodeError as error:
    ...     slip(text, error)
    (2, 'a number has a decimal point, not a comma')
    """
    lines = text.split("\n")
    found = re.search(r"\(at line (\d+),", str(error))
    at = int(found[1]) if found else len(text.rstrip().split("\n"))
    if begun := _unended(lines[:at]):
        return begun, 'the text that begins here is not ended: it lacks its last """'
    says = [told for part, told in _OF_ERRORS.items() if part in str(error)]
    says += [told for pattern, told in _OF_LINES if re.search(pattern, _bare(lines[at - 1]))]
    return at, (says or ["a line is a name, =, and a number or a text in quotes"])[0]


def _unended(lines: list[str]) -> int:
    '''Return the line of a """ that has no other before the next answer begins, or 0.'''
    begun = 0
    for number, line in enumerate(lines, start=1):
        if begun and _TEXT_BEGINS.match(line):
            return begun
        comment = not begun and line.lstrip().startswith("#")
        if not comment and line.count('"""') % 2:
            begun = 0 if begun else number
    return begun


def _bare(line: str) -> str:
    """Leave out a comment."""
    return line.split("#")[0].rstrip()
