"""What is said of students' files: rightly, by the name of the mistake, and never of right ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.classroom.assignment import Assignment
from minires.classroom.comparing.fingerprints import alike, fingerprint
from minires.classroom.comparing.leaves import difference
from minires.classroom.judging import CheckResult, Prepared

Judge = Callable[[str], dict[str, CheckResult]]

FORWARD = """
import numpy as np

def relu(x):
    mask = x > 0
    return x * mask, {"mask": mask}
"""
BACKWARD = """
def relu_backward(g, cache):
    return g * cache["mask"]
"""


def test_the_solved_file_passes(small: Assignment, results_of: Judge) -> None:
    assert {r.status for r in results_of(small.solution["units.py"]).values()} == {"passed"}


@pytest.mark.parametrize(
    "text",
    [
        FORWARD + BACKWARD,
        FORWARD.replace("x * mask", "np.float32(x * mask)") + BACKWARD,
        FORWARD.replace("x * mask", "np.asfortranarray(np.where(mask, x, 0))") + BACKWARD,
        FORWARD.replace('{"mask": mask}', '{"mask": mask, "more": "words"}') + BACKWARD,
        f"import warnings\nprint('working')\nwarnings.warn('hm')\n{FORWARD}{BACKWARD}",
    ],
)
def test_other_right_files_pass_and_cost_nothing(results_of: Judge, text: str) -> None:
    results = results_of(text)
    assert [(r.status, r.mistake) for r in results.values()] == [("passed", None)] * 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "def relu(x)\n  pass",
            r"^units.py cannot be read: SyntaxError: expected ':' \(line 1: def r",
        ),
        ("x = 1\ny", r"^units.py cannot be read: NameError: [^(]* \(line 2: y\)$"),
        ("x = 1", "^there is no function relu in units.py"),
        ("relu = 1", "there is no function relu in units.py"),
        ("def relu(x):\n    return x / 0, {}", "mask is missing|not finite"),
        ("def relu(x):\n    return [][1]", r"IndexError: .*units.py, line 2: return \[\]\[1\]"),
        (
            "def one(x):\n    return [][x]\ndef relu(x):\n    return one(2)",
            r"\(units.py, line 4: return one\(2\) → units.py, line 2: return \[\]\[x\]\)$",
        ),
        (
            "def relu(x):\n    return x.tolist(), {'mask': x > 0}",
            "y should be an array, it is a list or tuple$",
        ),
        ("def relu(x):\n    return x", r"should return 2 values, y, cache; it returned an array"),
        ("def relu(x):\n    return 1, 2, 3", "should return 2 values, y, cache; it returned 3"),
        ("def relu(x):\n    return None", r"it returned nothing \(None\)"),
        ("def relu(x):\n    return {1}, {}", "it returns a set"),
        (
            "def relu(x):\n    return x[:1] * 1, {'mask': x > 0}",
            r"y should have the shape \(3, 5\)",
        ),
        ("def relu(x):\n    return x > 0, {'mask': x > 0}", "y should be floating-point numbers"),
        (
            "def relu(x):\n    return x * 1j, {'mask': x > 0}",
            "y should be floating-.*, not complex",
        ),
        ("import os\nos._exit(0)", "its process was ended, or ended itself"),
        ("def relu(x):\n    return x, {'mask': x > 0}", "in the memory of an argument"),
        ("def relu(x):\n    exit()", r"it ends Python instead of returning \(units.py"),
        (
            "def relu(x):\n    raise NotImplementedError('relu is yours to write')",
            r"not written yet: relu is yours to write \(units.py, line 2\)$",
        ),
        (
            "import numpy as np\ndef relu(x):\n"
            "    return np.maximum(x, 0).astype(np.float16), {'mask': x > 0}",
            "; it is float16, too coarse here",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(results_of: Judge, text: str, words: str) -> None:
    results = results_of(text)
    assert results["relu_values"].status == "failed"
    assert re.search(words, results["relu_values"].says)
    assert results["relu_values"].mistake is None
    assert results["relu_backward_values"].says == "skipped: mend relu_values first"


def test_an_endless_loop_ends_at_the_deadline(
    small: Assignment, cases: dict[str, Prepared], results_of: Judge, monkeypatch: Any
) -> None:
    check = small.checks["relu_values"]
    settings = small.settings.model_copy(
        update={"checks": (check.model_copy(update={"seconds": 0.5}),)}
    )
    monkeypatch.setattr(small, "settings", settings)
    result = results_of("def relu(x):\n    while True:\n        pass")["relu_values"]
    assert result.says == "relu(array(3, 5)): it did not end within 0.5 seconds"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (FORWARD.replace("x > 0", "~(x < 0)"), "L2"),
        (FORWARD.replace("x > 0", "np.signbit(x) == 0"), None),  # right but for -0
        (FORWARD.replace("return x * mask", "x[~mask] = 0\n    return x"), "L3"),
    ],
)
def test_a_known_mistake_is_named_however_it_is_written(
    results_of: Judge, text: str, mistake: str | None
) -> None:
    assert results_of(text)["relu_values"].mistake == mistake


def test_the_first_intermediate_that_deviates_is_told(results_of: Judge) -> None:
    text = FORWARD.replace("x * mask", "x").replace("mask}", 'mask, "share": 2.0}')
    assert results_of(text)["relu_values"].deviates == "cache.share"


def test_a_file_that_knows_other_inputs_by_heart_fails(results_of: Judge) -> None:
    text = "def relu(x):\n    return [[0.0] * 5] * 3, {'mask': [[False] * 5] * 3}"
    assert results_of(text)["relu_values"].status == "failed"


def test_what_is_printed_is_kept(results_of: Judge) -> None:
    assert results_of("print('before')")["relu_values"].printed == "before\n"


@given(st.integers(0, 2**32 - 1), st.sampled_from(["float32", "float64"]))
def test_fingerprints_are_alike_only_if_values_are(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 4))
    near = {"y": x.astype(dtype)}
    assert alike(fingerprint({"y": x}), fingerprint(near))
    assert alike(fingerprint({"y": x}), fingerprint({"y": np.asfortranarray(x)}))
    for other in (x.T, x[::-1], -x, x * 1.001, np.where(x == x.max(), 0, x), x[None]):
        assert not alike(fingerprint({"y": other}), fingerprint(near))
    assert not alike(fingerprint({"y": x}), fingerprint({"z": x}))
    assert not alike(fingerprint({"y": x}), fingerprint({"y": "x"}))


def test_what_is_warned_of_is_told_and_costs_nothing(results_of: Judge) -> None:
    text = FORWARD.replace("mask = x > 0", "mask = x > 0\n    np.array([0.0]) / 0.0") + BACKWARD
    result = results_of(text)["relu_values"]
    assert result.status == "passed"
    assert result.printed == "warning: invalid value encountered in divide\n" * 2


KEEPS = """
KEPT = {}

