"""AlexNet, VGG, GoogLeNet, Inception-v3 and DenseNet: structure, first weights, traces."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import minires as mr
from minires import nn
from minires.models import (
    VGG,
    AlexNet,
    DenseNet,
    GoogLeNet,
    GoogLeNetOutputs,
    Inception3,
    InceptionOutputs,
)

NARROW = {
    "alexnet": (4, 63),
    "alexnet_2012": (6, 227),
    "vgg11": (4, 32),
    "vgg11_lrn": (4, 32),
    "vgg11_bn": (4, 32),
    "googlenet": (4, 32),
    "googlenet_aux": (4, 32),
    "googlenet_5x5_bn": (4, 32),
    "googlenet_2014": (4, 48),
    "googlenet_2014_aux": (4, 224),
    "inception_v3": (2, 75),
    "densenet_40_12": (4, 8),
    "densenet_bc_100_12": (8, 8),
    "densenet161": (6, 32),
}


@pytest.mark.parametrize("name", NARROW)
def test_width_channels_and_classes_are_options(name):
    width, size = NARROW[name]
    model = mr.models.create(name, width=width, num_classes=5, in_channels=2, seed=0).eval()
    assert next(model.parameters()).shape[:2] == (width, 2)
    with mr.no_grad():
        assert model(mr.randn(1, 2, size, size)).shape == (1, 5)


@pytest.mark.parametrize("name", ["googlenet_aux", "densenet_bc_100_12"])
def test_a_width_that_leaves_a_layer_without_channels_is_refused(name):
    with pytest.raises(ValueError, match="take a larger width"):
        mr.models.create(name, width=1)


def test_heads_speak_in_training_alone():
    model = mr.models.create("googlenet_aux", width=4, num_classes=5)
    images = mr.zeros(2, 3, 64, 64)
    outputs = model(images)
    assert isinstance(outputs, GoogLeNetOutputs)
    assert [logits.shape for logits in outputs] == [(2, 5)] * 3
    assert isinstance(model.eval()(images), mr.Tensor)
    headless = GoogLeNet(width=4, num_classes=5)
    assert isinstance(headless(images), mr.Tensor)


def test_the_head_of_inception_speaks_in_training_alone():
    model = mr.models.create("inception_v3", width=2, num_classes=5)
    outputs = model(mr.zeros(2, 3, 299, 299))
    assert isinstance(outputs, InceptionOutputs)
    assert [logits.shape for logits in outputs] == [(2, 5)] * 2
    small = mr.zeros(2, 3, 75, 75)
    assert isinstance(model.eval()(small), mr.Tensor)
    headless = Inception3(aux_logits=False, width=2, num_classes=5)
    assert isinstance(headless(small), mr.Tensor)


def test_the_total_loss_counts_a_head_by_its_share():
    outputs = GoogLeNetOutputs(mr.tensor(1.0), mr.tensor(2.0), mr.tensor(4.0))
    assert mr.models.total_loss(outputs, lambda x: 10 * x, share=0.5).item() == 10 + 10 + 20
    assert mr.models.total_loss(mr.tensor(1.0), lambda x: 10 * x).item() == 10


def kinds(chain):
    return [type(layer).__name__ for layer in chain]


def test_dropout_stands_before_alexnets_hidden_layers_or_in_2012_behind_them():
    hidden = ["Linear", "ReLU"]
    one_column = AlexNet(2014, width=4).classifier
    assert kinds(one_column) == ["Dropout", *hidden, "Dropout", *hidden, "Linear"]
    two_gpus = AlexNet(2012, width=6).classifier
    assert kinds(two_gpus) == [*hidden, "Dropout", *hidden, "Dropout", "Linear"]


def test_alexnet_of_2012_is_figure_2():
    features = AlexNet(2012, width=96 // 6).features
    unit, normalised = ["Conv2d", "ReLU"], ["LocalResponseNorm", "MaxPool2d"]
    assert kinds(features) == [*unit, *normalised] * 2 + unit * 3 + ["MaxPool2d"]
    assert [layer.groups for layer in features if isinstance(layer, nn.Conv2d)] == [1, 2, 1, 2, 2]


def test_alexnet_of_2012_says_what_images_it_takes():
    with pytest.raises(ValueError, match="227 x 227"):
        AlexNet(2012, width=6)(mr.zeros(1, 3, 224, 224))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlexNet(2013), "2012, 2014"),
        (lambda: VGG("F"), "configuration must be one of"),
        (lambda: mr.models.create("vgg16", width=0), "take a larger width"),
    ],
)
def test_impossible_forms_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "options", "dropouts"),
    [
        ("vgg11", {"width": 4}, [0.5, 0.5]),
        ("googlenet_aux", {"width": 4}, [0.7, 0.7, 0.2]),
        ("googlenet_2014_aux", {"width": 4}, [0.7, 0.7, 0.4]),
        ("inception_v3", {"width": 2}, [0.5]),
        ("densenet_40_12", {"width": 4, "blocks": (1, 1, 1), "drop_rate": 0.2}, [0.2] * 3),
        ("densenet_40_12", {"width": 4, "blocks": (1, 1, 1)}, []),
    ],
)
def test_dropout_is_the_papers(name, options, dropouts):
    modules = mr.models.create(name, **options).modules()
    assert [module.p for module in modules if isinstance(module, nn.Dropout)] == dropouts


@pytest.mark.parametrize(
    ("name", "width", "tensor", "deviation"),
    [
        ("alexnet_2012", 12, "features.4.weight", 0.01),
        ("alexnet_2012", 12, "classifier.3.weight", 0.01),
        ("vgg11", 8, "features.6.weight", (2 / (32 * 9)) ** 0.5),  # fan out
        ("vgg11", 8, "classifier.0.weight", 0.01),
        ("googlenet", 16, "conv3.conv.weight", 0.01),
        ("googlenet_2014", 16, "conv3.conv.weight", (2 / (9 * (16 + 48))) ** 0.5),
        ("inception_v3", 4, "Conv2d_4a_3x3.conv.weight", 0.1),
        ("inception_v3", 4, "AuxLogits.conv1.conv.weight", 0.01),
        ("densenet121", 16, "features.denseblock1.denselayer1.conv2.weight", (2 / 288) ** 0.5),
    ],
)
def test_weights_start_as_published(name, width, tensor, deviation):
    weight = mr.models.create(name, width=width, seed=0).state_dict()[tensor].numpy()
    assert weight.std() == pytest.approx(deviation, rel=0.1)
    assert abs(weight.mean()) < 0.1 * deviation


def test_biases_of_alexnet_2012_start_as_in_section_5():
    state = AlexNet(2012, width=6).state_dict()
    starts = {name: set(t.numpy()) for name, t in state.items() if name.endswith("bias")}
    assert [value for values in starts.values() for value in values] == [0, 1, 0, 1, 1, 1, 1, 0]


def test_transform_input_changes_the_normalisation():
    model = GoogLeNet(width=4, num_classes=5, transform_input=True).eval()
    images = np.random.default_rng(0).random((2, 3, 32, 32)).astype("float32")
    mean = np.array([0.485, 0.456, 0.406], "float32").reshape(3, 1, 1)
    deviation = np.array([0.229, 0.224, 0.225], "float32").reshape(3, 1, 1)
    found = model(mr.tensor((images - mean) / deviation))
    model.transform_input = False
    expected = model(mr.tensor((images - 0.5) / 0.5))
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-7)


def small_densenet():
    options = {"growth_rate": 4, "stem": 8, "imagenet": False, "num_classes": 5}
    return mr.models.create("densenet121", seed=0, blocks=(2, 3), **options)


def test_a_trace_shows_each_join_of_a_dense_block():
    model = small_densenet()
    with mr.trace.record(model) as trace:
        model(mr.randn(2, 3, 8, 8)).sum().backward()
    steps = trace.records.forward
    joins = [step for step in steps if step.op == "concatenate"]
    assert [step.module for step in joins] == ["features.denseblock1"] * 2 + [
        "features.denseblock2"
    ] * 3
    assert [len(step.operands) for step in joins] == [2, 3, 2, 3, 4]
    assert Counter(step.op for step in steps)["conv2d"] == 1 + 2 * (2 + 3) + 1


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (small_densenet, 8),
        (lambda: GoogLeNet(width=4, num_classes=5, dropout=0.0), 32),
        (lambda: VGG("A", batch_norm=True, width=4, num_classes=5, dropout=0.0), 32),
    ],
    ids=["densenet", "googlenet", "vgg"],
)
def test_gradients_are_the_same_to_the_bit_whether_traced_or_not(make, size):
    model = make()
    images = mr.randn(2, 3, size, size)

    def gradients():
        model.zero_grad()
        model(images).sum().backward()
        return [parameter.grad.numpy() for parameter in model.parameters()]

    fused = gradients()
    with mr.trace.record(model):
        stepwise = gradients()
    for ours, theirs in zip(fused, stepwise, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["densenet_bc_100_12", "googlenet_5x5_bn", "vgg11_bn"])
def test_batch_norms_fold_away(name):
    width, size = NARROW[name]
    model = mr.models.create(name, width=width, num_classes=5, seed=0).eval()
    image = mr.randn(1, 3, size, size)
    folded = nn.fold_batch_norm(model, image)
    expected = model(image).numpy()
    np.testing.assert_allclose(folded(image).numpy(), expected, rtol=1e-4, atol=1e-6)
    norms = [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == (51 if name.startswith("densenet") else 0)


def test_densenet_keeps_its_published_width_without_options():
    model = DenseNet(4, (1, 1), stem=8, imagenet=False)
    assert model.features.transition1.conv.weight.shape == (6, 12, 1, 1)
    assert model.classifier.in_features == 6 + 4
