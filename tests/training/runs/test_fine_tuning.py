from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import minires as mr
from minires.training.runs import ConfigError, RunError, configured, train
from minires.training.runs.checkpoint import write_checkpoint
from minires.training.runs.fine_tuning import begin_with, freeze


def network(classes: int = 10, width: int = 2, seed: int = 0) -> mr.nn.Module:
    return mr.models.cifar_resnet(8, width=width, num_classes=classes, seed=seed)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "trained.safetensors"
    mr.save(network(seed=1).state_dict(), path)
    return path


def test_all_weights_are_copied_where_the_classes_are_as_many(weights: Path) -> None:
    model = network()
    assert begin_with(model, str(weights)).startswith("trained.safetensors: 44 tensors")
    for name, value in network(seed=1).state_dict().items():
        assert (model.state_dict()[name].numpy() == value.numpy()).all()


def test_only_the_head_begins_anew_for_other_classes(weights: Path) -> None:
    model, drawn = network(classes=3), network(classes=3).state_dict()
    told = begin_with(model, str(weights))
    assert told == (
        "trained.safetensors: 42 tensors were copied; the classes are others, so fc.weight and"
        " fc.bias begin anew"
    )
    trained = network(seed=1).state_dict()
    for name, value in model.state_dict().items():
        expected = drawn if name.startswith("fc.") else trained
        assert (value.numpy() == expected[name].numpy()).all(), name


def test_weights_of_the_plain_twin_of_the_same_names_are_refused(tmp_path: Path) -> None:
    config = configured("cifar_plain8", "digits", epochs=1, model_options={"width": 2})
    train(config, tmp_path / "plain")
    with pytest.raises(RunError, match=r"of a cifar_plain, .*would answer wrongly"):
        begin_with(mr.models.cifar_resnet(8, width=2, in_channels=1), str(tmp_path / "plain"))


def test_weights_of_another_width_are_refused_and_nothing_is_copied(weights: Path) -> None:
    for width in (3, 4):
        model = network(classes=3, width=width)
        before = [value.numpy().copy() for value in model.state_dict().values()]
        with pytest.raises(RunError, match="does not fit this network: conv1"):
            begin_with(model, str(weights))
        for value, was in zip(model.state_dict().values(), before, strict=True):
            assert (value.numpy() == was).all()


def test_without_being_asked_for_other_classes_are_an_error(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"fc\.weight has shape"):
        mr.models.load_weights(network(classes=3), weights)


def test_what_is_no_file_of_weights_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    for path in (tmp_path / "notes.txt", tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(RunError, match="weights: ") as told:
            begin_with(network(), str(path))
        assert not isinstance(told.value, ConfigError)  # no option is wrong: a file is


def test_a_checkpoint_is_told_from_weights(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {"step": 1, "model": network().state_dict()}, {})
    with pytest.raises(RunError, match=r"^weights: .*last\.safetensors' is a checkpoint") as told:
        begin_with(network(), str(tmp_path / "last.safetensors"))
    assert "\n" not in str(told.value)


def test_frozen_parameters_get_no_gradient() -> None:
    model = network()
    frozen = freeze(model, ["conv1.*", "*.bn1.*"])
    model(mr.tensor(np.ones((2, 3, 8, 8), np.float32))).sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (name in frozen), name
