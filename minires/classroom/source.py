"""The one file an assignment's code is written in, and what students get of it.

The instructor writes the solved file. Markers in comments say what a student is not to see::

    def relu(x):
        # BEGIN SOLUTION
        return np.maximum(x, 0)
        # END SOLUTION

A *solution* is replaced by an error that names its function. A single line may end in
``# SOLUTION``: what it assigns becomes ``...``. What stands between ``# BEGIN HIDDEN`` and
``# END HIDDEN`` is left out, and what follows ``# PROMPT`` is a comment of the students' file
alone.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import NamedTuple

__all__ = ["Block", "Source", "SourceError", "leaks"]

_BEGIN = re.compile(r"# BEGIN (SOLUTION|HIDDEN)$")
_END = re.compile(r"# END (SOLUTION|HIDDEN)$")
_LIKE_A_MARKER = re.compile(r"#\s*(begin|end)\s+(solution|hidden)\b|#\s*(solution|prompt)\b", re.I)


class SourceError(ValueError):
    """A source whose markers do not fit together."""


class Block(NamedTuple):
    """Lines from a marker that begins to the one that ends, both included.

    Attributes
    ----------
    kind : str
        ``SOLUTION`` or ``HIDDEN``.
    first, last : int
        Numbers of the markers' lines, from 1.
    """

    kind: str
    first: int
    last: int


@dataclass(frozen=True)
class Source:
    r"""A solved file with markers.

    Parameters
    ----------
    text : str
    name : str
        What messages call it.

    Raises
    ------
    SourceError
        If a marker is misspelled, nested, not closed or not opened, or the file is no Python.

    Examples
    --------
    >>> source = Source(
    ...     "def twice(x):\n    # BEGIN SOLUTION\n    return 2 * x\n    # END SOLUTION\n"
    ... )
    >>> print(source.starter(), end="")
    def twice(x):
        raise NotImplementedError("twice is yours to write")
    """

    text: str
    name: str = "source.py"

    def __post_init__(self) -> None:
        try:
            ast.parse(self.text)
        except SyntaxError as error:
            raise SourceError(f"{self.name}, line {error.lineno}: {error.msg}") from None
        blocks = self.blocks
        for line, comment in _comments(self.text):
            inside = any(block.first < line < block.last for block in blocks)
            if _LIKE_A_MARKER.match(comment) and not _is_marker(comment):
                raise SourceError(
                    f"{self.name}, line {line}: {comment!r} looks like a marker, and is none; there"
                    " are # BEGIN SOLUTION, # END SOLUTION, # SOLUTION, # BEGIN HIDDEN, # END"
                    " HIDDEN and # PROMPT"
                )
            if comment == "# SOLUTION" and not inside:
                _without_value(self.lines[line - 1], f"{self.name}, line {line}")

    @property
    def lines(self) -> list[str]:
        """The lines, without their ends, as Python counts them: a form feed ends none."""
        return [line.removesuffix("\n") for line in StringIO(self.text)]

    @property
    def blocks(self) -> list[Block]:
        """What is marked, in the order of the file."""
        found, opened = [], None
        for line, comment in _comments(self.text):
            where = f"{self.name}, line {line}"
            if begin := _BEGIN.match(comment):
                if opened:
                    raise SourceError(
                        f"{where}: {comment!r} stands inside the {opened.kind} that begins in line"
                        f" {opened.first}; close that one first"
                    )
                opened = Block(begin[1], line, 0)
            elif end := _END.match(comment):
                if not opened or opened.kind != end[1]:
                    raise SourceError(f"{where}: {comment!r} has no # BEGIN {end[1]} before it")
                found.append(opened._replace(last=line))
                opened = None
        if opened:
            raise SourceError(
                f"{self.name}: the {opened.kind} that begins in line {opened.first} is not closed"
            )
        return found

    def solution(self) -> str:
        """Return the solved file, without markers."""
        return self._written(solved=True)

    def starter(self) -> str:
        """Return what students get.

        Raises
        ------
        SourceError
            If that is no Python, or a line of a solution stands in it.
        """
        text = self._written(solved=False)
        try:
            ast.parse(text)
        except SyntaxError as error:
            raise SourceError(
                f"{self.name}: without its solutions it is no Python, {error.msg} in line"
                f" {error.lineno}: {(error.text or '').strip()!r}"
            ) from None
        if leaked := leaks(self, text):
            raise SourceError(
                f"{self.name}: lines of a solution stand outside of it, too: {leaked[0]!r}"
            )
        return text

    def _written(self, solved: bool) -> str:
        comments = dict(_comments(self.text))
        ends = {block.first: block for block in self.blocks}
        functions = _functions(self.text)
        written: list[str] = []
        skipped_to = 0
        for number, line in enumerate(self.lines, 1):
            comment = comments.get(number, "")
            if number <= skipped_to:
                if solved and number < skipped_to:
                    written.append(line)
                continue
            if block := ends.get(number):
                skipped_to = block.last
                if not solved and block.kind == "SOLUTION":
                    indent = line[: len(line) - len(line.lstrip())]
                    written.append(f"{indent}raise NotImplementedError({_todo(functions, number)})")
            elif comment == "# SOLUTION":
                bare = line.rstrip().removesuffix("# SOLUTION").rstrip()
                written.append(bare if solved else _without_value(line, self.name))
            elif comment.startswith("# PROMPT"):
                if not solved:
                    written.append(line.replace("# PROMPT", "#", 1))
            else:
                written.append(line)
        return "\n".join(written) + "\n"


def leaks(source: Source, text: str) -> list[str]:
    r"""Return the statements of a source's solutions that stand in a text.

    Statements are compared as Python reads them, so that neither blanks nor comments hide one. What
    the source also has outside of its solutions is none, and neither is a bare name or a ``return``
    of one.

    Parameters
    ----------
    source : Source
    text : str
        Such as a starter; it must be Python.

    Examples
    --------
    >>> source = Source("# BEGIN SOLUTION\ny = x * x + 1\n# END SOLUTION\n")
    >>> leaks(source, "def f(x):\n    y = (x*x) + 1  # hm\n")
    ['y = x * x + 1']
    """
    inside: set[str] = set()
    outside: set[str] = set()
    spans = [(b.first, b.last) for b in source.blocks if b.kind == "SOLUTION"]
    for statement in _statements(source.text):
        shown = ast.unparse(statement)
        solved = any(first < statement.lineno < last for first, last in spans)
        (inside if solved else outside).add(shown)
    telling = {shown for shown in inside - outside if re.search(r"[^\w\s.,=()]", shown)}
    told = {ast.unparse(statement) for statement in _statements(text)}
    return sorted(telling & told)


def _statements(text: str) -> Iterator[ast.stmt]:
    """Yield the simple statements of a text, those that hold no others."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            yield node


