"""Residual networks for large images: twins, what stands at both ends, impossible arguments."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import models, nn, ops


def small(name="resnet18", **options):
    return models.create(name, **{"width": 16, "num_classes": 3, "seed": 3} | options)


@pytest.mark.parametrize("name", ["resnet18", "resnet18_a", "resnet18_c", "se_resnet18"])
def test_twins_share_every_common_number(name):
    plain, other = small("plain18").state_dict(), small(name).state_dict()
    for key, value in plain.items():
        np.testing.assert_array_equal(value.numpy(), other[key].numpy(), key)


@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({}, "norm relu | "),
        ({"norm": "none"}, "relu | "),
        ({"norm": "fixup"}, "norm relu | norm"),
        ({"order": "full_preactivation"}, " | norm relu"),
        ({"order": "act_only_preactivation"}, "norm | relu"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["resnet18", "cifar_resnet8"])
def test_a_network_begins_and_ends_as_its_order_and_norm_say(name, options, ends):
    net = small(name, width=4, **options).to("float64")
    behind, before = (part.split() for part in ends.split("|"))
    for norm in (net.bn1, net.bn2):
        for parameter in norm.parameters():
            parameter.copy_(np.linspace(0.5, 2, parameter.numel()))
    net.fc.weight.copy_(np.linspace(-1, 1, net.fc.weight.numel()).reshape(net.fc.weight.shape))
    blocks = [block for name, stage in net.named_children() if "layer" in name for block in stage]

    def expected(x):
        x = net.conv1(x)
        for step in behind:
            x = net.bn1(x) if step == "norm" else ops.relu(x)
        x = ops.max_pool2d(x, 3, 2, 1) if name == "resnet18" else x
        for block in blocks:
            x = block(x)
        for step in before:
            x = net.bn2(x) if step == "norm" else ops.relu(x)
        return net.fc(ops.mean(x, (2, 3)))

    images = mr.tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 32)))
    found = net(images).numpy()
    assert found.any()
    np.testing.assert_allclose(found, expected(images).numpy(), 1e-9)


def test_a_fixup_network_for_large_images_starts_at_zero():
    net = small("resnet50", norm="fixup", width=4)
    assert not net.layer3[1].conv3.weight.numpy().any()
    assert not net.fc.weight.numpy().any()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {"width": 0}, "width must be at least 1, found 0"),
        ("resnext50_32x4d", {"width": 4}, "channels=4 and base_width=4 leave no channels"),
        ("resnet18", {"order": "preactivation"}, "unknown order 'preactivation'"),
        ("resnet18", {"norm": "layer"}, "unknown norm 'layer'"),
        ("resnet50", {"strided": 3}, "strided must be 1 or 2"),
    ],
)
def test_impossible_networks_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, **options)


def test_there_is_no_network_of_another_depth():
    with pytest.raises(ValueError, match="no ResNet of depth 20"):
        models.ResNet(20)
