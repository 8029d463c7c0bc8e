"""The two heads learn from real digits what they are for, within a minute each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import minires as mr
from minires.data import DataLoader, TensorDataset, compose_canvases, digits
from minires.models import (
    CenterPointDetector,
    Segmenter,
    center_point_loss,
    cifar_resnet,
    find_objects,
)
from minires.optim.lr_scheduler import CosineAnnealingLR
from minires.training import confusion_matrix, mean_average_precision, mean_iou

pytestmark = pytest.mark.long

Batch = tuple[mr.Tensor, mr.Tensor, mr.Tensor, mr.Tensor]


@pytest.fixture(scope="module")
def canvases() -> tuple[TensorDataset, TensorDataset]:
    """To learn from and to be judged by: no digit is in both."""
    split = digits()
    return (
        compose_canvases(*split.train.arrays, count=1024, seed=0),
        compose_canvases(*split.test.arrays, count=200, seed=1),
    )


def backbone(seed: int) -> mr.nn.Module:
    return cifar_resnet(8, width=8, in_channels=1, seed=seed)


def train(
    model: mr.nn.Module,
    loss: Callable[[Any, Batch], mr.Tensor],
    canvases: TensorDataset,
    epochs: int,
    seed: int,
) -> None:
    optimizer = mr.optim.Adam(model.parameters(), lr=5e-3)
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


@pytest.mark.parametrize("seed", [0])
def test_a_segmenter_tells_the_classes_of_unseen_digits_pixel_by_pixel(canvases, seed):
    train_canvases, test_canvases = canvases
    model = Segmenter(backbone(seed), 11)
    before = iou_of(model, test_canvases)

    model.train()
    train(
        model, lambda scores, batch: mr.ops.cross_entropy(scores, batch[1]), train_canvases, 5, seed
    )

    assert before < 0.1
    assert iou_of(model, test_canvases) >= 0.8


@pytest.mark.parametrize("seed", [0])
def test_a_detector_finds_unseen_digits(canvases, seed):
    train_canvases, test_canvases = canvases
    with mr.devices.random.seeded(seed):
        model = CenterPointDetector(backbone(seed), 10)
    before = precision_of(model, test_canvases)

    model.train()
    train(model, lambda maps, batch: center_point_loss(maps, *batch[2:]), train_canvases, 8, seed)

    assert before < 0.1
    assert precision_of(model, test_canvases) >= 0.8