def _comments(text: str) -> list[tuple[int, str]]:
    """Return the comments of a text with their lines; what looks like one in a string is none."""
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    return [(t.start[0], t.string.rstrip()) for t in tokens if t.type == tokenize.COMMENT]


def _is_marker(comment: str) -> bool:
    return bool(
        _BEGIN.match(comment)
        or _END.match(comment)
        or comment == "# SOLUTION"
        or comment.startswith("# PROMPT ")
    )


def _without_value(line: str, where: str) -> str:
    """Return the line of a starter for one that ends in # SOLUTION: NAME = ..."""
    try:
        [statement] = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        statement = None
    if not isinstance(statement, ast.Assign):
        raise SourceError(f"{where}: # SOLUTION stands behind NAME = VALUE, not {line.strip()!r}")
    indent = line[: len(line) - len(line.lstrip())]
    names = " = ".join(ast.unparse(target) for target in statement.targets)
    return f"{indent}{names} = ...  # yours to write"


def _functions(text: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]


def _todo(functions: list[ast.FunctionDef], line: int) -> str:
    """Return the literal of what the innermost function around a line says before it is written."""
    around = [f for f in functions if f.lineno <= line <= (f.end_lineno or 0)]
    name = max(around, key=lambda f: f.lineno).name if around else "this part"
    return f'"{name} is yours to write"'
