"""Exercises that are checked where they stand: right, wrong and why, or not written yet."""

from __future__ import annotations

import functools
import textwrap
import traceback
from collections.abc import Callable
from typing import Any

NOT_WRITTEN = "not written yet."
RIGHT = "right."
WRONG = "wrong."
_WRAPPER = textwrap.TextWrapper(
    88, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
)


class Wrong(Exception):  # noqa: N818
    """An answer is wrong; the message says what was asked, what was found, and what to look at."""


class _NotWrittenError(Exception):
    """The function that a learner is to write returns nothing."""


def check(examine: Callable[[Any], str]) -> Callable[[Any], None]:
    """Turn an examination of an answer into a check that prints what came of it.

    Parameters
    ----------
    examine : callable
        Gets the answer: a function that a learner wrote, or a value. Returns a sentence that says
        what was compared; raises `Wrong` otherwise.

    Returns
    -------
    callable
        Takes the answer and prints one of three things. An answer that is ``...`` or None, and a
        function that returns one of these, is not written yet. Whatever else goes wrong inside an
        answer is told as a wrong answer, and nothing is raised.

    Examples
    --------
    >>> @check
    ... def double(answer):
    ...     if answer(2) != 4:
    ...         raise Wrong(f"double(2) is 4, found {answer(2)}.")
    ...     return "Compared at 2."
    >>> double(lambda x: ...)
    double: not written yet.
    >>> double(lambda x: x * x * x)
    double: wrong. double(2) is 4, found 8.
    >>> double(lambda x: x + x)
    double: right. Compared at 2.
    """

    @functools.wraps(examine)
    def examined(answer: Any) -> None:
        name, own = getattr(examine, "__name__", "answer"), getattr(answer, "__name__", None)
        told = name if own in {name, None, "<lambda>"} else f"{name} ({own})"
        for line in f"{told}: {_verdict(examine, answer)}".splitlines():
            print("\n".join(_WRAPPER.wrap(line)))  # noqa: T201

    examined.__annotations__["return"] = None
    return examined


def _verdict(examine: Callable[[Any], str], answer: Any) -> str:
    if answer is None or answer is ...:
        return NOT_WRITTEN
    try:
        return f"{RIGHT} {examine(noticing(answer) if callable(answer) else answer)}"
    except _NotWrittenError as none:
        return " ".join([NOT_WRITTEN, *none.args])
    except Wrong as wrong:
        return f"{WRONG} {wrong}"
    except Exception as error:
        return f"{WRONG} It raises {type(error).__name__}: {error}{_line(error)}"


def _line(error: Exception) -> str:
    """Return the line of the answer at which an error came up, if it came up in the answer."""
    frames = traceback.extract_tb(error.__traceback__)
    called = [(f.filename, f.name) for f in frames]
    if (here := (__file__, "call")) not in called[:-1]:
        return ""
    written = frames[called.index(here) + 1].filename  # where the learner's function is
    line = next(f.line for f in reversed(frames) if f.filename == written)
    return f"\n    at: {line}" if line else ""


def noticing(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that notices when a learner's has no result yet.

    An answer that is a function is examined so; one that only contains functions is not.
    """

    @functools.wraps(answer)
    def call(*arguments: Any, **named: Any) -> Any:
        result = answer(*arguments, **named)
        if result is ...:
            raise _NotWrittenError
        if result is None:
            raise _NotWrittenError("It returns None: is a return missing?")
        return result

    return call
