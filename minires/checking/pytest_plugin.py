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

import functools
import inspect
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .report import GradcheckReport

_CHECKS = pytest.StashKey[int]()
_MARK = (
    "gradcheck(**options): check gradients with minires.gradcheck. The test returns (fn, inputs),"
    " or calls the fixture assert_gradients, whose defaults the options become."
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def assert_gradients(request: pytest.FixtureRequest) -> Callable[..., GradcheckReport]:
    """Fail the test unless gradients are right: ``assert_gradients(fn, *inputs, **options)``.

    `fn` and the options are those of `minires.gradcheck`; options of the marker ``gradcheck`` are
    the defaults. It returns the report. A gradient that cannot be judged fails as well.
    """

    def check(fn: Any, /, *inputs: Any, **options: Any) -> GradcheckReport:
        __tracebackhide__ = True
        report = _check(request.node, fn, inputs, options)
        if not report:
            pytest.fail(report.explain())
        return report

    return check


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Check what a marked test returns."""
    if pyfuncitem.get_closest_marker("gradcheck") is None:
        return (yield)
    test = pyfuncitem.obj

    @functools.wraps(test)
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
    result = yield
    if item.get_closest_marker("gradcheck") and not item.stash.get(_CHECKS, 0):
        pytest.fail(
            "this test is marked gradcheck, but checked no gradient: return (fn, inputs) from it,"
            " or call the fixture assert_gradients(fn, *inputs)",
            pytrace=False,
        )
    return result


def _check_returned(item: pytest.Item, returned: object) -> None:
    __tracebackhide__ = True
    if not (isinstance(returned, tuple) and len(returned) == 2) or callable(returned[1]):
        pytest.fail(
            "a test marked gradcheck returns what to check as (fn, inputs), where inputs is an"
            f" array or several in a list; found {_told(returned)}",
            pytrace=False,
        )
    fn, inputs = returned
    report = _check(item, fn, inputs if isinstance(inputs, (tuple, list)) else (inputs,), {})
    if not report:
        pytest.fail(report.explain(), pytrace=False)


def _check(item: pytest.Item, fn: Any, inputs: Any, options: dict[str, Any]) -> GradcheckReport:
    __tracebackhide__ = True
    from .check import gradcheck

    known = [n for n in inspect.signature(gradcheck).parameters if n not in ("fn", "inputs")]
    # The closest first: a test's own marker overrides that of its class or module.
    for mark in item.iter_markers("gradcheck"):
        if mark.args:
            pytest.fail(
                f"the marker gradcheck takes options by name, as in gradcheck(order=2); found"
                f" {', '.join(map(repr, mark.args))}",
                pytrace=False,
            )
        options = {**mark.kwargs, **options}
    for name in options:
        if name not in known:
            pytest.fail(f"gradcheck has no option {name!r}; there are: {', '.join(known)}")
    item.stash[_CHECKS] = item.stash.get(_CHECKS, 0) + 1
    return gradcheck(fn, list(inputs), **options)


def _told(returned: object) -> str:
    if isinstance(returned, tuple):
        return f"({', '.join(type(value).__name__ for value in returned)})"
    return type(returned).__name__
