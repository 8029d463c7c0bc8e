"""The CIFAR twins: exact counts, equal numbers, structure, and PyTorch as an oracle."""

from __future__ import annotations

import json

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


def test_counts_equal_the_reference_table(shared_data):
    table = json.loads((shared_data.parent / "reference" / "models.json").read_text())
    checked = 0
    for depth in (8, 14, 20, 32, 44, 56, 110):
        for kind in ("A", "B", "C"):
            name = f"cifar_resnet{depth}_{kind.lower()}"
            if name in table:
                model = cifar_resnet(depth, kind)
                assert nn.parameter_count(model) == table[name]["params"], name
                checked += 1
    assert checked >= 15


@pytest.mark.parametrize("kind", ["A", "B", "C"])
def test_twins_of_one_seed_share_every_common_number(kind):
    plain = cifar_plain(14, width=4, seed=3).state_dict()
    residual = cifar_resnet(14, kind, width=4, seed=3).state_dict()
    for name, value in plain.items():
        np.testing.assert_array_equal(value.numpy(), residual[name].numpy())
    extra = [name for name in residual if name not in plain]
    assert all(".downsample." in name for name in extra)
    assert bool(extra) == (kind != "A")


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
        ({"width": 0}, "at least 1"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cifar_resnet(**arguments)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["A", "B", None])
def test_logits_and_gradients_equal_the_same_network_stated_in_pytorch(kind):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    functional = torch.nn.functional
    ours = cifar_resnet(14, kind, width=4, seed=1).to("float64")
    weights = {
        name: torch.tensor(value.numpy().copy(), requires_grad=True)
        for name, value in ours.named_parameters()
    }

    def norm(x, name):
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return functional.batch_norm(x, None, None, scale, shift, training=True)

    def shortcut(x, name, stride, channels):
        if f"{name}.downsample.0.weight" in weights:
            x = functional.conv2d(x, weights[f"{name}.downsample.0.weight"], stride=stride)
            return norm(x, f"{name}.downsample.1")
        if stride > 1:
            pad = (channels - x.shape[1]) // 2
            return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return x

    def theirs(x):
        x = functional.relu(norm(functional.conv2d(x, weights["conv1.weight"], padding=1), "bn1"))
        for stage in (1, 2, 3):
            for index in (0, 1):
                name, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
                w1, w2 = weights[f"{name}.conv1.weight"], weights[f"{name}.conv2.weight"]
                y = functional.relu(
                    norm(functional.conv2d(x, w1, stride=stride, padding=1), f"{name}.bn1")
                )
                y = norm(functional.conv2d(y, w2, padding=1), f"{name}.bn2")
                if kind is not None:
                    y = y + shortcut(x, name, stride, y.shape[1])
                x = functional.relu(y)
        return functional.linear(x.mean((2, 3)), weights["fc.weight"], weights["fc.bias"])

    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((5, 3, 8, 8)), np.arange(5) % 10
    loss = mr.ops.cross_entropy(ours(mr.tensor(images)), labels)
    loss.backward()
    expected = functional.cross_entropy(theirs(torch.tensor(images)), torch.tensor(labels))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for name, parameter in ours.named_parameters():
        reference = weights[name].grad.numpy()
        difference = np.linalg.norm(parameter.grad.numpy() - reference)
        assert difference <= 1e-10 * max(np.linalg.norm(reference), 1e-6), name
