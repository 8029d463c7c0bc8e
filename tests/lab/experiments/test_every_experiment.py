"""What holds for every experiment, whatever it is about."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from minires.lab.experiment import SCALES, Experiment
from minires.lab.experiments import experiments, find_experiment
from minires.lab.learning import Recipe
from minires.lab.results import trial_name
from minires.lab.rules import Equal, Every, Given, Rule
from minires.lab.theme import LIGHT
from minires.serialize.json_text import strict
from tests.lab.experiments.made import all_run

ALL = experiments()
each_experiment = pytest.mark.parametrize("experiment", ALL.values(), ids=list(ALL))


@each_experiment
def test_it_is_called_as_its_file(experiment: Experiment) -> None:
    file = type(experiment).__module__.rpartition(".")[2]

    assert experiment.name == file.replace("_", "-")
    assert find_experiment(file) is experiment


@each_experiment
def test_every_claim_has_a_source_and_a_rule_in_words(experiment: Experiment) -> None:
    assert experiment.claims
    for claim in experiment.claims:
        # A year or the number of a preprint; else it says that it is no paper's.
        assert re.search(r"\d{4}|arithmetic|audit of claims", claim.source)
        assert "supports" in claim.rule.text
        assert "contradicts" in claim.rule.text
        assert claim.statement.endswith(".")


@each_experiment
@pytest.mark.parametrize("scale", SCALES)
def test_no_two_trials_are_kept_in_one_file(experiment: Experiment, scale: str) -> None:
    conditions = list(experiment.conditions(experiment.scales[scale]))

    assert len({trial_name(each, 0) for each in conditions}) == len(conditions) > 0


def that_trains(experiment: Experiment) -> list[str]:
    """Return the names of the recipes at the tiny scale."""
    scale = experiment.scales["tiny"]
    return [each.name for each in fields(scale) if isinstance(getattr(scale, each.name), Recipe)]


def limited(rule: Rule) -> list[str]:
    """Return the quantities of a rule that have one number for each seed."""
    if isinstance(rule, Every):
        return [name for each in rule.rules for name in limited(each)]
    if isinstance(rule, Given):
        return [*limited(rule.needed), *limited(rule.rule)]
    return [] if isinstance(rule, Equal) else list(rule.quantities)


def with_epochs(trial: dict[str, Any]) -> dict[str, Any]:
    """Return a trial that diverged at once as if it had gone on for two epochs."""
    curves = ("train_error", "test_error", "train_loss", "batch_error")
    return {
        **trial,
        **({"epochs": [1, 2]} if "epochs" in trial else {}),
        **{name: [0.6, 0.5] for name in curves if trial.get(name) == []},
    }


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what diverges overflows
@pytest.mark.parametrize("name", [name for name, each in ALL.items() if that_trains(each)])
def test_networks_that_diverge_at_once_are_measured_and_drawn_and_have_no_merits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, tiny = ALL[name], ALL[name].scales["tiny"]
    changed: dict[str, Any] = {
        each: replace(getattr(tiny, each), learning_rate=1e20) for each in that_trains(experiment)
    }
    if "depth" in {each.name for each in fields(tiny)}:
        changed["depth"] = 8
    monkeypatch.setitem(experiment.scales, "tiny", replace(tiny, **changed))
    once = all_run(experiment)
    # As a result's file has them, for three seeds.
    trials = {
        condition: json.loads(json.dumps(strict(seeds * 3, 5))) for condition, seeds in once.items()
    }

    measured = experiment.measure(trials, experiment.scales["tiny"])
    json.dumps(strict(dict(measured), 5), allow_nan=False)
    for claim in experiment.claims:
        judged = claim.rule.judge(measured)
        # Else what is of several layers, say, would be taken for several seeds.
        several = [measured[name] for name in limited(claim.rule)]
        assert {len(each) for each in several if isinstance(each, list)} <= {3}
        if re.search("training error|test error", " ".join(claim.rule.quantities)):
            assert judged.outcome != "supports", judged.because
    experiment.draw(trials, measured, LIGHT)
    # Also if the first seed alone has diverged.
    mixed = {
        condition: [seeds[0], *map(with_epochs, seeds[1:])] for condition, seeds in trials.items()
    }
    experiment.draw(mixed, experiment.measure(mixed, experiment.scales["tiny"]), LIGHT)


def test_every_file_of_the_folder_is_an_experiment_in_the_list() -> None:
    folder = Path(__file__).resolve().parents[3] / "minires/lab/experiments"
    files = {file.stem.replace("_", "-") for file in folder.glob("*.py")} - {"--init--"}

    assert files == set(ALL)


def test_scales_cost_what_they_should() -> None:
    """On two cores tiny takes under two minutes, and small under an hour, with room to spare."""
    for scale, most in (("tiny", 2 * 90), ("small", 2 * 50 * 60)):
        assert sum(each.scales[scale].seconds for each in ALL.values()) < most
