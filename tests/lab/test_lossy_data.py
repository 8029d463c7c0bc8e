"""Results on images that were compressed with loss say so, wherever they are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minires.cli.results import print_results
from minires.lab import Comparison, Settings
from minires.lab.metrics import metrics_of
from minires.lab.report import render_report


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    made = Comparison(Settings(depths=(8,), epochs=1, width=2))
    made.train()
    return made


@pytest.mark.parametrize("lossy", [True, False])
def test_results_on_lossy_images_are_marked(
    comparison: Comparison,
    lossy: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undrawn: None,
) -> None:
    monkeypatch.setitem(vars(comparison), "split", replace(comparison.split, lossy=lossy))

    print_results(comparison, [Path(name) for name in ("report", "picture", "metrics", "weights")])

    told = "lossy images: not to be compared with results on the originals"
    assert (told in capsys.readouterr().out) == lossy
    assert (told in render_report(comparison)) == lossy
    assert metrics_of(comparison)["lossy"] is lossy
