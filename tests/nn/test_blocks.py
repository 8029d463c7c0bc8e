"""Residual blocks: what the shortcut is, and where the addition and the ReLU stand."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import nn, ops


def test_an_identity_shortcut_has_no_parameters():
    plain, residual = nn.BasicBlock(4, 4, shortcut=None), nn.BasicBlock(4, 4, shortcut="A")
    assert nn.parameter_count(plain) == nn.parameter_count(residual)
    assert isinstance(residual.downsample, nn.Identity)
    assert plain.downsample is None


def test_the_relu_of_a_basic_block_comes_after_the_addition():
    block = nn.BasicBlock(2, 2, shortcut="A").eval()
    x = mr.randn(2, 2, 4, 4)
    inner = ops.relu(block.bn1(block.conv1(x)))
    expected = ops.relu(x + block.bn2(block.conv2(inner)))
    np.testing.assert_allclose(block(x).detach().numpy(), expected.detach().numpy(), rtol=1e-6)


def test_the_pre_activation_block_adds_last():
    block = nn.PreActBlock(2, 2, shortcut="A").eval()
    x = mr.randn(2, 2, 4, 4)
    active = ops.relu(block.bn1(x))
    expected = x + block.conv2(ops.relu(block.bn2(block.conv1(active))))
    np.testing.assert_allclose(block(x).detach().numpy(), expected.detach().numpy(), rtol=1e-6)


def test_option_a_samples_and_pads_half_on_each_side():
    x = mr.randn(2, 4, 5, 5)
    y = nn.PadShortcut(4, 8, stride=2)(x).numpy()
    assert y.shape == (2, 8, 3, 3)
    np.testing.assert_array_equal(y[:, 2:6], x.numpy()[:, :, ::2, ::2])
    assert (y[:, :2] == 0).all()
    assert (y[:, 6:] == 0).all()


@pytest.mark.parametrize("kind", ["A", "B", "C", None])
@pytest.mark.parametrize(
    "block", [nn.BasicBlock, nn.Bottleneck, nn.PreActBlock, nn.PreActBottleneck]
)
@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 2)])
def test_every_block_takes_every_shortcut(block, kind, channels, stride):
    made = block(4, channels, stride, kind)
    x = mr.randn(2, 4, 6, 6, requires_grad=True)
    y = made(x)
    assert y.shape == (2, channels * block.expansion, 6 // stride, 6 // stride)
    y.sum().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_option_b_projects_where_the_shape_changes_and_c_always():
    assert isinstance(nn.BasicBlock(4, 4, shortcut="B").downsample, nn.Identity)
    projected = nn.BasicBlock(4, 8, 2, shortcut="B").downsample
    assert [name for name, _ in projected.named_parameters()] == ["0.weight", "1.weight", "1.bias"]
    assert nn.parameter_count(nn.BasicBlock(4, 4, shortcut="C").downsample) == 16 + 8


def test_an_unknown_shortcut_is_named():
    with pytest.raises(ValueError, match="unknown shortcut 'D'"):
        nn.BasicBlock(4, 4, shortcut="D")


def test_the_tape_tells_shortcut_from_branch_at_the_fork_of_a_block():
    class Fork(mr.autograd.EngineHook):
        edges: tuple[str, ...] = ()

        def contributions_met(self, node, contributions, total):
            if len(contributions) == 2:
                self.edges = tuple(c.edge for c in contributions)
                self.consumers = tuple(c.consumer.op.name for c in contributions)
                self.total = total.copy()
                self.parts = [c.value.copy() for c in contributions]

    block = nn.BasicBlock(2, 2, shortcut="A")
    x = mr.randn(2, 2, 4, 4, requires_grad=True)
    with Fork() as fork:
        block(x).sum().backward()
    assert fork.consumers == ("residual_add", "conv2d")
    assert fork.edges == ("shortcut", "input")
    np.testing.assert_array_equal(fork.parts[0] + fork.parts[1], fork.total)
    assert not np.array_equal(fork.parts[0], fork.total)
    np.testing.assert_array_equal(fork.total, x.grad.numpy())
