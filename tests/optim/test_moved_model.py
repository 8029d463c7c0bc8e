"""A model that is moved to another device between two steps: the optimiser goes on as before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import DivergedError, Trainer
from tests.devices.cuda import fake


@pytest.fixture(autouse=True)
def device() -> Iterator[Any]:
    with fake.installed() as device:
        yield device


class PlainAdam(mr.optim.Adam):
    """Has a rule of its own, so that no device fuses it."""

    def update(self, *arguments: Any) -> None:
        super().update(*arguments)


OPTIMISERS: dict[str, Any] = {
    "SGD": lambda params: mr.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "SGD without momentum": lambda params: mr.optim.SGD(params, lr=0.1),
    "Adam": lambda params: mr.optim.Adam(params, lr=0.1),
    "AdamW": lambda params: mr.optim.AdamW(params, lr=0.1),
    "a rule that is not fused": lambda params: PlainAdam(params, lr=0.1),
}


def network() -> mr.nn.Module:
    mr.manual_seed(0)
    return mr.nn.Sequential(mr.nn.Conv2d(1, 2, 3), mr.nn.Flatten(), mr.nn.Linear(8, 3))


def steps(make: Any, places: list[str]) -> list[np.ndarray[Any, Any]]:
    """Take one step at each place, with a model and an optimiser that come along."""
    model = network()
    optimizer = make(model.parameters())
    x = mr.tensor(np.random.default_rng(1).standard_normal((4, 1, 4, 4)).astype("float32"))
    for place in places:
        model.to(place)
        optimizer.zero_grad()
        mr.ops.cross_entropy(model(x.to(place)), mr.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
    return [parameter.numpy().copy() for parameter in model.parameters()]


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(
    "places", [["cpu", "cpu", "cuda", "cuda"], ["cuda", "cuda", "cpu", "cpu", "cuda"]]
)
def test_what_is_remembered_comes_along(name: str, places: list[str]) -> None:
    moved = steps(OPTIMISERS[name], places)
    stayed = steps(OPTIMISERS[name], ["cpu"] * len(places))

    for found, expected in zip(moved, stayed, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_moved_state_has_the_memory_order_that_the_device_fuses(name: str, device: Any) -> None:
    model = network()
    optimizer = OPTIMISERS[name](model.parameters())
    for place in ("cpu", "cuda"):
        model.to(place)
        sum(p.sum() for p in model.parameters()).backward()
        optimizer.step()

    for parameter, remembered in optimizer.state.items():
        arrays = [value for value in remembered.values() if value.ndim]
        assert arrays
        assert device.can_fuse(parameter.data, parameter.grad.data, *arrays)


def test_what_is_no_array_of_a_device_stays_where_it_is() -> None:
    parameter = mr.tensor([1.0], requires_grad=True, device="cuda")
    optimizer = mr.optim.SGD([parameter], lr=0.1)
    mine = {"note": "mine", "number": np.float64(2.0), "count": 3}
    optimizer.state[parameter] = dict(mine)

    optimizer.follow()

    assert optimizer.state[parameter] == mine


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_trainer_goes_on_after_a_move_and_can_still_rewind(name: str) -> None:
    images = np.random.default_rng(1).standard_normal((3, 4, 1, 4, 4)).astype("float32")
    labels = mr.tensor([0, 1, 2, 0])
    batches = [(mr.tensor(x), labels) for x in images]
    bad = [*batches[:2], (mr.tensor(images[2] * np.float32(np.nan)), labels)]
    model = network()
    trainer = Trainer(model, OPTIMISERS[name](model.parameters()))
    trainer.fit(batches, 1)

    model.to("cuda")
    with pytest.raises(DivergedError) as caught:
        trainer.fit(bad, 1)

    assert (caught.value.step, caught.value.cause) == (6, "batch")
    assert all(np.isfinite(parameter.numpy()).all() for parameter in model.parameters())
