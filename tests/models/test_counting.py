"""Counts of what a network does, read off the ops that it runs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

import minires as mr
from minires import devices, models, nn, ops
from minires.models import counting
from minires.models.counting import Counts, count, without_values


def counts_of(model: nn.Module, *image: int) -> Counts:
    return count(without_values(model), image)


def agrees_with_the_closed_form(n: int) -> bool:
    """He et al. 2015, section 4.2: depth 6n + 2 with 16, 32 and 64 channels."""
    with devices.default("meta"):
        twins = models.cifar_resnet(6 * n + 2), models.cifar_plain(6 * n + 2)
    return all(
        (found.params, found.macs, found.depth)
        == (97_216 * n - 21_926, 14_155_776 * n - 1_916_288, 6 * n + 2)
        for found in (count(twin, (3, 32, 32)) for twin in twins)
    )


@pytest.mark.parametrize("n", [1, 2, 3, 9, 18])
def test_cifar_networks_have_the_counts_of_their_closed_form(n):
    assert agrees_with_the_closed_form(n)


def test_projections_and_classes_cost_what_they_should():
    with devices.default("meta"):
        a, b, more = (
            count(models.cifar_resnet(20, **options), (3, 32, 32))
            for options in ({}, {"shortcut": "B"}, {"num_classes": 100})
        )
    assert b.params - a.params == 2752
    assert b.macs - a.macs == 16 * 32 * 256 + 32 * 64 * 64
    assert b.depth == a.depth
    assert (more.params - a.params, more.macs - a.macs) == (65 * 90, 64 * 90)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda inputs, output: math.prod(output) * math.prod(inputs[1][1:3]),
        lambda inputs, output: math.prod(inputs[0]) * math.prod(inputs[1][1:]),
        lambda inputs, output: math.prod(output) * (math.prod(inputs[1][1:]) + 1),
    ],
    ids=["a kernel's columns forgotten", "input pixels counted", "biases counted"],
)
def test_a_planted_mistake_is_caught(wrong, monkeypatch):
    monkeypatch.setitem(counting.MACS, "conv2d", wrong)
    assert not agrees_with_the_closed_form(2)


def test_a_gate_that_counted_would_be_caught(monkeypatch):
    ungated = property(lambda step: [s for s in step.sources if s is not None])
    with devices.default("meta"):
        model = models.create("se_resnet50", num_classes=10)
    assert count(model, (3, 64, 64)).depth == 50
    monkeypatch.setattr(counting.Step, "passed_on", ungated)
    assert count(model, (3, 64, 64)).depth == 50 + 2 * 16


@pytest.mark.parametrize("size", [32, 64])
def test_depth_does_not_depend_on_the_images(size):
    with devices.default("meta"):
        model = models.create("se_resnet50", num_classes=10)  # at 32 its last stage sees one pixel
    assert count(model, (3, size, size)).depth == 50


LAYERS = {
    "groups": (nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5), 6 * 3 * 3 * 2 * 9),
    "stride, dilation, bias": (
        nn.Conv2d(3, 8, 3, stride=2, padding=1, dilation=2),
        (3, 9, 9),
        8 * 4 * 4 * 3 * 9,
    ),
    "depthwise, not square": (
        nn.Conv2d(4, 4, (1, 3), groups=4, bias=False),
        (4, 6, 6),
        4 * 6 * 4 * 3,
    ),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 5), 4 * 25 * 3 * 9),
    "linear": (nn.Linear(7, 5), (7,), 35),
    "linear at each place": (nn.Linear(7, 5), (3, 2, 7), 6 * 35),
    "nothing else": (
        nn.Sequential(nn.BatchNorm2d(3), nn.GELU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2)),
        (3, 9, 9),
        0,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_have_the_macs_counted_by_hand(name):
    layer, image, macs = LAYERS[name]
    found = counts_of(layer, *image)
    assert (found.macs, found.params) == (macs, nn.parameter_count(layer))
    assert found.depth == (macs > 0)


def test_activations_are_the_outputs_of_all_ops_but_views():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5))
    assert counts_of(model, 3, 6, 6).activation_bytes == 4 * (2 * 8 * 16 + 5)


class Functional(nn.Module):
    """Uses what it has in unusual ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: mr.Tensor) -> dict[str, list[mr.Tensor]]:
        y = self.conv(self.conv(x))
        y = ops.conv2d_relu(y, self.conv.weight, padding=1)
        vectors = self.norm.running_mean, self.norm.running_var, self.norm.weight, self.norm.bias
        y = ops.batch_norm_relu_conv2d(y, *vectors, self.conv.weight, padding=1)
        return {"found": [y, x + 1]}


