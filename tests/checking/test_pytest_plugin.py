"""The pytest plugin, in real nested runs: what passes, what fails, and with which words."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

import minires as mr

pytest_plugins = "pytester"

PRELUDE = """
import numpy as np
import pytest
import minires as mr

x = np.random.default_rng(0).standard_normal((3, 4))
cube = (lambda x: x**3, lambda g, x: 3 * x**2 * g)
wrong = (lambda x: x**3, lambda g, x: 2 * x**2 * g)
"""


@pytest.fixture(scope="module")
def loaded() -> None:
    """Pytester unloads what a test was the first to import; minires must not be there twice."""
    assert not mr.gradcheck((lambda x: x**3, lambda g, x: x**2 * g), np.ones(2))
    assert not mr.gradcheck(mr.ops.relu, np.zeros(2))


@pytest.fixture
def run(loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run pytest on a file of tests in this process, as strictly as can be."""

    def run(tests: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(PRELUDE + tests)
        strict = "--strict-markers", "-W", "error", "--import-mode=importlib"
        monkeypatch.setenv("COLUMNS", "200")
        return pytester.runpytest_inprocess(*strict, "-p", "no:cacheprovider", *arguments)

    return run


def test_the_plugin_is_what_the_installed_package_names() -> None:
    (entry,) = importlib.metadata.entry_points(group="pytest11", name="minires")

    assert entry.value == "minires.checking.pytest_plugin"


def test_right_gradients_pass_by_fixture_by_marker_and_in_classes(run) -> None:
    done = run("""
def test_fixture(assert_gradients):
    report = assert_gradients(cube, x)
    assert report.status == "right"
    assert assert_gradients(mr.ops.mul, x, x + 1, order=2)
    assert len(assert_gradients(mr.ops.mul, [x, x + 1]).inputs) == 2
    assert len(assert_gradients(mr.ops.mul, (x, x + 1)).inputs) == 2

@pytest.mark.gradcheck
def test_returned():
    return cube, x

@pytest.mark.gradcheck(order=2)
def test_several_inputs():
    return mr.ops.matmul, [x, x.T.copy()]

@pytest.mark.gradcheck(rtol=1e-5)
def test_marker_and_fixture(assert_gradients):
    assert_gradients(cube, x)

@pytest.fixture
def values():
    return x + 1

@pytest.mark.parametrize("op", [mr.exp, mr.tanh])
@pytest.mark.gradcheck
def test_parametrized_with_a_fixture(op, values):
    return op, values

@pytest.mark.gradcheck(order=2)
class TestClass:
    def test_method(self):
        return mr.ops.sigmoid, x

def test_unmarked():
    pass
""")

    done.assert_outcomes(passed=8)
    assert done.ret == 0


def test_wrong_gradients_fail_with_the_report_and_the_line_of_the_test(run) -> None:
    done = run("""
def test_fixture(assert_gradients):
    assert_gradients(wrong, x)  # this line

@pytest.mark.gradcheck
@pytest.mark.parametrize("pair", [cube, wrong], ids=["cube", "wrong"])
def test_returned(pair):
    return pair, x
""")

    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(
        ["*_ test_fixture _*", ">*assert_gradients(wrong, x)  # this line", "E*gradcheck: WRONG*"]
    )
    done.stdout.fnmatch_lines(
        [
            "*_ test_returned?wrong? _*",
            "gradcheck: WRONG*",
            "input*worst at*",
            "test_*.py:12: in test_returned?wrong?",
        ]
    )
    done.stdout.fnmatch_lines(
        [
            "FAILED *::test_fixture - Failed: gradcheck: WRONG*",
            "FAILED *::test_returned?wrong? - Failed: gradcheck: WRONG*",
        ]
    )
    done.stdout.no_fnmatch_line("*pytest_plugin.py*")
    done.stdout.no_fnmatch_line("*hidden*")


def test_what_cannot_be_judged_fails(run) -> None:
    done = run("""
def test_kinks(assert_gradients):
    assert_gradients(mr.ops.relu, np.zeros((3, 4)))

@pytest.mark.gradcheck
def test_random():
    return lambda x: mr.ops.dropout(x, 0.5), x
""")

    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["E*gradcheck: undecided*", "gradcheck: this function cannot be*"])


