"""A GPU trains as the CPU does: loss curves, TF32, capture, copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.devices import Device
from tests.devices.cuda.curves import assert_follows, batches


def test_some_steps_follow_the_loss_curve_of_the_cpu(device: Device) -> None:
    assert_follows(
        device, lambda: mr.models.cifar_resnet(8, width=2, seed=0), steps=8, size=4, side=8
    )


@pytest.mark.gpu
def test_a_hundred_steps_of_resnet_20_follow_the_loss_curve_of_the_cpu(gpu: Device) -> None:
    assert_follows(gpu, lambda: mr.models.cifar_resnet(20, seed=0), steps=100, size=32, side=16)


@pytest.fixture
def precision() -> Iterator[Any]:
    before = mr.get_float32_matmul_precision()
    yield mr.set_float32_matmul_precision
    mr.set_float32_matmul_precision(before)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["matmul", "conv2d"])
def test_tf32_is_off_until_it_is_asked_for_and_errs_by_ten_bits(
    gpu: Device, precision: Any, kind: str
) -> None:
    if float(gpu.xp.cuda.Device().compute_capability) < 80:
        pytest.skip("this GPU has no TF32")
    rng = np.random.default_rng(0)
    shapes = ((256, 256), (256, 256)) if kind == "matmul" else ((8, 64, 16, 16), (64, 64, 3, 3))
    a, b = (rng.standard_normal(shape) for shape in shapes)
    compute = getattr(mr.ops, kind)
    exact = compute(mr.tensor(a), mr.tensor(b)).numpy()
    errors = {}
    for name in ("highest", "high"):
        precision(name)
        found = compute(*(mr.tensor(x.astype("f4"), device=gpu) for x in (a, b))).numpy()
        errors[name] = np.abs(found - exact).max() / np.abs(exact).max()

    assert errors["highest"] < 1e-5
    assert 1e-5 < errors["high"] < 5e-3


def test_a_step_that_is_not_looked_at_brings_nothing_to_the_host(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mr.models.cifar_resnet(8, width=2).to(device)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    x, y = mr.randn(4, 3, 8, 8, device=device), mr.tensor([0, 1, 2, 3], device=device)
    copies: list[Any] = []
    to_numpy = device.to_numpy
    monkeypatch.setattr(device, "to_numpy", lambda a: copies.append(a.shape) or to_numpy(a))
    for _ in range(2):
        optimizer.zero_grad()
        loss = mr.ops.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    assert copies == []
    assert np.isfinite(loss.numpy())
    assert copies == [()]


@pytest.mark.gpu
def test_replayed_steps_are_the_eager_ones_also_when_the_learning_rate_falls(gpu: Device) -> None:
    given = [
        (mr.tensor(images, device=gpu), mr.tensor(labels, device=gpu))
        for images, labels in batches(6, size=8, side=16)
    ]
    losses = {}
    for graph in (False, True):
        model = mr.models.cifar_resnet(20, width=4, seed=0).to(gpu)
        optimizer = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        schedule = mr.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
        trainer = mr.training.Trainer(model, optimizer, schedule, graph=graph)
        losses[graph] = trainer.fit(given, epochs=3).loss

    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-6)
