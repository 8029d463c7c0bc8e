"""The effect itself, on the real digits: what `minires compare` is there to show."""

from __future__ import annotations

import pytest

from minires.lab import compare_twins


@pytest.mark.long
def test_the_deep_plain_twin_trains_worse_and_the_residual_one_does_not() -> None:
    comparison = compare_twins([8, 56], epochs=6)
    error = {run.name: run.final_train_error for run in comparison.runs}

    assert comparison.runs[-1].parameters == comparison.runs[-2].parameters == 214_402
    assert error["plain-56"] > error["residual-56"] + 0.2
    assert error["residual-56"] < 0.1
    assert comparison.verdict.degradation is True
    assert comparison.verdict.residual_better is True
