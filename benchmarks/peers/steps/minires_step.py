"""A training step of ResNet-20 in minires."""

from __future__ import annotations

from child import load, serve
from network import LEARNING_RATE, MOMENTUM

import minires as mr

images, labels, weights = load()
model = mr.models.cifar_resnet(20)
model.load_state_dict(weights)
optimizer = mr.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
x = mr.tensor(images)


def step() -> float:
    """Make a training step and return its loss."""
    optimizer.zero_grad()
    loss = mr.ops.cross_entropy(model(x), labels)
    loss.backward()
    optimizer.step()
    return float(loss.item())


serve("minires", step)
