"""The pytest plugin: gradients checked in tests, by a fixture or by a marker.

pytest loads it wherever minires is installed, so it imports nothing of minires until it is used.
Both of these fail with the checker's whole report if the gradient is not right::

    def test_cube(assert_gradients):
        assert_gradients(cube, np.random.default_rng(0).standard_normal((3, 4)), order=2)


    @pytest.mark.gradcheck(order=2)
    def test_cube():
        return cube, np.random.default_rng(0).standard_normal((3, 4))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from .report import GradcheckReport

_RUNNING = pytest.StashKey[pytest.Item]()
_CHECKS = pytest.StashKey[int]()
_MARK = (
    "gradcheck(**options): check gradients with minires.gradcheck. The test returns (fn, inputs),"
    " or calls the fixture assert_gradients, whose defaults the options become."
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARK)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note which test runs, with its fixtures: the options of its marker are wanted."""
    item.config.stash[_RUNNING] = item
    try:
        return (yield)
    finally:
        del item.config.stash[_RUNNING]


# Of the whole session, because it holds nothing of a test: so Hypothesis may call it repeatedly.
@pytest.fixture(scope="session")
def assert_gradients(pytestconfig: pytest.Config) -> Callable[..., GradcheckReport]:
    """Fail the test unless gradients are right: ``assert_gradients(fn, *inputs, **options)``.

    `fn` and the options are those of `minires.gradcheck`, and the inputs may stand in one list, as
    there; options of the marker ``gradcheck`` are the defaults. It returns the report. A gradient
    that cannot be judged fails as well.
    """

    def check(fn: Any, /, *inputs: Any, **options: Any) -> GradcheckReport:
        __tracebackhide__ = True
        several = len(inputs) == 1 and isinstance(inputs[0], (tuple, list))
        try:
            given = inputs[0] if several else inputs
            return _check(pytestconfig.stash[_RUNNING], fn, given, options)
        except _NotRightError as error:
            message = str(error)
        pytest.fail(message)  # outside, so that the failure has no other before it

    return check


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Check what a marked test returns."""
    __tracebackhide__ = True
    if pyfuncitem.get_closest_marker("gradcheck") is None:
        return (yield)
    test = pyfuncitem.obj

    @wraps(test)
    def checked(**arguments: Any) -> None:
        __tracebackhide__ = True
        returned = test(**arguments)
        if returned is not None:
            _check_returned(pyfuncitem, returned)

    # In the test's place, so that other plugins find a test that returns nothing, as pytest wants.
    pyfuncitem.obj = checked
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a marked test that checked nothing: it would pass whatever the gradient is."""
    __tracebackhide__ = True
    result = yield
    if item.get_closest_marker("gradcheck") and not item.stash.get(_CHECKS, 0):
        _fail(
            item,
            "this test is marked gradcheck, but checked no gradient: return (fn, inputs) from it,"
            " or call the fixture assert_gradients(fn, *inputs)",
        )
    return result


class _NotRightError(Exception):
    """A gradient is not right, or cannot be checked as it was asked; the message says all."""


def _fail(item: pytest.Item, message: str) -> NoReturn:
    """Fail without a traceback, which would not lead to the test: it has returned already."""
    # Not hidden itself: pytest would tell of a traceback without entries, and how to see them.
    path, line, _ = item.location
    place = path if line is None else f"{path}:{line + 1}"
    # Last, where pytest's tracebacks have it too; the first line is that of the short summary.
    pytest.fail(f"{message}\n\n{place}: in {item.name}", pytrace=False)


def _check_returned(item: pytest.Item, returned: object) -> None:
    __tracebackhide__ = True
    if not (isinstance(returned, tuple) and len(returned) == 2) or callable(returned[1]):
        _fail(
            item,
            "a test marked gradcheck returns what to check as (fn, inputs), where inputs is an"
            f" array or several in a list; found {_told(returned)}",
        )
    fn, inputs = returned
    try:
        _check(item, fn, inputs, {})
    except _NotRightError as error:
        message = str(error)
    else:
        return
    _fail(item, message)


def _check(item: pytest.Item, fn: Any, inputs: Any, options: dict[str, Any]) -> GradcheckReport:
    __tracebackhide__ = True
    from .check import gradcheck

    known = [n for n in inspect.signature(gradcheck).parameters if n not in ("fn", "inputs")]
    # The closest first: a test's own marker overrides that of its class or module.
    for mark in item.iter_markers("gradcheck"):
        if mark.args:
            raise _NotRightError(
                f"the marker gradcheck takes options by name, as in gradcheck(order=2); found"
                f" {', '.join(map(repr, mark.args))}"
            )
        options = {**mark.kwargs, **options}
    for name in options:
        if name not in known:
            raise _NotRightError(f"gradcheck has no option {name!r}; there are: {', '.join(known)}")
    item.stash[_CHECKS] = item.stash.get(_CHECKS, 0) + 1
    try:
        report = gradcheck(fn, inputs, **options)
    except (TypeError, ValueError) as error:  # what was asked; what fn raises is in the report
        message = str(error)
        if not message.startswith("gradcheck: "):
            message = f"gradcheck: {type(error).__name__}: {message}"
        raise _NotRightError(message) from None
    if not report:
        raise _NotRightError(_explained(report))
    return report


def _explained(report: GradcheckReport) -> str:
    """Return the explanation under the summary, which pytest's own short summary repeats."""
    text = report.explain()
    summary = getattr(report, "summary", text)
    return text if text.startswith(summary) else f"{summary}\n\n{text}"


def _told(returned: object) -> str:
    if isinstance(returned, tuple):
        return f"({', '.join(type(value).__name__ for value in returned)})"
    return type(returned).__name__
