from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minires import nn
from minires.autograd import Tensor
from minires.devices import random
from minires.lab.experiments import batch_norm as bn
from minires.models import cifar_resnet
from minires.ops import rand, randn
from tests.lab.experiments.made import learned, outcomes, seeds

EXPERIMENT = bn.EXPERIMENT


def single_layers() -> dict[str, Any]:
    with random.seeded(0):
        found = {**bn._coupling(), **bn._modes(), **bn._scaling(), **bn._shape()}
    return {**found, "variances": [0.5, 1.5, 2.5]}


def made(layers: dict[str, Any], without: float, with_it: float, noisy: float) -> dict[str, Any]:
    errors = dict(zip(bn.KINDS, (without, with_it, noisy), strict=True))
    trained = {
        kind: seeds(learned(0.9, batch_error=[0.9, error], diverged=""))
        for kind, error in errors.items()
    }
    return {"single layers": seeds(layers), **trained}


def test_what_single_layers_do_supports_and_training_is_judged_by_its_error() -> None:
    assert outcomes(EXPERIMENT, made(single_layers(), 0.5, 0.2, 0.3)) == ["supports"] * 8
    worse = ["supports"] * 5 + ["contradicts"] * 2 + ["supports"]
    assert outcomes(EXPERIMENT, made(single_layers(), 0.2, 0.5, 0.4)) == worse


def of_each_image(self: nn.Module, x: Tensor) -> Tensor:
    """Normalise each image by itself, as layer norm does."""
    values = x.numpy()
    axes = tuple(range(1, values.ndim))
    mean, std = values.mean(axes, keepdims=True), values.std(axes, keepdims=True)
    return (x - Tensor(mean)) / Tensor(std)


def shifted(self: nn.Module, x: Tensor) -> Tensor:
    """Change the shape of a distribution."""
    return x * x


@pytest.mark.parametrize("forward", [of_each_image, shifted])
def test_another_norm_is_noticed(forward: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.BatchNorm2d, "forward", forward)

    found = outcomes(EXPERIMENT, made(single_layers(), 0.5, 0.2, 0.3))
    assert found[:5] == ["contradicts"] * 5


def test_a_network_that_diverged_guesses() -> None:
    assert bn._last(learned(0.9, batch_error=[], diverged="at once")) == 0.9


@pytest.mark.parametrize("ratios", [[10.0, 20.0, 30.0], [0.1, 0.2, 0.3], [3.0, 3.0, 3.0]])
def test_a_branch_of_another_size_is_noticed(ratios: list[float]) -> None:
    layers = {**single_layers(), "variances": ratios}
    assert outcomes(EXPERIMENT, made(layers, 0.5, 0.2, 0.3))[-1] == "contradicts"


def test_variances_are_those_of_the_two_sides_of_every_addition() -> None:
    block = nn.BasicBlock(4, 4, shortcut="A", order="full_preactivation")
    x = randn(8, 4, 6, 6)
    with bn._Sides() as sides:
        y = block(x).numpy()

    assert sides.ratios == [pytest.approx(x.numpy().var() / (y - x.numpy()).var(), rel=1e-3)]


def test_noise_is_behind_every_norm_in_training_alone() -> None:
    model = cifar_resnet(8, None, width=4, in_channels=1, seed=0)
    norms = sum(isinstance(each, nn.BatchNorm2d) for each in model.modules())
    bn._add_noise(model)
    x = rand(4, 1, 8, 8)

    assert sum(isinstance(each, bn._Noise) for each in model.modules()) == norms == 7
    assert (model(x).numpy() != model(x).numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model(x).numpy(), model(x).numpy())
