"""Every architecture is traced op by op, and its whole backward pass is right."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr

# Small ones of each family: width, and the side of the images.
SMALL = {
    "alexnet": (8, 64),
    "alexnet_2012": (12, 227),
    "vgg11": (4, 32),
    "vgg16_bn": (4, 32),
    "vgg11_lrn": (4, 32),
    "googlenet_aux": (8, 80),
    "googlenet_2014_aux": (8, 224),
    "inception_v3": (4, 299),
    "resnet18_a": (4, 32),
    "resnet50": (4, 32),
    "plain18": (4, 32),
    "resnext50_32x4d": (16, 32),
    "se_resnet18": (16, 32),
    "densenet121": (8, 32),
    "cifar_resnet20_a": (4, 8),
    "cifar_resnet20_c": (4, 8),
    "cifar_plain20": (4, 8),
    "cifar_preact_resnet20": (4, 8),
    "wrn_16_4": (4, 8),
    "densenet_40_12": (4, 8),
    "densenet_bc_40_12": (4, 8),
}

# Up to this side every VJP is compared with differences, too; that takes some hundred forwards.
CHECKED = 64


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_a_traced_step_is_checked_from_the_loss_to_the_image(name: str) -> None:
    width, side = SMALL[name]
    model = mr.models.create(name, seed=0, width=width, num_classes=5).to("float64")
    images = mr.tensor(
        np.random.default_rng(0).standard_normal((3, 3, side, side)), requires_grad=True
    )
    labels = np.array([0, 4, 2])

    with mr.trace.record(model, replay=side <= CHECKED) as trace:
        mr.models.total_loss(
            model(images), lambda logits: mr.ops.cross_entropy(logits, labels)
        ).backward()

    if side <= CHECKED:
        found = trace.check(samples=1)
        assert found, found
    assert all(fork.verdict == "exact" for fork in trace.forks())
    convolutions = [step for step in trace.records.forward if "conv2d" in step.op]
    assert len(convolutions) == sum(type(m) is mr.nn.Conv2d for m in model.modules())
    assert all(step.module for step in convolutions)
