"""What holds for every experiment, whatever it is about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minires.lab.experiment import SCALES, Experiment
from minires.lab.experiments import experiments, find_experiment
from minires.lab.results import trial_name

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


def test_every_file_of_the_folder_is_an_experiment_in_the_list() -> None:
    folder = Path(__file__).resolve().parents[3] / "minires/lab/experiments"
    files = {file.stem.replace("_", "-") for file in folder.glob("*.py")} - {"--init--"}

    assert files == set(ALL)


def test_scales_cost_what_they_should() -> None:
    """On two cores tiny takes under two minutes, and small under an hour, with room to spare."""
    for scale, most in (("tiny", 2 * 90), ("small", 2 * 50 * 60)):
        assert sum(each.scales[scale].seconds for each in ALL.values()) < most
