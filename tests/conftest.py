"""Hypothesis profiles, what tests share, and the rule that the oracle tests really ran."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

# Both profiles draw the same cases on every run: a failure is the change's doing, not the dice's.
# deadline and too_slow are about time, which a busy machine decides, not the code.
settings.register_profile(
    "default",
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=250)
settings.load_profile(os.environ.get("MINIRES_HYPOTHESIS", "default"))

# A shell's background job, and all that it starts, would hear no Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_ORACLE_REQUIRED = os.environ.get("MINIRES_REQUIRE_ORACLE", "") not in ("", "0")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets: MINIRES_DATA, or ../shared/data beside the repository."""
    beside_the_repository = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MINIRES_DATA") or beside_the_repository)
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set MINIRES_DATA to the folder that has it")
    return folder


@pytest.fixture
def device() -> Iterator[Any]:
    """The GPU that NumPy stands in for."""
    from tests.devices.cuda import fake

    with fake.installed() as device:
        yield device


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    from tests.helpers import missing_browser

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        missing_browser("Chromium is not installed; on Debian: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing_browser("Playwright is not installed: python -m pip install -e '.[browser]'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def pytest_configure() -> None:
    """Stop at once where the oracle is required and missing.

    A module that skips itself for want of torch shows no tests whose skipping could be noticed.
    """
    if _ORACLE_REQUIRED:
        try:
            importlib.import_module("torch")
        except ImportError as error:
            raise pytest.UsageError(
                "MINIRES_REQUIRE_ORACLE is set, but torch cannot be imported; "
                "run: python -m pip install -e '.[oracle]'"
            ) from error


@pytest.hookimpl(tryfirst=True)  # before -m chooses by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every Hypothesis test `property`."""
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("property")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing, seconds of each comparison that is written for something else."""
    for module in ("picture", "report"):
        monkeypatch.setattr(f"minires.lab.{module}.to_png", lambda *_, **__: b"\x89PNG")


@pytest.fixture(scope="module", autouse=True)
def _only_a_files_own_objects_are_looked_through() -> None:
    """Let the garbage collector leave alone what lives to the end: thousands of tests, libraries.

    Else each of the collections that tests ask for looks through them all, for half a second.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Count a skipped oracle test as failed where the oracle is required."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if _ORACLE_REQUIRED and skipped and item.get_closest_marker("oracle"):
        report.outcome = "failed"
        report.longrepr = f"skipped while MINIRES_REQUIRE_ORACLE is set: {report.longrepr}"
    return report
