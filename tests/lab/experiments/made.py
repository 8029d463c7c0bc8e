"""Trials made by hand, to see that experiments can say yes and no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minires.lab.experiment import Experiment, ScaleName


def learned(train: float, test: float | None = None, **more: Any) -> dict[str, Any]:
    """Return what a trial of a trained network returns, as far as `measure` looks at it."""
    test = train if test is None else test
    return {
        "parameters": 1000,
        "macs": 1000,
        "final_train_error": train,
        "final_test_error": test,
        "images_per_second": 100.0,
        **more,
    }


def seeds(trial: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the same trial for three seeds."""
    return [dict(trial) for _ in range(3)]


def outcomes(
    experiment: Experiment, trials: Mapping[str, Any], scale: ScaleName = "tiny"
) -> list[str]:
    """Return what the rules of an experiment's claims say of some trials."""
    measured = experiment.measure(trials, experiment.scales[scale])
    return [claim.rule.judge(measured).outcome for claim in experiment.claims]


def all_run(experiment: Experiment, scale: ScaleName = "tiny", count: int = 1) -> dict[str, Any]:
    """Carry out all trials of an experiment in this process."""
    chosen = experiment.scales[scale]
    return {
        condition: [experiment.run(condition, chosen, seed, "cpu") for seed in range(count)]
        for condition in experiment.conditions(chosen)
    }
