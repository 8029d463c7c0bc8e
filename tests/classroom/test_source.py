"""What students get of an instructor's solved file."""

from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.classroom.source import Block, Source, SourceError, leaks

SOLVED = textwrap.dedent('''\
    """Rectified units."""

    import numpy as np

    # BEGIN HIDDEN
    SECRET = "the instructor's"
    # END HIDDEN


    def relu(x):
        """Return max(x, 0)."""
        # PROMPT Two lines do it.
        # BEGIN SOLUTION
        mask = x > 0
        return x * mask
        # END SOLUTION


    def leaky(x, slope):
        below = slope * np.minimum(x, 0)  # SOLUTION
        text = "# BEGIN SOLUTION"
        return np.maximum(x, 0) + below
''')


def test_a_starter_has_neither_solutions_nor_what_is_hidden() -> None:
    assert Source(SOLVED).starter() == textwrap.dedent('''\
        """Rectified units."""

        import numpy as np



        def relu(x):
            """Return max(x, 0)."""
            # Two lines do it.
            raise NotImplementedError("relu is yours to write")


        def leaky(x, slope):
            below = ...  # yours to write
            text = "# BEGIN SOLUTION"
            return np.maximum(x, 0) + below
        ''')


def test_a_solution_has_all_but_markers_and_prompts() -> None:
    unmarked = [line for line in SOLVED.splitlines() if not line.strip().startswith("# ")]
    expected = "\n".join(unmarked).replace("  # SOLUTION", "") + "\n"
    assert Source(SOLVED).solution() == expected


def test_blocks_are_told_by_their_markers() -> None:
    assert Source(SOLVED).blocks == [Block("HIDDEN", 5, 7), Block("SOLUTION", 13, 16)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["# BEGIN SOLUTION", "x = 1"], "begins in line 1 is not closed"),
        (["# END SOLUTION"], "line 1: '# END SOLUTION' has no # BEGIN SOLUTION before it"),
        (["# BEGIN SOLUTION", "# END HIDDEN"], "'# END HIDDEN' has no # BEGIN HIDDEN before it"),
        (["# BEGIN SOLUTION", "# BEGIN HIDDEN"], "line 2: .* inside the SOLUTION .* in line 1"),
        (["# begin solution"], "line 1: '# begin solution' looks like a marker, and is none"),
        (["# BEGIN SOLUTION here"], "looks like a marker, and is none"),
        (["#SOLUTION"], "looks like a marker, and is none"),
        (["print(1)  # SOLUTION"], "stands behind NAME = VALUE"),
        (["x += 1  # SOLUTION"], "stands behind NAME = VALUE"),
        (["x = ("], "line 1: '\\(' was never closed"),
    ],
)
def test_markers_that_do_not_fit_are_told_with_their_line(lines: list[str], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        Source("\n".join(lines) + "\n", "a.py")


def test_a_starter_that_is_no_python_is_told() -> None:
    text = "if True:\n    # BEGIN HIDDEN\n    x = 1\n    # END HIDDEN\n"
    with pytest.raises(SourceError, match=r"without its solutions it is no Python, .* in line"):
        Source(text).starter()


def test_a_solution_that_stands_elsewhere_too_is_told() -> None:
    text = "# BEGIN SOLUTION\ny = x[::-1] * 2\n# END SOLUTION\n"
    assert leaks(Source(text), "def f(x):\n    y=x[ : :-1]*2  # no\n") == ["y = x[::-1] * 2"]
    assert leaks(Source(text), '"""y = x[::-1] * 2"""\n') == []


def test_what_stands_outside_of_solutions_anyway_is_no_leak() -> None:
    text = "a = x + 1\n# BEGIN SOLUTION\na = x + 1\nreturn_ = a\n# END SOLUTION\n"
    assert leaks(Source(text), Source(text).starter()) == []


@given(st.lists(st.sampled_from(["open", "hidden", "solved", "prompt", "single"]), max_size=12))
def test_any_mixture_of_parts_is_taken_apart(parts: list[str]) -> None:
    lines, kept, solved = [], [], []
    for i, part in enumerate(parts):
        code = f"    value_{i} = {i} + x[{i}]"
        if part == "open":
            lines, kept, solved = [*lines, code], [*kept, i], [*solved, i]
        elif part == "prompt":
            lines.append(f"    # PROMPT about {i}")
        elif part == "single":
            lines, solved = [*lines, f"{code}  # SOLUTION"], [*solved, i]
        else:
            kind = "SOLUTION" if part == "solved" else "HIDDEN"
            lines += [f"    # BEGIN {kind}", code, f"    # END {kind}"]
            solved.append(i)
    source = Source("\n".join(["def f(x):", "    pass", *lines]) + "\n")

    def written(text: str) -> list[int]:
        ast.parse(text)
        return [i for i in range(len(parts)) if f"value_{i} = {i} + x[{i}]" in text]

    assert written(source.starter()) == kept
    assert written(source.solution()) == solved
    assert "PROMPT" not in source.starter() + source.solution()


@pytest.mark.parametrize("odd", ["\x0c", "\x1c", "\u2028", "\x85"])
def test_lines_are_those_of_python(odd: str) -> None:
    text = (
        f"def f(x):\n    z = '{odd}'  # {odd}\n    # BEGIN SOLUTION\n    return x * 3\n"
        "    # END SOLUTION\n"
    )
    assert Source(text).starter() == (
        f"def f(x):\n    z = '{odd}'  # {odd}\n"
        '    raise NotImplementedError("f is yours to write")\n'
    )
    assert odd in Source(text).solution()
