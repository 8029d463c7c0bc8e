"""A folded model computes what the model computes in evaluation mode, with fewer steps."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import nn


def lived(model, seed=0):
    """Give the batch norms statistics, scales and shifts as after some training."""
    rng = np.random.default_rng(seed)
    for name, value in model.state_dict().items():
        if value.dtype == "float32" and value.ndim == 1:
            positive = "var" in name or "weight" in name
            drawn = rng.uniform(0.5, 2, value.shape) if positive else rng.normal(size=value.shape)
            value.copy_(drawn.astype("float32"))
    return model.to("float64")


def outputs(model, x):
    with mr.no_grad():
        return model.eval()(x).numpy()


def norms(model):
    return [name for name, module in model.named_modules() if type(module) is nn.BatchNorm2d]


@pytest.mark.parametrize("shortcut", ["A", "B", "C", None])
def test_a_folded_network_has_no_norm_left_and_the_same_outputs(shortcut):
    model = lived(mr.models.cifar_resnet(8, shortcut, width=4, seed=0))
    x = mr.randn(3, 3, 8, 8, dtype="float64")
    folded = nn.fold_batch_norm(model, x[:1])
    assert norms(folded) == []
    np.testing.assert_allclose(outputs(folded, x), outputs(model, x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [nn.Bottleneck, nn.PreActBlock, nn.PreActBottleneck])
def test_norms_that_stand_before_their_convolution_stay(block):
    model = lived(block(4 if block is nn.PreActBlock else 8, 4, 2, "B"))
    x = mr.randn(2, 4 if block is nn.PreActBlock else 8, 6, 6, dtype="float64")
    folded = nn.fold_batch_norm(model, x)
    assert norms(folded) == ([] if block is nn.Bottleneck else ["bn1"])
    np.testing.assert_allclose(outputs(folded, x), outputs(model, x), rtol=1e-10, atol=1e-12)


def test_what_is_no_model_or_no_example_is_refused():
    with pytest.raises(TypeError, match="a Module and a Tensor that it takes, found Linear and No"):
        nn.fold_batch_norm(nn.Linear(2, 2), None)
    with pytest.raises(TypeError, match="found str and Tensor"):
        nn.fold_batch_norm("model", mr.zeros(1))


class Names(mr.autograd.EngineHook):
    """The ops that ran, fused or not."""

    def __init__(self, keeps_fused: bool) -> None:
        self.keeps_fused, self.seen = keeps_fused, []

    def op_ran(self, op, inputs, output, node):
        self.seen.append(op.name)


@pytest.mark.parametrize("make", [mr.models.cifar_resnet, mr.models.cifar_plain])
def test_each_convolution_of_a_folded_network_is_one_op_with_what_follows(make):
    x = mr.randn(2, 3, 8, 8, dtype="float64")
    folded = nn.fold_batch_norm(lived(make(8, width=4, seed=0)), x)
    with Names(keeps_fused=True) as names:
        fused = outputs(folded, x)
    assert names.seen.count("conv2d_relu") == 7
    assert not {"conv2d", "relu", "residual_add", "batch_norm"} & set(names.seen)
    with Names(keeps_fused=False) as names:
        spelled_out = outputs(folded, x)
    assert names.seen.count("conv2d") == names.seen.count("relu") == 7
    np.testing.assert_array_equal(fused, spelled_out)


class Louder(nn.ReLU):
    """No stock ReLU."""

    def forward(self, x):
        return super().forward(x) * 2


class Steeper(nn.Conv2d):
    """No stock convolution."""

    def forward(self, x):
        return super().forward(x) * 2


def with_other_relu(block):
    block.relu = Louder()


def with_other_convolution(block):
    block.conv2 = Steeper(4, 4, 3, padding=1).to("float64")


def with_forward_of_its_own(block):
    block.conv1.forward = lambda x: type(block.conv1).forward(block.conv1, x) * 2


def with_one_norm_left(block):
    block.bn2 = nn.BatchNorm2d(4).to("float64")


@pytest.mark.parametrize(
    "change",
    [with_other_relu, with_other_convolution, with_forward_of_its_own, with_one_norm_left],
)
def test_what_is_changed_in_a_folded_block_counts(change):
    x = mr.randn(2, 4, 6, 6, dtype="float64")
    block = nn.fold_batch_norm(lived(nn.BasicBlock(4, 4)), x)
    before = outputs(block, x)
    change(block)
    block.eval()
    h = block.relu(block.bn1(block.conv1(x)))
    expected = block.relu(block.bn2(block.conv2(h)) + x)
    np.testing.assert_allclose(outputs(block, x), expected.numpy(), rtol=1e-12)
    assert not np.allclose(outputs(block, x), before)


def test_a_folded_network_has_the_gradients_of_its_steps():
    x = mr.randn(2, 3, 8, 8, dtype="float64")
    folded = nn.fold_batch_norm(lived(mr.models.cifar_resnet(8, "B", width=4, seed=0)), x)

    def gradients():
        folded.zero_grad()
        mr.ops.cross_entropy(folded(x), np.array([1, 2])).backward()
        return [p.grad.numpy() for p in folded.parameters()]

    fused = gradients()
    with Names(keeps_fused=False):
        spelled_out = gradients()
    for found, expected in zip(fused, spelled_out, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert expected.any()


def test_the_model_itself_stays_as_it_is():
    model = mr.models.cifar_resnet(8, width=4, seed=0)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    nn.fold_batch_norm(model, mr.zeros(1, 3, 8, 8))
    assert model.training
    assert norms(model)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


class Odd(nn.Module):
    """Uses its parts in ways that must not be folded."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        # Registered side by side, as if the one followed the other.
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.bn = nn.BatchNorm2d(2, track_running_stats=way != "no statistics")

    def forward(self, x):
        if self.way == "before":
            return self.conv(self.bn(x))
        y = self.conv(x)
        if self.way == "used twice":
            return self.bn(y) + y
        if self.way == "run twice":
            return self.bn(self.conv(y))
        if self.way == "shared norm":
            return self.bn(y) + self.bn(x)
        if self.way == "in between":
            return self.bn(y * 2)
        return self.bn(y)


