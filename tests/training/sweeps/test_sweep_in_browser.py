"""The page of a sweep in a real browser; MINIRES_REQUIRE_BROWSER=1 lets nothing here be skipped.

With MINIRES_SCREENSHOTS=folder the pictures stay there, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minires.training.sweeps import write_sweep
from tests.training.sweeps.test_sweep_report import outcome

pytestmark = pytest.mark.long


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_its_style_is_allowed(chromium: Any, tmp_path: Path, width: int) -> None:
    runs = [
        outcome(f"{'a-long-name' * 8}-{lr}-{seed}", [0.5, lr], lr=lr, model="m" * 40, seed=seed)
        for lr in (0.1, 0.01, 0.001)
        for seed in (0, 1)
    ]
    runs.append(outcome("b" * 99, [], "an error" * 40, lr=1.0, model="m", seed=0))
    _, file = write_sweep(runs, tmp_path)
    page = chromium.new_page(viewport={"width": width, "height": 844})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    if folder := os.environ.get("MINIRES_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"sweep-{width}.png", full_page=True)

    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert said == []
    page.close()
