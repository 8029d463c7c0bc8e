"""Training that runs ahead of Python, on a GPU, tells in the end what the CPU tells at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import Callback, DivergedError, GradientNorms, Trainer
from tests.devices.cuda import fake

Batch = tuple[mr.Tensor, mr.Tensor]


@pytest.fixture
def device() -> Iterator[Any]:
    with fake.installed() as device:
        yield device


def network(device: Any = "cpu") -> mr.nn.Module:
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(1, 2, 3), mr.nn.BatchNorm2d(2), mr.nn.ReLU(), mr.nn.Flatten()
    return mr.nn.Sequential(*layers, mr.nn.Linear(72, 10)).to(device)


def batches(count: int = 6, spoilt: int | None = None) -> list[Batch]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 5, 1, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 10, (count, 5))
    if spoilt is not None:
        images[spoilt, 2, 0, 0, 0] = np.inf
    return [(mr.tensor(x), mr.tensor(y)) for x, y in zip(images, labels, strict=True)]


class RateOfEachStep(Callback):
    """Raises the learning rate after every step, at last beyond all measure."""

    def on_step(self, trainer: Trainer, step: int) -> None:
        trainer.optimizer.param_groups[0]["lr"] = 0.1 if step < 3 else 3e38


def trainer_of(model: mr.nn.Module, *callbacks: Callback, **options: Any) -> Trainer:
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Trainer(model, optimizer, callbacks=callbacks, **options)


def diverged(trainer: Trainer, data: list[Batch]) -> DivergedError:
    with pytest.raises(DivergedError) as caught:
        trainer.fit(data, 1)
    return caught.value


@pytest.mark.parametrize(
    ("options", "spoilt"),
    [
        ({}, None),
        ({"graph": True}, 4),
        pytest.param({"graph": True}, None, marks=pytest.mark.long),
        pytest.param({}, 4, marks=pytest.mark.long),
        pytest.param({"look_every": 4}, None, marks=pytest.mark.long),
        pytest.param({"look_every": 4}, 4, marks=pytest.mark.long),
    ],
)
def test_divergence_is_noticed_late_and_told_as_if_it_had_been_seen_at_once(
    device: Any, options: dict[str, Any], spoilt: int | None
) -> None:
    data = batches(spoilt=spoilt)
    callbacks = [] if spoilt else [RateOfEachStep()]
    at_once = trainer_of(network(device), *callbacks, look_every=1)
    late = trainer_of(network(device), *callbacks, **options)

    expected, found = diverged(at_once, data), diverged(late, data)

    for name in ("step", "epoch", "last_finite_step", "cause", "op", "module", "parameter"):
        assert getattr(found, name) == getattr(expected, name), name
    assert late.step == at_once.step == found.step - 1
    assert late.history.loss == at_once.history.loss
    state = at_once.model.state_dict()
    for name, value in late.model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name].numpy(), err_msg=name)


def test_a_divergence_that_does_not_come_again_is_still_told_with_its_step(device: Any) -> None:
    class Meddler(Callback):
        def on_step(self, trainer: Trainer, step: int) -> None:
            if step == 2:
                next(trainer.model.parameters()).copy_(float("nan"))

    error = diverged(trainer_of(network(device), Meddler()), batches())

    assert (error.step, error.cause, error.last_finite_step) == (3, "unknown", 2)
    assert "look_every=1" in str(error)


def test_asking_for_the_history_waits_and_keeping_its_list_does_not(device: Any) -> None:
    class Asking(Callback):
        def __init__(self) -> None:
            self.asked: list[int] = []
            self.kept: list[int] = []
            self.looks: list[int] = []

        def on_look(self, trainer: Trainer, step: int) -> None:
            self.looks.append(step)

        def on_step(self, trainer: Trainer, step: int) -> None:
            self.kept.append(len(kept))
            if step == 3:
                self.asked.append(len(trainer.history.loss))

    asking = Asking()
    trainer = trainer_of(network(device), asking, look_every=4)
    kept = trainer.history.loss
    trainer.fit(batches(), 1)

    assert asking.asked == [3]
    assert asking.kept == [0, 0, 0, 3, 3, 3]
    assert asking.looks == [3, 6]


def test_an_interrupted_epoch_does_not_count_in_the_next_ones_means(device: Any) -> None:
    class Interrupt(Callback):
        def on_step(self, trainer: Trainer, step: int) -> None:
            if step == 2:
                raise KeyboardInterrupt

    trainer = trainer_of(network(device), Interrupt())
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(batches(), 1)
    history = trainer.fit(batches(), 1)

    assert len(history.loss) == 2 + 6
    assert history.images == [30]
    assert history.epoch_loss == [pytest.approx(np.mean(history.loss[2:]))]


def test_a_rewound_adam_counts_its_steps_anew(device: Any) -> None:
    errors = []
    for look_every in (1, 64):
        model = network(device)
        optimizer = mr.optim.Adam(model.parameters(), lr=0.1)
        trainer = Trainer(model, optimizer, look_every=look_every)
        trainer.fit(batches(2), 1)
        errors.append(diverged(trainer, batches(spoilt=3)))
        errors.append(optimizer.state_dict()["state"][0]["step"])

    assert errors[1] == errors[3] == 5
    assert errors[0].step == errors[2].step == 6


def test_on_the_cpu_every_step_is_looked_at() -> None:
    class Looks(Callback):
        def __init__(self) -> None:
            self.steps: list[int] = []

        def on_look(self, trainer: Trainer, step: int) -> None:
            self.steps.append(step)

    looks = Looks()
    trainer_of(network(), looks, look_every=4).fit(batches(), 1)

    assert looks.steps == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("graph", [False, True])
def test_gradient_norms_are_measured_there_and_read_with_the_losses(
    device: Any, graph: bool
) -> None:
    data = [tuple(tensor.to(device) for tensor in batch) for batch in batches()]
    here, there = network(), network(device)
    expected, found = GradientNorms(here, every=2), GradientNorms(there, every=2)
    trainer_of(here, expected).fit(batches(), 1)

    with fake.strict(), fake.counting() as counts:
        trainer_of(there, found, graph=graph).fit(data, 1)

    assert found.steps == expected.steps == [1, 3, 5]
    np.testing.assert_allclose(found.norms, expected.norms, rtol=1e-4)
    assert len(counts.downloads) == 1 + 3
