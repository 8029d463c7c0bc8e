"""The classic architectures against torchvision's own, or a statement in PyTorch's functions."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import minires as mr
from tests.models import stated_in_torch as stated
from tests.models import torchvision_oracle as torchvision

pytestmark = pytest.mark.oracle

torch = torchvision.torch
CLASSES = torchvision.CLASSES

# What torchvision is asked for: the same network, by its own name and options.
UNDRAWN = {"init_weights": False}
SAME = {
    "alexnet": ("alexnet", {}),
    **{f"vgg{depth}": (f"vgg{depth}", {}) for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": (f"vgg{depth}_bn", {}) for depth in (11, 13, 16, 19)},
    "googlenet": ("googlenet", {"aux_logits": False} | UNDRAWN),
    "googlenet_aux": ("googlenet", {"aux_logits": True} | UNDRAWN),
    "inception_v3": ("inception_v3", UNDRAWN),
    **{f"densenet{depth}": (f"densenet{depth}", {}) for depth in (121, 161, 169, 201)},
}


@pytest.mark.parametrize("name", SAME)
def test_names_and_shapes_of_all_tensors_are_torchvisions(name):
    theirs, options = SAME[name]
    expected = torchvision.whole(theirs, **options).state_dict()
    found = mr.models.create(name, device="meta").state_dict()
    assert {key: t.shape for key, t in found.items()} == {
        key: tuple(t.shape) for key, t in expected.items()
    }


def prepared(name, **options):
    """A network in float64, its biases, scales and shifts away from where they start."""
    model = mr.models.create(name, seed=0, num_classes=CLASSES, **options).to("float64")
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.copy_(parameter.numpy() + 0.1 * rng.standard_normal(parameter.shape))
    return model


def copied(model):
    """The tensors of a network, for PyTorch."""
    return {name: torch.tensor(t.numpy().copy()) for name, t in model.state_dict().items()}


def batch(size, count=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((count, 3, size, size)), np.arange(count) % CLASSES


def assert_equal_gradients(ours, theirs, leaves, size):
    """In training, in float64; `theirs` maps images to logits and knows its leaves by name."""
    images, labels = batch(size)
    outputs = ours(mr.tensor(images))
    loss = mr.models.total_loss(outputs, lambda logits: mr.ops.cross_entropy(logits, labels))
    loss.backward()
    outputs = theirs(torch.tensor(images))
    logits, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
    loss_of = functools.partial(torch.nn.functional.cross_entropy, target=torch.tensor(labels))
    expected = loss_of(logits) + sum(0.3 * loss_of(head) for head in heads)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    found = {name: parameter.grad.numpy() for name, parameter in ours.named_parameters()}
    references = {name: leaves[name].grad.numpy() for name in found}
    whole = sum((g**2).sum() for g in references.values()) ** 0.5
    assert whole > 0.1
    # A tensor at a time, which says more than the sum; gradients that vanish are but rounding.
    for name, reference in references.items():
        size = max(np.linalg.norm(reference), 1e-4 * whole)
        assert np.linalg.norm(found[name] - reference) <= 1e-9 * size, name


CERTAIN = {"dropout": 0.0}
CERTAIN_HEADS = {"dropout": 0.0, "dropout_aux": 0.0}
DENSE = {"blocks": (stated.DENSE_LAYERS,) * 3}


@pytest.mark.parametrize(
    ("name", "width", "size", "options"),
    [
        ("alexnet", 4, 67, CERTAIN),
        ("vgg11", 4, 64, CERTAIN),
        ("vgg16_bn", 4, 64, CERTAIN),
        ("googlenet_aux", 4, 72, CERTAIN_HEADS),
        ("inception_v3", 2, 299, CERTAIN),
    ],
)
def test_gradients_and_running_statistics_are_torchvisions(name, width, size, options):
    theirs, named = SAME[name]
    ours = prepared(name, width=width, **options)
    theirs = torchvision.narrow(theirs, 16, **named, **options).double()
    theirs.load_state_dict(copied(ours))
    assert_equal_gradients(ours, theirs, dict(theirs.named_parameters()), size)
    images, _ = batch(size)
    found = ours.eval()(mr.tensor(images)).numpy()
    expected = theirs.eval()(torch.tensor(images)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_gradients_of_densenet_are_torchvisions():
    blocks = 2, 3, 2, 2
    ours = prepared("densenet121", width=8, blocks=blocks)
    theirs = torchvision.models().DenseNet(4, blocks, 8, num_classes=CLASSES).double()
    theirs.load_state_dict(copied(ours))
    assert_equal_gradients(ours, theirs, dict(theirs.named_parameters()), 64)


@pytest.mark.parametrize(
    ("name", "width", "size", "options", "statement"),
    [
        ("alexnet_2012", 6, 227, CERTAIN, stated.alexnet_2012),
        ("vgg11_lrn", 4, 64, CERTAIN, stated.vgg11_lrn),
        ("googlenet_5x5_bn", 4, 72, CERTAIN, stated.googlenet_5x5_bn),
        ("googlenet_2014_aux", 4, 224, CERTAIN_HEADS, stated.googlenet_2014),
        ("densenet_40_12", 4, 16, DENSE, stated.densenet),
        ("densenet_bc_100_12", 8, 16, DENSE, stated.densenet_bc),
    ],
)
def test_gradients_are_those_of_the_statement(name, width, size, options, statement):
    ours = prepared(name, width=width, **options)
    tensors = copied(ours)
    leaves = {name: tensors[name].requires_grad_() for name, _ in ours.named_parameters()}
    assert_equal_gradients(ours, lambda x: statement(leaves, x), leaves, size)


@pytest.mark.long
@pytest.mark.parametrize("name", ["vgg16", "googlenet", "inception_v3", "densenet121"])
def test_logits_at_full_size_are_torchvisions(name):
    theirs, options = SAME[name]
    ours = mr.models.create(name, seed=0).eval()
    theirs = torchvision.whole(theirs, **options).eval()
    theirs.load_state_dict(copied(ours), assign=True)
    shape = mr.models.input_of(name)
    image = np.random.default_rng(0).standard_normal((1, *shape)).astype("float32")
    with mr.no_grad(), torch.no_grad():
        found, expected = ours(mr.tensor(image)).numpy(), theirs(torch.tensor(image)).numpy()
    assert found.shape == (1, 1000)
    assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)
