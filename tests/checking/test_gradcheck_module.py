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


def test_a_right_network_is_accepted_in_every_parameter_and_buffer_of_both_modes() -> None:
    net = Net()

    report = mr.gradcheck_module(net, *batch())

    assert report
    for group in ("train", "eval"):
        rows = [row for row in report.inputs if row.group == group]
        trained = [row for row in rows if row.tried]
        assert [row.name for row in trained] == [name for name, _ in net.named_parameters()]
        assert all(row.tried == np.prod(row.shape) for row in trained)
        assert [row.name for row in rows if row.note == "buffer"] == [
            name for name, _ in net.named_buffers()
        ]


@pytest.mark.parametrize("modes", [("train",), ("eval",)])
def test_one_mode_alone_can_be_checked(modes: tuple[str, ...]) -> None:
    report = mr.gradcheck_module(nn.Linear(3, 2), mr.randn(4, 3), mr.randn(4, 2), modes=modes)

    assert {row.group for row in report.inputs} == set(modes)


def test_a_large_network_is_checked_along_random_directions() -> None:
    model = mr.models.cifar_resnet(8, width=4, num_classes=4)

    report = mr.gradcheck_module(model, mr.randn(3, 3, 12, 8), mr.tensor([0, 3, 1]))

    assert report
    assert all(row.directions for row in report.inputs if row.tried)
    assert 0 < report.miss_probability < 1e-9
    assert "would have been missed with a probability below" in report.explain()


def test_a_wrong_weight_gradient_is_found_by_its_path() -> None:
    report = mr.gradcheck_module(Net(WrongWeightGradient), *batch())

    assert report.status == "wrong"
    wrong = [row.title for row in report.inputs if row.wrong]
    assert wrong == ["train: block.conv2.weight", "eval: block.conv2.weight"]
    worst = next(row.worst for row in report.inputs if row.wrong)
    assert worst is not None
    assert worst.analytic == pytest.approx(3 * worst.numeric, rel=1e-5)
    assert "block.conv2.weight" in report.explain()


class _Swapped(nn.Module):
    """A layer whose gradient is wrong in evaluation only: it uses that of training."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(mr.ones(1))

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return x * (self.weight if self.training else _planted(self.weight))


def test_a_gradient_that_is_wrong_in_evaluation_only_is_found() -> None:
    report = mr.gradcheck_module(_Swapped(), mr.randn(5, 3), mr.randn(5, 3))

    assert [row.title for row in report.inputs if row.wrong] == ["eval: weight"]


class _Counting(nn.Module):
    """A layer with a buffer that does what it must not."""

    def __init__(self, mistake: str) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("seen", mr.zeros(2))
        self.mistake = mistake

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        y = self.linear(x)
        if self.mistake == "learns":
            self.seen.data = self.seen.numpy() + 1
        elif self.mistake == "graph":
            self.seen = y.sum(0)[:2]
        elif self.mistake == "nan" and self.training:
            self.seen.data = self.seen.numpy() * np.nan
        elif self.mistake == "shape":
            self.seen.data = np.zeros(3)
        return y


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("learns", "eval: the buffer seen changed in evaluation mode"),
        ("graph", "train: the buffer seen requires a gradient"),
        ("nan", "train: the buffer seen is not finite any more"),
        ("shape", "train: the buffer seen became float64 of shape (3,), from (2,)"),
    ],
)
def test_a_buffer_that_does_what_it_must_not_is_named(mistake: str, message: str) -> None:
    report = mr.gradcheck_module(_Counting(mistake), mr.randn(5, 3), mr.randn(5, 3))

    assert report.status == "wrong"
    assert message in report.explain()


def test_a_wrong_input_gradient_shows_in_all_that_comes_before_it() -> None:
    report = mr.gradcheck_module(Net(WrongInputGradient), *batch(), modes=["train"])

    wrong = [row.name for row in report.inputs if row.wrong]
    assert {"conv.weight", "bn.weight", "block.conv1.weight", "block.bn1.bias"} <= set(wrong)
    assert wrong[-1] == "block.bn1.bias"
    assert "block.bn1.bias is the last wrong one: look between it and block.conv2.weight" in str(
        report
    )
    assert report.worst is not None
    assert report.worst.name == "block.bn1.bias"
    assert "in which nothing is wrong" not in str(report)  # a short table is shown whole


def test_float_targets_are_compared_by_their_squared_error() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))

    assert mr.gradcheck_module(model, mr.randn(4, 3), mr.randn(4, 2))


def test_the_model_itself_stays_as_it_is() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    x, y = mr.randn(4, 3), mr.randn(4, 2)
    net(x)
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}

    assert mr.gradcheck_module(net, x, y)

    after = net.state_dict()
    for name, value in before.items():
        assert after[name].dtype == value.dtype
        np.testing.assert_array_equal(after[name].numpy(), value)
    assert all(p.grad is None for p in net.parameters())
    assert net.training


def test_frozen_parameters_are_listed_but_not_checked() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    net[1].requires_grad_(False)

    report = mr.gradcheck_module(net, mr.randn(4, 3), mr.randn(4, 2))

    rows = {row.title: row for row in report.inputs}
    assert rows["train: 0.weight"].tried
    assert (rows["eval: 1.bias"].tried, rows["eval: 1.bias"].note) == (0, "frozen")


def test_a_shared_parameter_is_checked_once_and_whole() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            return self.second(mr.ops.tanh(self.first(x)))

    report = mr.gradcheck_module(Twice(), mr.randn(4, 3), mr.randn(4, 3), modes=["train"])

    assert report
    assert [row.name for row in report.inputs] == ["first.weight", "first.bias"]


def test_dropout_is_checked_in_training_with_the_same_numbers_in_every_pass() -> None:
    model = nn.Sequential(nn.Linear(6, 20), nn.Dropout(0.5), nn.Linear(20, 2))

    report = mr.gradcheck_module(model, mr.randn(5, 6), mr.tensor([0, 1, 0, 1, 1]))

    assert report
    assert sum(row.tried > 0 for row in report.inputs) == 8


def test_a_model_that_is_random_by_itself_is_named() -> None:
    class Noisy(nn.Linear):
        def forward(self, x: mr.Tensor) -> mr.Tensor:
            return super().forward(x) + mr.tensor(np.random.default_rng().standard_normal(2))

    report = mr.gradcheck_module(Noisy(3, 2), mr.randn(4, 3), mr.randn(4, 2))

    assert report.status == "unfit"
    assert "train: two calls with the same inputs gave different values" in report.explain()


def test_a_model_that_fails_makes_a_report() -> None:
    report = mr.gradcheck_module(nn.Linear(3, 2), mr.randn(4, 5), mr.randn(4, 2))

    assert report.status == "unfit"
    assert "train: the forward pass raised ValueError: linear" in report.explain()


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter of the model requires a gradient"):
        mr.gradcheck_module(nn.ReLU(), mr.randn(2, 2), mr.randn(2, 2))


@pytest.mark.parametrize("modes", [(), ("training",), "both"])
def test_modes_that_do_not_exist_are_refused(modes: Any) -> None:
    with pytest.raises(ValueError, match="modes must be 'train', 'eval' or both"):
        mr.gradcheck_module(nn.Linear(2, 2), mr.randn(2, 2), mr.randn(2, 2), modes=modes)
