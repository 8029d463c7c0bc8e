"""Pairs of submissions with much in common: something to look at, which proves nothing.

Programs are taken as their tokens, without comments, layout and the names that students chose. Of
all runs of some tokens, each window of runs keeps one (winnowing: Schleimer, Wilkerson and Aiken,
2003), so that what two programs share is found however it is moved. What the starter has, and what
many submissions have, is left out: short functions are written alike by people who never met.
"""

from __future__ import annotations

import hashlib
import io
import keyword
import tokenize
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

__all__ = ["Pair", "similar_pairs", "winnowed"]

_RUN = 12  # tokens
_WINDOW = 8  # runs
_MOST_CHARACTERS = 200_000
_FEWEST = 6  # fingerprints, below which there is nothing to compare
_COMMON = 0.25  # of all submissions, and more than five: what so many have says nothing
_LAYOUT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENDMARKER, tokenize.ENCODING, tokenize.ERRORTOKEN),
}


class Pair(NamedTuple):
    """Two submissions that have much in common.

    Attributes
    ----------
    first, second : str
        Their ids.
    share : float
        Of the fingerprints of the one that has fewer, how many both have.
    lines : int
        Of the first, that are in what both have.
    """

    first: str
    second: str
    share: float
    lines: int


def similar_pairs(
    texts: Mapping[str, Sequence[str]], starter: Sequence[str] = (), threshold: float = 0.8
) -> list[Pair]:
    """Return the pairs that have at least a share in common, the largest first.

    Parameters
    ----------
    texts : mapping of str to sequence of str
        The files of each submission, by its id.
    starter : sequence of str
        The files that everybody was given.
    threshold : float
    """
    given = {mark for text in starter for mark in winnowed(text)}
    prints = {id: _located(files, given) for id, files in texts.items()}
    held = Counter(mark for found in prints.values() for mark in found)
    most = max(5, int(_COMMON * len(texts)))
    rare = {
        id: {mark: lines for mark, lines in found.items() if held[mark] <= most}
        for id, found in prints.items()
    }
    holders: dict[int, list[str]] = {}
    for id, found in rare.items():
        for mark in found:
            holders.setdefault(mark, []).append(id)
    shared = Counter(pair for ids in holders.values() for pair in combinations(sorted(ids), 2))
    pairs = []
    for (first, second), count in shared.items():
        fewer = min(len(rare[first]), len(rare[second]))
        if fewer >= _FEWEST and count / fewer >= threshold:
            both = rare[first].keys() & rare[second].keys()
            lines = set().union(*(rare[first][mark] for mark in both))
            pairs.append(Pair(first, second, round(count / fewer, 3), len(lines)))
    return sorted(pairs, key=lambda pair: (-pair.share, pair))


def winnowed(text: str) -> dict[int, set[int]]:
    r"""Return fingerprints of a program, each with the lines it is of.

    Examples
    --------
    >>> one = "def f(a, b):\n    # add\n    total = a + b\n    return total * 2\n"
    >>> two = "def g(x, y):\n    s = x + y   \n\n    return s * 2"
    >>> winnowed(one).keys() == winnowed(two).keys()
    True
    """
    tokens = list(_tokens(text[:_MOST_CHARACTERS]))
    runs = [
        (_hash(" ".join(token for token, _ in run)), {line for _, line in run})
        for start in range(len(tokens) - _RUN + 1)
        if (run := tokens[start : start + _RUN])
    ]
    kept: dict[int, set[int]] = {}
    for start in range(max(len(runs) - _WINDOW, 0) + bool(runs)):
        mark, lines = min(reversed(runs[start : start + _WINDOW]), key=lambda each: each[0])
        kept.setdefault(mark, set()).update(lines)
    return kept


def _located(files: Sequence[str], given: Iterable[int]) -> dict[int, set[tuple[int, int]]]:
    """Return the fingerprints of some files, without those that were given, and where they are."""
    given = set(given)
    found: dict[int, set[tuple[int, int]]] = {}
    for number, text in enumerate(files):
        for mark, lines in winnowed(text).items():
            if mark not in given:
                found.setdefault(mark, set()).update((number, line) for line in lines)
    return found


def _tokens(text: str) -> Iterable[tuple[str, int]]:
    """Yield what a program says, and in which line, as far as it can be read."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in _LAYOUT:
                continue
            said = token.string
            if token.type == tokenize.STRING:
                said = "text"
            elif token.type == tokenize.NAME and not keyword.iskeyword(said):
                said = "name"
            yield said, token.start[0]
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        return


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
