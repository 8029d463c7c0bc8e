from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minires.training.runs import ConfigError
from minires.training.sweeps import Trial, read_grid, trials_of

FIXED: dict[str, Any] = {
    "model": "cifar_resnet8",
    "dataset": "digits",
    "epochs": 1,
    "val_split": 0.2,
}


def trials(**options: Any) -> list[Trial]:
    return trials_of({**FIXED, **options})


def test_every_combination_is_a_trial_and_the_last_option_varies_fastest() -> None:
    found = trials(lr=[0.1, 0.01], batch_size=[32, 64], momentum=0.8)

    assert [trial.varied for trial in found] == [
        {"lr": 0.1, "batch_size": 32},
        {"lr": 0.1, "batch_size": 64},
        {"lr": 0.01, "batch_size": 32},
        {"lr": 0.01, "batch_size": 64},
    ]
    assert [(t.config.lr, t.config.batch_size) for t in found][1:3] == [(0.1, 64), (0.01, 32)]
    assert {trial.config.momentum for trial in found} == {0.8}


def test_a_file_names_options_as_the_command_line_does(tmp_path: Path) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(
        'model = ["cifar_plain8", "cifar_resnet8"]\ndataset = "digits"\nval-split = 100\n'
        "batch-size = 32\nepochs = 2\n[model_options]\nwidth = [2, 4]\n"
    )
    found = read_grid(grid)

    assert [trial.config.model_options for trial in found] == [{"width": 2}, {"width": 4}] * 2
    assert found[3].varied == {"model": "cifar_resnet8", "width": 4}
    assert (found[0].config.val_split, found[0].config.batch_size) == (100, 32)


def test_width_alone_is_the_networks() -> None:
    assert [trial.config.model_options for trial in trials(width=[2, 4])] == [
        {"width": 2},
        {"width": 4},
    ]


def test_an_option_that_is_itself_a_list_takes_a_list_of_lists() -> None:
    one = trials(freeze=["layer1.*", "layer2.*"])
    several = trials(freeze=[["layer1.*"], ["layer1.*", "layer2.*"]])

    assert [trial.config.freeze for trial in one] == [("layer1.*", "layer2.*")]
    assert [trial.config.freeze for trial in several] == [
        ("layer1.*",),
        ("layer1.*", "layer2.*"),
    ]


def test_a_name_says_what_varies_and_is_the_same_in_a_larger_grid() -> None:
    small, large = trials(lr=[0.1, 0.01]), trials(lr=[0.1, 0.01], seed=[0, 1])

    assert small[0].name.startswith("lr=0.1-")
    assert large[0].name.startswith("lr=0.1,seed=0-")
    assert small[0].name[-8:] == large[0].name[-8:]
    assert len({trial.name for trial in large}) == 4
    assert trials()[0].name.startswith("run-")


def test_a_name_can_be_one_of_a_folder() -> None:
    (hostile, _) = trials(root=["../..\\a b:c*?\n", "x" * 300])

    assert hostile.name.startswith("root=.._.._a_b_c_-")
    assert all(len(trial.name) < 120 for trial in trials(root=["x" * 300, "y"]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lr_rate": 0.1}, "lr_rate: there is no such option"),
        ({"lr": []}, "lr: the list of values is empty"),
        ({"lr": [0.1, -1.0]}, r"lr: .* found -1.0 \(with lr=-1.0\)"),
        ({"lr": "high"}, "lr: "),
        ({"lr": [0.1, 0.1]}, "the same run twice, as lr=0.1 and as lr=0.1"),
        ({"batch-size": 2, "batch_size": 2}, "batch_size: the grid names it twice"),
        ({"width": 2, "model_options": {"width": 2}}, "width: the grid names it twice"),
        ({"distributed": True}, "distributed: a run of a sweep has one process"),
        ({"val_split": 0}, "val_split: nothing is kept for validation"),
        ({"model": "cifar_resnot8"}, "there is no network 'cifar_resnot8'"),
        ({"recipe": "he2016"}, "recipe: there is none called 'he2016'"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_runs(
    options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        trials(**options)


def test_a_grid_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="model: it is missing"):
        trials_of({"dataset": "digits"})


@pytest.mark.parametrize("content", [b"lr = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "grid.toml").write_bytes(content)

    with pytest.raises(ConfigError, match=r"grid\.toml' is no TOML"):
        read_grid(tmp_path / "grid.toml")