def test_options_of_the_marker_are_the_fixtures_defaults_and_the_closest_wins(run) -> None:
    done = run("""
nearly = (lambda x: x**3, lambda g, x: (1 + 1e-4) * 3 * x**2 * g)

@pytest.mark.gradcheck(rtol=1e-3)
def test_tolerant(assert_gradients):
    assert_gradients(nearly, x)

@pytest.mark.gradcheck(rtol=1e-3)
def test_strict_again(assert_gradients):
    assert_gradients(nearly, x, rtol=1e-6)

@pytest.mark.gradcheck(rtol=1e-3)
class TestClass:
    @pytest.mark.gradcheck(rtol=1e-6)
    def test_stricter(self):
        return nearly, x

    def test_tolerant(self):
        return nearly, x
""")

    done.assert_outcomes(passed=2, failed=2)
    done.stdout.fnmatch_lines(["FAILED *test_strict_again*", "FAILED *test_stricter*"])


def test_a_marked_test_that_checks_nothing_fails_and_is_told_what_to_do(run) -> None:
    done = run("""
import unittest

@pytest.mark.gradcheck
def test_nothing():
    x.sum()

@pytest.mark.gradcheck
def test_fixture_not_called(assert_gradients):
    pass

@pytest.mark.gradcheck
class TestOfUnittest(unittest.TestCase):
    def test_it(self):
        pass

@pytest.mark.gradcheck
def test_skipped():
    pytest.skip("for another reason")

@pytest.mark.gradcheck
@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    return wrong, x
""")

    done.assert_outcomes(failed=3, skipped=1, xfailed=1)
    done.stdout.fnmatch_lines(["this test is marked gradcheck, but checked no gradient: return*"])


def test_mistakes_are_told_in_few_lines_and_without_the_inside_of_minires(run) -> None:
    done = run("""
@pytest.mark.gradcheck(ordre=2)
def test_unknown_option():
    return cube, x

@pytest.mark.gradcheck(2)
def test_option_without_a_name():
    return cube, x

@pytest.mark.gradcheck(order=3)
def test_impossible_option():
    return mr.exp, x

@pytest.mark.gradcheck
def test_integers():
    return mr.exp, np.arange(3)

def test_unknown_option_of_the_fixture(assert_gradients):
    assert_gradients(cube, x, ordre=2)

def test_impossible_option_of_the_fixture(assert_gradients):
    assert_gradients(mr.exp, x, order=3)

def test_no_inputs(assert_gradients):
    assert_gradients(mr.exp)

def test_inputs_too_deep(assert_gradients):
    assert_gradients(mr.ops.matmul, [[x, x.T[:2]]])

@pytest.mark.gradcheck
def test_returned_a_report():
    return mr.gradcheck(cube, x)

@pytest.mark.gradcheck
def test_returned_no_inputs():
    return cube

@pytest.mark.gradcheck
def test_raising():
    raise RuntimeError("of the test")
""")

    done.assert_outcomes(failed=11)
    told = done.stdout.str()
    assert told.count("gradcheck has no option 'ordre'; there are: ") >= 2
    assert "the marker gradcheck takes options by name, as in gradcheck(order=2); found 2" in told
    assert "as (fn, inputs), where inputs is an array or several in a list; found Gradch" in told
    assert "found (function, function)" in told
    done.stdout.fnmatch_lines(
        [
            "gradcheck: order must be 1 or 2, found 3",
            "*: in test_impossible_option",
            "gradcheck: input 0 is int64; there is no derivative*",
            "*: in test_integers",
            ">*assert_gradients(cube, x, ordre=2)",
            ">*assert_gradients(mr.exp, x, order=3)",
            "E *gradcheck: order must be 1 or 2, found 3",
            "E *gradcheck: there are no inputs to differentiate by",
            "E *gradcheck: ValueError: *",
        ]
    )
    for inside in ("pytest_plugin.py", "check.py", "settings_of", "hide"):
        assert inside not in told
    assert len(told.splitlines()) < 150


