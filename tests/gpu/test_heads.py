"""A GPU gives the two heads' losses and objects as the CPU does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.devices import Device
from minires.models import CenterPointDetector, Segmenter, center_point_loss, find_objects


@pytest.fixture
def canvases() -> Any:
    images = np.random.default_rng(0).random((8, 5, 4))
    made = mr.data.compose_canvases(images, np.arange(8) % 3, 3, size=(16, 24), zooms=(1, 2))
    return tuple(mr.tensor(part) for part in made.arrays)


def backbone() -> mr.nn.Module:
    return mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0)


def test_a_segmenters_loss_and_gradients(device: Device, canvases: Any) -> None:
    images, masks, *_ = canvases
    results = []
    for place in ("cpu", device):
        model = Segmenter(backbone(), 4)
        mr.nn.init.constant_(model.score3.weight, 0.1)
        model = model.to("float64").to(place)
        loss = mr.ops.cross_entropy(model(images.to("float64").to(place)), masks.to(place))
        loss.backward()
        results.append((loss.item(), model.backbone.conv1.weight.grad.to("cpu").numpy()))

    assert results[1][0] == pytest.approx(results[0][0], rel=1e-12)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("boxes_are_there", [True, False])
def test_a_detectors_loss_gradients_and_objects(
    device: Device, canvases: Any, boxes_are_there: bool
) -> None:
    images, _, boxes, labels = canvases
    results = []
    for place in ("cpu", device):
        with mr.devices.random.seeded(0):
            model = CenterPointDetector(backbone(), 3, channels=4).to("float64").to(place)
        given = [part.to(place if boxes_are_there else "cpu") for part in (boxes, labels)]
        maps = model(images.to("float64").to(place))
        loss = center_point_loss(maps, *given)
        loss.backward()
        results.append((loss.item(), model.backbone.conv1.weight.grad.to("cpu").numpy()))
        results[-1] += tuple(part for found in find_objects(maps, 0.0) for part in found)

    assert len(results[0]) == 2 + 3 * 3
    for here, there in zip(*results, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-12)