@pytest.mark.parametrize(
    "way", ["before", "used twice", "run twice", "shared norm", "in between", "no statistics"]
)
def test_what_is_no_plain_pair_is_left_alone(way):
    model = lived(Odd(way))
    x = mr.randn(2, 2, 4, 4, dtype="float64")
    folded = nn.fold_batch_norm(model, x)
    assert norms(folded) == ["bn"]
    np.testing.assert_array_equal(outputs(folded, x), outputs(model, x))


@pytest.mark.parametrize("way", ["returned", "detached"])
def test_a_use_that_no_op_shows_is_noticed_by_the_outputs(way):
    class Leaky(Odd):
        def forward(self, x):
            y = self.conv(x)
            return (self.bn(y), [y]) if way == "returned" else {"sum": self.bn(y) + y.detach()}

    with pytest.raises(ValueError, match="not the model's own"):
        nn.fold_batch_norm(lived(Leaky(way)), mr.randn(2, 2, 4, 4, dtype="float64"))


def test_frozen_weights_stay_frozen_and_expanded_ops_do_not_hide_the_pairs():
    model = lived(nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with mr.expand("conv2d", "batch_norm"):
        folded = nn.fold_batch_norm(model, mr.randn(1, 2, 5, 5, dtype="float64"))
    assert norms(folded) == []
    assert not any(parameter.requires_grad for parameter in folded.parameters())


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_every_kind_of_pair_folds(affine, bias):
    model = nn.Sequential(nn.Conv2d(2, 4, 3, bias=bias, groups=2), nn.BatchNorm2d(4, affine=affine))
    model = lived(model)
    x = mr.randn(2, 2, 5, 5, dtype="float64")
    folded = nn.fold_batch_norm(model, x)
    assert norms(folded) == []
    np.testing.assert_allclose(outputs(folded, x), outputs(model, x), rtol=1e-10, atol=1e-12)
