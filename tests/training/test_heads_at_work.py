"""The two heads learn from real digits what they are for, within a minute each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import minires as mr
from minires.data import DataLoader, TensorDataset, compose_canvases, digits
from minires.models import (
    CenterMaps,
    CenterPointDetector,
    Segmenter,
    center_point_loss,
    cifar_resnet,
    find_objects,
)
from minires.optim.lr_scheduler import CosineAnnealingLR
from minires.training import confusion_matrix, mean_average_precision, mean_iou

# A machine that has other work as well takes several times as long.
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Batch = tuple[mr.Tensor, mr.Tensor, mr.Tensor, mr.Tensor]


# Nine of ten pixels are background, which is soon told from ink: it counts a fifth.
CLASS_WEIGHTS = mr.tensor([0.2] + [1.0] * 10)


def made(part: TensorDataset, count: int, seed: int) -> TensorDataset:
    """Small canvases, and digits of 8 x 8 pixels as they are: a minute is enough for them."""
    return compose_canvases(*part.arrays, count=count, size=(32, 32), zooms=(1,), seed=seed)


@pytest.fixture(scope="module")
def canvases() -> tuple[TensorDataset, TensorDataset]:
    """To learn from and to be judged by: no digit is in both."""
    split = digits()
    return made(split.train, 1024, seed=0), made(split.test, 200, seed=1)


def backbone(seed: int) -> mr.nn.Module:
    return cifar_resnet(8, width=8, in_channels=1, seed=seed)


def train(
    model: mr.nn.Module,
    loss: Callable[[Any, Batch], mr.Tensor],
    canvases: TensorDataset,
    epochs: int,
    rate: float,
    seed: int,
) -> None:
    optimizer = mr.optim.Adam(model.parameters(), lr=rate)
    schedule = CosineAnnealingLR(optimizer, T_max=epochs)
    loader = DataLoader(canvases, batch_size=16, shuffle=True, seed=seed)
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            loss(model(batch[0]), batch).backward()
            optimizer.step()
        schedule.step()


def iou_of(model: Segmenter, canvases: TensorDataset) -> float:
    model.eval()
    with mr.no_grad():
        return mean_iou(
            sum(
                confusion_matrix(model(images).argmax(1), masks, 11)
                for images, masks, *_ in DataLoader(canvases, batch_size=50)
            )
        )


def precision_of(model: CenterPointDetector, canvases: TensorDataset) -> float:
    model.eval()
    _, _, boxes, labels = canvases.arrays
    with mr.no_grad():
        found = [
            each
            for images, *_ in DataLoader(canvases, batch_size=50)
            for each in find_objects(model(images), threshold=0.01)
        ]
    return mean_average_precision(found, boxes, labels, 10)


def taught_segmenter(canvases: TensorDataset, seed: int) -> Segmenter:
    def loss(scores: mr.Tensor, batch: Batch) -> mr.Tensor:
        return mr.ops.cross_entropy(scores, batch[1], CLASS_WEIGHTS)

    model = Segmenter(backbone(seed), 11)
    train(model, loss, canvases, epochs=12, rate=0.02, seed=seed)
    return model


def taught_detector(canvases: TensorDataset, seed: int) -> CenterPointDetector:
    def loss(maps: CenterMaps, batch: Batch) -> mr.Tensor:
        return center_point_loss(maps, *batch[2:])

    with mr.devices.random.seeded(seed):
        model = CenterPointDetector(backbone(seed), 10)
    train(model, loss, canvases, epochs=10, rate=0.005, seed=seed)
    return model


def test_a_segmenter_tells_the_classes_of_unseen_digits_pixel_by_pixel(canvases):
    to_learn_from, to_be_judged_by = canvases

    model = taught_segmenter(to_learn_from, seed=0)

    assert iou_of(Segmenter(backbone(0), 11), to_be_judged_by) < 0.1
    assert iou_of(model, to_be_judged_by) >= 0.8


def test_a_detector_finds_unseen_digits(canvases):
    to_learn_from, to_be_judged_by = canvases

    model = taught_detector(to_learn_from, seed=0)

    assert precision_of(CenterPointDetector(backbone(0), 10), to_be_judged_by) < 0.1
    assert precision_of(model, to_be_judged_by) >= 0.8