def test_what_runs_often_counts_often_and_is_learned_once_also_in_fused_ops():
    found = counts_of(Functional(), 4, 5, 5)
    assert (found.macs, found.depth) == (4 * 25 * 4 * 4 * 9, 4)
    assert found.params == 4 * 4 * 9 + 4 + 8
    assert not {"conv2d_relu", "batch_norm_relu_conv2d"} & {step.op for step in found.steps}


class WithHead(nn.Module):
    """Has a head that takes part in training only, as GoogLeNet's."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 4))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5))
        self.fc = nn.Linear(4, 5)

    def forward(self, x: mr.Tensor) -> tuple[mr.Tensor, ...]:
        y = self.body(x)
        out = self.fc(ops.flatten(y[..., :1, :1], 1))
        return (out, self.head(y)) if self.training else (out,)


def test_a_head_that_only_training_has_is_counted_for_one_image():
    model = WithHead().eval()
    found = counts_of(model, 3, 7, 7)
    assert found.macs == 4 * 25 * 27 + 4 * 4 * 64 + 20 + 80
    assert found.depth == 3
    assert found.activation_bytes == 4 * (2 * 100 + 16 + 5 + 2 * 5)


def test_what_no_pass_uses_is_counted_as_parameters_alone():
    model = nn.Sequential(nn.Linear(3, 2))
    model.unused = nn.Parameter(mr.zeros(7))
    found = counts_of(model, 3)
    assert (found.params, found.macs, found.images) == (8 + 7, 6, 1)


def test_frozen_parameters_count_and_so_does_what_comes_before_the_first():
    model = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 4, 3)).requires_grad_(False)
    with mr.no_grad():
        found = counts_of(model, 3, 8, 8)
    assert (found.macs, found.params) == (4 * 4 * 27, 4 * 27 + 4)
    assert [step.op for step in found.steps] == ["image", "avg_pool2d", "conv2d"]
    assert not any(step.learned for step in found.steps)


def test_a_model_stays_as_it_is():
    model = models.cifar_resnet(8, width=2, seed=0)
    model.conv1.weight.grad = mr.ones(2, 3, 3, 3)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    models.summary(model, (3, 16, 16))
    assert model.training
    assert (model.conv1.weight.grad.numpy() == 1).all()
    for name, value in model.state_dict().items():
        assert value.device is devices.cpu
        assert (value.numpy() == before[name]).all()


class Plumbed(nn.Module):
    """Two convolutions, and between them what it is made with."""

    def __init__(self, between: Any) -> None:
        super().__init__()
        self.first, self.second, self.between = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), between

    def forward(self, x: mr.Tensor) -> SimpleNamespace:
        return SimpleNamespace(found=self.second(self.between(self.first(x))))


@pytest.mark.parametrize(
    "between", [mr.Tensor.detach, mr.no_grad()(ops.relu), lambda y: y * (y > 0)]
)
def test_what_has_no_gradient_counts_also_in_an_output_of_another_kind(between):
    found = counts_of(Plumbed(between), 3, 8, 8)
    assert (found.depth, found.macs) == (2, 4 * 36 * 27 + 4 * 16 * 36)


class Pair(nn.Module):
    def forward(self, x: mr.Tensor, y: mr.Tensor) -> mr.Tensor:
        return x + y


def test_a_network_of_more_inputs_is_told_what_it_is_given():
    with pytest.raises(TypeError, match=r"Pair cannot be counted.*an image.*argument: 'y'; wrap"):
        counts_of(Pair(), 3)


class Looking(nn.Module):
    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return x if x.sum() > 0 else -x


def test_a_network_that_looks_at_values_is_refused():
    with pytest.raises(devices.NoValuesError, match=r"of shape \(\).*no values.*; in '1'"):
        counts_of(nn.Sequential(nn.ReLU(), Looking()), 3)