def test_the_fixture_may_be_called_for_each_example_of_hypothesis_and_by_other_fixtures(
    run,
) -> None:
    done = run("""
from hypothesis import given, settings, strategies as st

nearly = (lambda x: x**3, lambda g, x: (1 + 1e-4) * 3 * x**2 * g)

@given(st.integers(1, 4))
@settings(max_examples=5, database=None, deadline=None)
def test_right(assert_gradients, rows):
    assert_gradients(cube, x[:rows])

@pytest.mark.gradcheck(rtol=1e-3)
@given(st.integers(1, 4))
@settings(max_examples=5, database=None, deadline=None)
def test_options_of_the_marker(assert_gradients, rows):
    assert_gradients(nearly, x[:rows])

@given(st.integers(1, 3))
@settings(max_examples=5, database=None, deadline=None)
def test_wrong(assert_gradients, rows):
    assert_gradients(wrong if rows > 1 else cube, x[:rows])

@pytest.fixture
def checked(assert_gradients):
    return assert_gradients(nearly, x)

@pytest.mark.gradcheck(rtol=1e-3)
def test_by_a_fixture_in_setup(checked):
    assert checked

def test_by_a_fixture_without_the_marker(checked):
    pass
""")

    done.assert_outcomes(passed=3, failed=1, errors=1)
    done.stdout.fnmatch_lines(["*_ test_wrong _*", "E*gradcheck: WRONG*", "E*rows=2*"])
    done.stdout.fnmatch_lines(["ERROR *::test_by_a_fixture_without_the_marker - Failed: gradch*"])


def test_without_the_plugin_there_is_no_fixture(run) -> None:
    done = run(
        """
def test_fixture(assert_gradients):
    assert_gradients(cube, x)
""",
        "-p",
        "no:minires",
    )

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'assert_gradients' not found"])


def test_pytest_starts_without_numpy_checks_gradients_and_names_marker_and_fixture(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("""
import sys

def test_start(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("minires")
    assert not {"numpy", "typer", "rich"} & set(sys.modules)

def test_fixture(assert_gradients):
    import minires as mr

    assert_gradients(mr.exp, mr.randn(3, dtype="float64"))
""")

    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=2)
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.gradcheck(?[*]options): check gradients with minires.gradcheck*"]
    )
    fixtures = pytester.runpytest_subprocess("--fixtures").stdout
    fixtures.fnmatch_lines(
        ["assert_gradients ?session scope? -- *", "*Fail the test unless gradients are right*"]
    )


def test_importing_the_plugin_or_its_package_loads_no_numpy() -> None:
    program = (
        "import sys, minires.checking, minires.checking.pytest_plugin\n"
        "sys.exit('numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_program_may_import_minires_before_it_runs_pytest(pytester: pytest.Pytester) -> None:
    """An installed wheel lists its files; pytest wants to rewrite all packages among them."""
    wheel = pytester.mkdir("minires-0.1.0.dist-info")
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: minires\nVersion: 0.1.0\n")
    plugin = "[pytest11]\nminires = minires.checking.pytest_plugin\n"
    (wheel / "entry_points.txt").write_text(plugin)
    (wheel / "RECORD").write_text("minires/__init__.py,,\nminires/checking/__init__.py,,\n")
    pytester.makepyfile("def test_fixture(assert_gradients): pass")
    program = pytester.path / "program.py"
    program.write_text(
        "import sys, minires.checking, pytest\nsys.exit(pytest.main(['-W', 'error']))\n"
    )

    done = pytester.run(sys.executable, program)

    done.assert_outcomes(passed=1)
    assert done.ret == 0
