"""Short trainings on digits of 8 x 8 pixels, of a second or two each."""

from __future__ import annotations

from typing import Any

import numpy as np

from minires.autograd import Tensor, no_grad
from minires.data import DataLoader, TensorDataset, compose_canvases, digits
from minires.devices import random
from minires.lab.images import Images
from minires.lab.learning import Learned, Recipe, learn
from minires.models import (
    CenterMaps,
    CenterPointDetector,
    center_point_loss,
    cifar_resnet,
    find_objects,
)
from minires.nn import Flatten, Linear, Module, ReLU, Sequential
from minires.ops import cat, cross_entropy, flatten, reshape
from minires.optim import Adam
from minires.training import Trainer, mean_average_precision

_DIGITS = Images("digits", train=640, test=100)
_CANVAS = 32  # pixels a side
_CELLS = _CANVAS // 4
_CLASSES = 10


def perceptron() -> Module:
    """Make a network of two linear layers, without normalisation."""
    return Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, _CLASSES))


def taught(model: Module, recipe: Recipe, seed: int, loss: Any = cross_entropy) -> Learned:
    """Train a network on 640 digits, and return the record."""
    return learn(model, _DIGITS.read(), recipe, seed=seed, loss=loss)


def last_loss(model: Module, epochs: int, seed: int) -> float:
    """Train a network on 640 digits; return the mean loss of the last epoch's batches.

    A few dozen steps are too few for batch norm's running statistics, with which a network would
    be evaluated. 1,000 stands for one that diverged.
    """
    learned = taught(model, Recipe(epochs, measure_every=epochs), seed)
    last = learned.loss[-learned.steps_per_epoch :]
    return 1e3 if learned.diverged else sum(last) / len(last)


class _InOneTensor(Module):
    """A detector whose maps come as one Tensor (N, values), as a `Trainer` wants them."""

    def __init__(self, detector: CenterPointDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        """Map canvases (N, 1, H, W) to all values of their maps."""
        return flatten(cat(list(self.detector(x)), 1), 1)


def _maps(values: Tensor) -> CenterMaps:
    maps = reshape(values, (values.shape[0], _CLASSES + 4, _CELLS, _CELLS))
    return CenterMaps(maps[:, :_CLASSES], maps[:, _CLASSES:-2], maps[:, -2:])


def _canvases(part: TensorDataset, count: int, seed: int) -> TensorDataset:
    images, labels = part.arrays
    size = (_CANVAS, _CANVAS)
    return compose_canvases(images, labels, count, size=size, zooms=(1,), seed=seed)


def detected(seed: int) -> tuple[float, float]:
    """Return how well a ResNet-8 finds digits on canvases before it has learned to, and after.

    Both are average precisions at an overlap of 1/2, on digits that it has not seen.
    """
    split = digits()
    train, test = _canvases(split.train, 512, seed), _canvases(split.test, 100, seed)
    with random.seeded(seed):
        backbone = cifar_resnet(8, width=8, in_channels=1)
        model = _InOneTensor(CenterPointDetector(backbone, _CLASSES, channels=32))
    images, _, boxes, labels = train.arrays
    # A loss is given the labels of a batch alone: here, which canvases these are.
    canvases = TensorDataset(images, np.arange(len(images)))

    def loss(values: Tensor, chosen: Tensor) -> Tensor:
        return center_point_loss(_maps(values), boxes[chosen.numpy()], labels[chosen.numpy()])

    def precision() -> float:
        unseen, _, there, named = test.arrays
        with no_grad():
            found = [
                each
                for batch, _ in DataLoader(TensorDataset(unseen, np.arange(len(unseen))), 50)
                for each in find_objects(_maps(model.eval()(batch)), threshold=0.01)
            ]
        return mean_average_precision(found, there, named, _CLASSES)

    before = precision()
    trainer = Trainer(model, Adam(model.parameters(), lr=0.01), loss=loss)
    trainer.fit(DataLoader(canvases, 16, shuffle=True, seed=seed), epochs=7)
    return before, precision()
