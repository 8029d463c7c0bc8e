"""Bottlenecks, reducers, groups, gates, concatenation: counted, and wrong counts contradicted."""

from __future__ import annotations

from typing import Any

import pytest

from minires import nn
from minires.lab.experiments import (
    bottleneck_cost,
    dense_growth,
    grouped_convolution,
    inception_reducers,
    squeeze_excitation,
)
from minires.models.googlenet import MODULES
from tests.lab.experiments.made import all_run, outcomes

ROOMS = (
    bottleneck_cost,
    dense_growth,
    grouped_convolution,
    inception_reducers,
    squeeze_excitation,
)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__.rpartition(".")[2])
def test_what_is_counted_supports_the_claims(room: Any) -> None:
    assert outcomes(room.EXPERIMENT, all_run(room.EXPERIMENT)) == ["supports", "supports"]


def test_a_wide_middle_is_no_bottleneck(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {**bottleneck_cost._BLOCKS}
    wide[bottleneck_cost.BOTTLENECK] = 256, lambda: nn.Bottleneck(256, 256, shortcut="B")
    monkeypatch.setattr(bottleneck_cost, "_BLOCKS", wide)

    found = outcomes(bottleneck_cost.EXPERIMENT, all_run(bottleneck_cost.EXPERIMENT))
    assert found[0] == "contradicts"


def test_reducers_that_reduce_nothing_save_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {name: row._replace(reduce3x3=832, reduce5x5=832) for name, row in MODULES.items()}
    monkeypatch.setattr(inception_reducers, "MODULES", wide)

    found = outcomes(inception_reducers.EXPERIMENT, all_run(inception_reducers.EXPERIMENT))
    assert found == ["contradicts", "supports"]


def test_a_path_that_is_left_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_one(block: nn.Bottleneck) -> nn.ResidualBlock:
        apart = nn.split_transform_merge(block)
        nn.init.zeros_(apart.conv1.paths[3].conv3.weight)
        return apart

    monkeypatch.setattr(grouped_convolution, "split_transform_merge", without_one)

    found = outcomes(grouped_convolution.EXPERIMENT, all_run(grouped_convolution.EXPERIMENT))
    assert found == ["contradicts", "supports"]


def test_gates_that_are_not_quite_open_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squeeze_excitation, "_FULL", 5.0)

    found = outcomes(squeeze_excitation.EXPERIMENT, all_run(squeeze_excitation.EXPERIMENT))
    assert found == ["contradicts", "supports"]


def test_a_network_that_adds_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_growth, "DENSE", "cifar_resnet20")

    found = outcomes(dense_growth.EXPERIMENT, all_run(dense_growth.EXPERIMENT))
    assert found == ["contradicts", "supports"]
