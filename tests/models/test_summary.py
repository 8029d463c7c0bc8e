"""A network layer by layer."""

from __future__ import annotations

import json

import pytest

import minires as mr
from minires import devices, models, nn, ops
from minires.models import tables


class Twice(nn.Module):
    """Runs one layer twice, and a ReLU of its own making; one layer it never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(mr.ones(1))
        self.forgotten = nn.Linear(3, 3)
        self.nothing = nn.Identity()

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return self.nothing(self.conv(ops.relu(self.conv(x)))) * self.scale


def test_a_shared_layer_stands_where_it_runs_and_counts_its_parameters_once():
    found = models.summary(Twice(), (4, 6, 6))
    layers = [(row.path, row.output, row.params, row.macs) for row in found.rows]
    assert layers == [
        ("conv", (4, 6, 6), 148, 36 * 144),
        ("", (4, 6, 6), 1, 0),
        ("conv", (4, 6, 6), 0, 36 * 144),
        ("forgotten", None, 12, 0),
    ]
    assert sum(row.params for row in found.rows) == found.params
    assert sum(row.macs for row in found.rows) == found.macs


def test_a_parameter_of_the_network_itself_has_a_row_with_a_name_in_the_table():
    lines = str(models.summary(Twice(), (4, 6, 6))).splitlines()
    assert ["(itself)", "Twice", "4x6x6", "1"] in [line.split()[:4] for line in lines]


class Looking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.asks, self.fc = False, nn.Linear(3, 2)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        if (x.device.holds_values or not self.asks) and x.max().item() > 0:
            x = -x
        return self.fc(x)


def test_a_network_that_looks_at_values_is_told_how_it_can_be_counted():
    network = Looking()
    with pytest.raises(devices.NoValuesError, match=r"look only if `x\.device\.holds_values`"):
        models.summary(network, (3,))
    network.asks = True
    assert models.summary(network, (3,)).params == 8


def test_counting_by_name_says_what_counts_a_network_that_is_made():
    with pytest.raises(TypeError, match=r"found Looking\..* mr\.models\.summary\(model, input\)"):
        models.counts_of(Looking())


@pytest.mark.parametrize("name", ["cifar_resnet20", "resnet50", "se_resnet18", "wrn_16_2"])
def test_the_rows_add_up_to_the_totals(name):
    found, counts = models.summary(name, models.input_of(name)), models.counts_of(name)
    assert sum(row.params for row in found.rows) == found.params == counts.params
    assert sum(row.macs for row in found.rows) == found.macs == counts.macs
    assert (found.depth, found.activation_bytes) == (counts.depth, counts.activation_bytes)


class Headed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.head = nn.Linear(3, 2), nn.Linear(3, 4)

    def forward(self, x: mr.Tensor) -> tuple[mr.Tensor, ...]:
        return (self.fc(x), self.head(x)) if self.training else (self.fc(x),)


def test_a_head_that_only_training_has_is_told():
    found = models.summary(Headed(), (3,))
    assert [(row.path, row.macs) for row in found.rows] == [("fc", 6), ("head", 12)]
    assert found.macs == 18
    assert found.total.endswith("; as it runs in training")


def test_a_model_and_its_name_have_one_summary():
    by_name = models.summary("cifar_resnet8", (3, 32, 32))
    of_model = models.summary(models.cifar_resnet(8), (3, 32, 32))
    assert of_model.rows == by_name.rows
    assert (by_name.model, of_model.model) == ("cifar_resnet8", "CifarResNet")


def test_a_named_network_is_given_the_images_it_was_made_for_and_another_must_be_told():
    assert models.summary("cifar_resnet8").input == (3, 32, 32)
    with pytest.raises(TypeError, match=r"a Conv2d does not tell .* summary\(model, \(3, 32, 32\)"):
        models.summary(nn.Conv2d(3, 1, 1))


def test_what_is_no_network_is_told():
    with pytest.raises(TypeError, match=r"a Module or the name of one .*; found a function"):
        models.summary(lambda x: x, (3, 32, 32))


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 bytes"), (2**20 - 2**9, "1,023.5 KiB"), (2**20, "1.0 MiB"), (2**53, "8,192.0 TiB")],
)
def test_bytes_are_told_in_units_that_fit(size, told):
    assert tables.in_bytes(size) == told


def test_json_holds_what_the_table_shows():
    found = models.summary("cifar_resnet8", (3, 32, 32))
    told = json.loads(found.to_json())
    assert told["schema"] == "minires.summary/1"
    assert (told["params"], told["macs"], told["input"]) == (75_290, 12_239_488, [3, 32, 32])
    assert told["layers"][0] == {
        "path": "conv1",
        "type": "Conv2d",
        "output": [16, 32, 32],
        "params": 432,
        "macs": 442_368,
        "receptive_field": [3, 3],
        "stride": [1, 1],
    }
    assert told["layers"][-1]["receptive_field"] is None
    assert len(told["layers"]) == len(found.rows)
    for row in found.rows:
        assert row.path in str(found)


def test_an_input_that_does_not_fit_is_refused_where_it_arises():
    with pytest.raises(ValueError, match=r"input has 1 channels, weight expects 3.*'conv1'"):
        models.summary("cifar_resnet8", (1, 32, 32))
    with pytest.raises(ValueError, match="no network 'resnet5'; near: resnet50"):
        models.summary("resnet5")