def relu(x):
    KEPT[%s] = np.zeros(10_000)
    return x * (x > 0), {"mask": x > 0}
"""


@pytest.mark.parametrize(
    ("key", "status"), [("len(KEPT)", "failed"), ("x.shape", "passed"), ("'last'", "passed")]
)
def test_memory_may_be_kept_once_and_not_with_each_call(
    measured: Callable[..., Judge], key: str, status: str
) -> None:
    """A table that is made when it is needed first does not grow."""
    result = measured(lets_go=True)("import numpy as np\n" + KEEPS % key)["relu_values"]
    assert result.status == status
    assert ("80 kB more" in result.says) == (status == "failed")


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (10, ""),
        (60, r"it calls functions 6\d times, where 50 are enough$"),
        (10**9, "more than 1000 times, where 50 are enough, and was broken off$"),
    ],
)
def test_calls_are_counted(measured: Callable[..., Judge], times: int, says: str) -> None:
    text = FORWARD.replace("mask = x > 0", f"for _ in range({times}): abs(-1)\n    mask = x > 0")
    result = measured(most_calls=50)(text)["relu_values"]
    assert (result.status == "passed") == (not says)
    assert re.search(says, result.says)


def test_who_goes_on_after_being_broken_off_is_counted_too(measured: Callable[..., Judge]) -> None:
    loop = "try:\n        while True: abs(-1)\n    except BaseException: pass\n    mask = x > 0"
    result = measured(most_calls=50)(FORWARD.replace("mask = x > 0", loop))["relu_values"]
    assert "it calls functions 1001 times" in result.says


@pytest.fixture
def measured(small: Assignment, results_of: Judge, monkeypatch: Any) -> Callable[..., Judge]:
    """Let the first check of the smallest assignment measure something."""

    def measured(**measures: Any) -> Judge:
        check = small.checks["relu_values"].model_copy(update=measures)
        settings = small.settings.model_copy(update={"checks": (check,)})
        monkeypatch.setattr(small, "settings", settings)
        return results_of

    return measured


def test_whole_numbers_are_not_complex() -> None:
    told = difference({"size": np.array([3 + 0j])}, {"size": np.array([3])})
    assert told is not None
    assert told.says == "size should be whole numbers, not complex128"


def test_nothing_is_like_numbers_without_measure(recwarn: pytest.WarningsRecorder) -> None:
    """Neither a mistake that comes to such numbers nor a student's are called by a name."""
    huge, one = fingerprint({"y": np.full((2, 3), 1e200)}), fingerprint({"y": np.ones((2, 3))})
    assert not alike(huge, one)
    assert not alike(one, huge)
    assert difference({"y": np.full(3, 1.7e308)}, {"y": np.full(3, -1.7e308)}) is not None
    assert not alike(fingerprint({"y": np.full((2, 3), 1j)}), one)
    assert not recwarn.list
