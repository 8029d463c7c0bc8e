"""The lab can say no: false claims come out as contradicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from minires.lab.laboratory import Laboratory
from tests.lab import false_claims


@pytest.mark.long
def test_plain_56_does_not_train_better_than_resnet_56(tmp_path: Path) -> None:
    claim = false_claims.PLAIN_IS_BETTER
    result = Laboratory(tmp_path, "tiny", known={claim.name: claim}).run([claim.name])[claim.name]

    assert result.outcome == "contradicts", result.claims or result.failures


def test_batch_norm_does_not_remove_skewness(tmp_path: Path) -> None:
    claim = false_claims.NO_SKEWNESS
    result = Laboratory(tmp_path, "tiny", known={claim.name: claim}).run([claim.name])[claim.name]

    assert result.outcome == "contradicts", result.claims or result.failures
