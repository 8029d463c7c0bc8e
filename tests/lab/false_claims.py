"""Two claims that are false, put to the experiments that measure the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from minires.lab.experiment import Claim
from minires.lab.experiments import batch_norm, degradation
from minires.lab.images import Images
from minires.lab.learning import Recipe
from minires.lab.rules import Above, Below, Measured


class _PlainIsBetter(type(degradation.EXPERIMENT)):  # type: ignore[misc]
    name = "plain-is-better"
    claims = (
        Claim("Plain-56 trains better than ResNet-56.", "nobody", "", Below(degradation.GAP)),
    )
    scales: ClassVar[Any] = {
        "tiny": replace(
            degradation.EXPERIMENT.scales["tiny"],
            images=Images("digits"),
            depths=(8, 56),
            recipe=Recipe(5, measure_every=5),
        )
    }


class _NoSkewness(type(batch_norm.EXPERIMENT)):  # type: ignore[misc]
    name = "no-skewness"
    claims = (Claim("BN removes skewness.", "nobody", "", Above(batch_norm.SKEW_CHANGE, 1.8)),)

    def conditions(self, scale: Any) -> Sequence[str]:
        return ["single layers"]

    def measure(self, trials: Any, scale: Any) -> Measured:
        change = [trial[batch_norm.SKEW_CHANGE] for trial in trials["single layers"]]
        return {batch_norm.SKEW_CHANGE: change}


PLAIN_IS_BETTER = _PlainIsBetter()
NO_SKEWNESS = _NoSkewness()
