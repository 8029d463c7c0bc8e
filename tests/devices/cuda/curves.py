"""Loss curves of short trainings, on a device and on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr
from tests.devices.cuda import fake

Array = np.ndarray[Any, Any]


def batches(count: int, size: int, side: int) -> list[tuple[Array, Array]]:
    """Random images and labels, on the host."""
    rng = np.random.default_rng(0)
    return [
        (rng.standard_normal((size, 3, side, side)).astype("float32"), rng.integers(0, 10, size))
        for _ in range(count)
    ]


def curve(
    place: Any,
    network: Any,
    steps: int,
    size: int,
    side: int,
    dtype: str = "float32",
    shaken: int | None = None,
) -> Array:
    """The loss at every step; nothing is looked at, or copied, until all have been taken.

    `shaken` is the seed of changes to the weights of some units of float32's rounding.
    """
    model = network()
    if shaken is not None:
        rng = np.random.default_rng(shaken)
        for parameter in model.parameters():
            signs = rng.choice([-1, 1], parameter.shape)
            parameter.copy_(parameter * mr.tensor(1 + 5e-7 * signs, dtype="float32"))
    model.to(dtype).to(place)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    given = [
        (mr.tensor(images, device=place, dtype=dtype), mr.tensor(labels, device=place))
        for images, labels in batches(4, size, side)
    ]
    losses = []
    with fake.strict(), fake.counting() as counts:
        for step in range(steps):
            images, labels = given[step % 4]
            optimizer.zero_grad()
            loss = mr.ops.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss)
    assert (counts.uploads, counts.downloads, counts.waits) == ([], [], [])
    return np.array([loss.item() for loss in losses])


def assert_follows(place: Any, network: Any, steps: int, size: int, side: int) -> None:
    """Assert that a device is as near to float64 as float32 on the CPU, up to a factor of ten.

    Rounding grows from step to step, and by leaps where it decides whether a ReLU opens, so that
    neither a tolerance nor a single run says what it may be: four runs do, three of them shaken.
    """
    taken = steps, size, side
    exact = curve("cpu", network, *taken, dtype="float64")
    runs = [curve("cpu", network, *taken, shaken=seed) for seed in (None, 0, 1, 2)]
    rounding = np.maximum.accumulate(np.abs(np.array(runs) - exact).max(0))
    away = np.abs(curve(place, network, *taken) - exact)

    assert (away <= 10 * rounding + 1e-6).all(), f"{away / rounding} times the CPU's rounding"
    assert steps < 8 or exact[-1] < exact[0]
