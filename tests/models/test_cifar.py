"""The CIFAR twins: exact counts, equal numbers and structure."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import nn
from minires.models import cifar_plain, cifar_resnet


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 44, 56, 110])
def test_option_a_and_plain_have_the_papers_number_of_parameters(depth):
    blocks = (depth - 2) // 6
    expected = 97_216 * blocks - 21_926
    assert nn.parameter_count(cifar_plain(depth)) == expected
    assert nn.parameter_count(cifar_resnet(depth, "A")) == expected
    assert nn.parameter_count(cifar_resnet(depth, "B")) == expected + 2_752


def test_depth_20_has_269722_parameters():
    assert nn.parameter_count(cifar_resnet(20)) == 269_722


@pytest.mark.parametrize("kind", ["A", "B", "C"])
def test_twins_of_one_seed_share_every_common_number(kind):
    plain = cifar_plain(14, width=4, seed=3).state_dict()
    residual = cifar_resnet(14, kind, width=4, seed=3).state_dict()
    for name, value in plain.items():
        np.testing.assert_array_equal(value.numpy(), residual[name].numpy())
    extra = [name for name in residual if name not in plain]
    assert all(".downsample." in name for name in extra)
    assert bool(extra) == (kind != "A")


WITH_WEIGHTS = {
    "exclusive gating": {"shortcut": "exclusive_gating"},
    "shortcut-only gating": {"shortcut": "shortcut_only_gating"},
    "a shortcut of one's own": {"shortcut": lambda c, k, s: nn.Conv2d(c, k, 1, s)},
    "squeeze and excitation": {"reduction": 2},
    "stochastic depth": {"stochastic_depth": 0.5},
    "dropout": {"dropout": 0.5, "shortcut": "dropout"},
    "all of it": {"shortcut": "C", "reduction": 2, "stochastic_depth": 0.5, "dropout": 0.5},
}


@pytest.mark.parametrize("options", WITH_WEIGHTS.values(), ids=WITH_WEIGHTS)
def test_whatever_blocks_have_the_common_numbers_stay(options):
    plain = cifar_plain(14, width=4, seed=3).state_dict()
    other = cifar_resnet(14, width=4, seed=3, **options).state_dict()
    for name, value in plain.items():
        np.testing.assert_array_equal(value.numpy(), other[name].numpy(), name)


@pytest.mark.parametrize("norm", ["skipinit", "none", "fixup"])
def test_without_norms_convolutions_start_from_the_same_numbers(norm):
    plain = cifar_plain(14, width=4, seed=3)
    other = cifar_resnet(14, width=4, seed=3, norm=norm)
    # Fixup scales the first convolution of a branch of two by L^(-1/2), and the last by 0.
    first, last = (6**-0.5, 0.0) if norm == "fixup" else (1.0, 1.0)
    for ours, theirs in zip(plain.layer2, other.layer2, strict=True):
        np.testing.assert_allclose(
            theirs.conv1.weight.numpy(), first * ours.conv1.weight.numpy(), 1e-6
        )
        np.testing.assert_array_equal(theirs.conv2.weight.numpy(), last * ours.conv2.weight.numpy())
    np.testing.assert_array_equal(plain.conv1.weight.numpy(), other.conv1.weight.numpy())
    assert norm == "fixup" or (plain.fc.weight.numpy() == other.fc.weight.numpy()).all()


def test_manual_seed_makes_twins_too():
    mr.manual_seed(5)
    plain = cifar_plain(8, width=4)
    mr.manual_seed(5)
    residual = cifar_resnet(8, "C", width=4)
    np.testing.assert_array_equal(plain.fc.weight.numpy(), residual.fc.weight.numpy())


def test_a_seed_leaves_the_global_stream_untouched():
    mr.manual_seed(0)
    expected = mr.randn(3).numpy()
    mr.manual_seed(0)
    cifar_resnet(8, width=4, seed=9)
    np.testing.assert_array_equal(mr.randn(3).numpy(), expected)


def test_the_first_block_of_each_later_stage_halves_the_image():
    model = cifar_resnet(20)
    strides = [
        block.conv1.stride[0]
        for stage in (model.layer1, model.layer2, model.layer3)
        for block in stage
    ]
    assert strides == [1, 1, 1, 2, 1, 1, 2, 1, 1]
    assert model(mr.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_names_are_torchvisions():
    names = [name for name, _ in cifar_resnet(8, "B", width=4).named_parameters()]
    assert names[:5] == [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "layer1.0.conv1.weight",
        "layer1.0.bn1.weight",
    ]
    assert "layer2.0.downsample.0.weight" in names
    assert names[-2:] == ["fc.weight", "fc.bias"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 21}, "6n \\+ 2"),
        ({"depth": 2}, "6n \\+ 2"),
        ({"shortcut": "a"}, "unknown shortcut"),
        ({"width": 0}, "width must be at least 1, found 0"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cifar_resnet(**arguments)
