"""Results on images that were compressed with loss say so, wherever they are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minires.cli.results import print_results
from minires.data import digits
from minires.lab import Comparison, Settings
from minires.lab.metrics import metrics_of
from minires.lab.report import render_report


@pytest.mark.parametrize("lossy", [True, False])
def test_results_on_lossy_images_are_marked(
    lossy: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], undrawn: None
) -> None:
    split = replace(digits(), lossy=lossy)
    monkeypatch.setattr(Comparison, "split", split)
    comparison = Comparison(Settings(depths=(8,), epochs=1, width=2))
    comparison.train()

    print_results(comparison, [Path(name) for name in ("report", "picture", "metrics", "weights")])

    told = "lossy images: not to be compared with results on the originals"
    assert (told in capsys.readouterr().out) == lossy
    assert (told in render_report(comparison)) == lossy
    assert metrics_of(comparison)["lossy"] is lossy
