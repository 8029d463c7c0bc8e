"""Whole networks: every parameter by its path, and the layer that is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires import nn


@mr.op(name="gradient_times_three")
def _planted(x: Any) -> Any:
    return x + 0


@_planted.vjp
def _(g: Any) -> Any:
    return g * 3


class WrongWeightGradient(nn.Conv2d):
    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return mr.ops.conv2d(x, _planted(self.weight), padding=1)


class WrongInputGradient(nn.Conv2d):
    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return mr.ops.conv2d(_planted(x), self.weight, padding=1)


class Block(nn.Module):
    def __init__(self, second: type[nn.Conv2d]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(3)
        self.conv2 = second(3, 3, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(3)
        self.relu = nn.ReLU()

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        branch = self.relu(self.bn1(self.conv1(x)))
        return self.relu(mr.ops.residual_add(x, self.bn2(self.conv2(branch))))


class Net(nn.Module):
    """Conv-BN-ReLU, a residual block, and a classifier."""

    def __init__(self, second: type[nn.Conv2d] = nn.Conv2d) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.block = Block(second)
        self.fc = nn.Linear(3, 4)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        x = self.block(mr.ops.relu(self.bn(self.conv(x))))
        return self.fc(x.mean((2, 3)))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    mr.manual_seed(0)


def batch() -> tuple[mr.Tensor, mr.Tensor]:
    return mr.randn(5, 2, 4, 3), mr.tensor([0, 3, 1, 2, 1])


@pytest.mark.parametrize("training", [True, False])
def test_a_right_network_is_accepted_in_every_parameter(training: bool) -> None:
    net = Net().train(training)

    report = mr.gradcheck_module(net, *batch())

    assert report
    assert [row.name for row in report.inputs] == [name for name, _ in net.named_parameters()]
    assert all(row.tried == min(64, np.prod(row.shape)) for row in report.inputs)


def test_a_wrong_weight_gradient_is_found_by_its_path() -> None:
    report = mr.gradcheck_module(Net(WrongWeightGradient), *batch())

    assert report.status == "wrong"
    assert [row.name for row in report.inputs if row.wrong] == ["block.conv2.weight"]
    worst = next(row.worst for row in report.inputs if row.wrong)
    assert worst is not None
    assert worst.analytic == pytest.approx(3 * worst.numeric, rel=1e-5)
    assert "block.conv2.weight" in report.explain()


def test_a_wrong_input_gradient_shows_in_all_that_comes_before_it() -> None:
    report = mr.gradcheck_module(Net(WrongInputGradient), *batch())

    wrong = [row.name for row in report.inputs if row.wrong]
    assert {"conv.weight", "bn.weight", "block.conv1.weight", "block.bn1.bias"} <= set(wrong)
    assert wrong[-1] == "block.bn1.bias"
    assert "look at the last wrong one, and at what comes after it" in report.explain()


def test_float_targets_are_compared_by_their_squared_error() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

    assert mr.gradcheck_module(model, mr.randn(4, 3), mr.randn(4, 2))


def test_the_model_itself_stays_as_it_is() -> None:
    net = Net()
    x, y = batch()
    net(x)
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}

    assert mr.gradcheck_module(net, x, y)

    after = net.state_dict()
    for name, value in before.items():
        assert after[name].dtype == value.dtype
        np.testing.assert_array_equal(after[name].numpy(), value)
    assert all(p.grad is None for p in net.parameters())
    assert net.training


def test_frozen_parameters_are_left_out() -> None:
    net = Net()
    net.fc.requires_grad_(False)

    names = [row.name for row in mr.gradcheck_module(net, *batch()).inputs]

    assert "bn.weight" in names
    assert not any(name.startswith("fc") for name in names)


def test_a_shared_parameter_is_checked_once_and_whole() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            return self.second(mr.ops.tanh(self.first(x)))

    report = mr.gradcheck_module(Twice(), mr.randn(4, 3), mr.randn(4, 3))

    assert report
    assert [row.name for row in report.inputs] == ["first.weight", "first.bias"]


def test_a_model_with_dropout_in_training_is_named_as_random() -> None:
    model = nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 2))
    x, y = mr.randn(5, 6), mr.tensor([0, 1, 0, 1, 1])

    report = mr.gradcheck_module(model, x, y)

    assert report.status == "unfit"
    assert ".eval() on a module with Dropout" in report.explain()
    assert mr.gradcheck_module(model.eval(), x, y)


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter of the model requires a gradient"):
        mr.gradcheck_module(nn.ReLU(), mr.randn(2, 2), mr.randn(2, 2))
