"""Batches in parts, clipped gradients, and who may change gradients before they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import Callback, DivergedError, Measured, Trainer
from tests.devices.cuda import fake

Batch = tuple[mr.Tensor, mr.Tensor]


def network(device: Any = "cpu", dtype: str = "float64") -> mr.nn.Module:
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(1, 2, 3), mr.nn.ReLU(), mr.nn.Flatten(), mr.nn.Linear(72, 10)
    return mr.nn.Sequential(*layers).to(dtype).to(device)


def batches(count: int = 3, size: int = 7, dtype: str = "float64") -> list[Batch]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, size, 1, 8, 8)).astype(dtype)
    labels = rng.integers(0, 10, (count, size))
    return [(mr.tensor(x), mr.tensor(y)) for x, y in zip(images, labels, strict=True)]


def trainer_of(model: mr.nn.Module, *callbacks: Callback, **options: Any) -> Trainer:
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Trainer(model, optimizer, callbacks=callbacks, **options)


def weights(model: mr.nn.Module) -> list[Any]:
    return [parameter.numpy().copy() for parameter in model.parameters()]


class Norms(Callback):
    """The norm of the whole gradient: complete, and as it was used."""

    def __init__(self) -> None:
        self.before: list[float] = []
        self.after: list[float] = []

    @staticmethod
    def norm(trainer: Trainer) -> float:
        gradients: list[Any] = [parameter.grad for parameter in trainer.model.parameters()]
        return float(np.linalg.norm(np.concatenate([g.numpy().ravel() for g in gradients])))

    def on_gradients(self, trainer: Trainer, step: int) -> None:
        assert step == trainer.step + 1
        self.before.append(self.norm(trainer))

    def on_step(self, trainer: Trainer, step: int) -> None:
        self.after.append(self.norm(trainer))


@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("accumulate", [2, 3, 7, 100])
def test_a_batch_in_parts_teaches_what_the_whole_batch_teaches(
    device: Any, place: str, accumulate: int
) -> None:
    whole = trainer_of(network(place))
    parts = trainer_of(network(place), accumulate=accumulate)

    expected, found = whole.fit(batches(), 2), parts.fit(batches(), 2)

    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-13)
    assert found.epoch_error == expected.epoch_error
    assert found.images == expected.images
    for one, other in zip(weights(parts.model), weights(whole.model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-14)


def test_a_captured_step_takes_its_batch_in_parts_and_clips_as_an_eager_one(device: Any) -> None:
    options: dict[str, Any] = {"accumulate": 2, "clip_grad_norm": 0.5}
    eager = trainer_of(network(device, "float32"), **options)
    graphed = trainer_of(network(device, "float32"), graph=True, **options)

    expected = eager.fit(batches(6, dtype="float32"), 1)
    with fake.strict():
        found = graphed.fit(
            [(x.to(device), y.to(device)) for x, y in batches(6, dtype="float32")], 1
        )

    assert graphed._steps.step.is_captured  # type: ignore[union-attr]
    assert found.loss == expected.loss
    for one, other in zip(weights(graphed.model), weights(eager.model), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_loss_that_fails_in_a_later_part_leaves_the_step_untaken() -> None:
    data = batches()
    data[1][0].data[6] = np.inf
    trainer = trainer_of(network(), accumulate=3)

    with pytest.raises(DivergedError) as caught:
        trainer.fit(data, 1)

    reference = trainer_of(network(), accumulate=3)
    reference.fit(data[:1], 1)
    assert (caught.value.step, caught.value.cause) == (2, "batch")
    for one, other in zip(weights(trainer.model), weights(reference.model), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_the_whole_gradient_is_clipped_after_callbacks_saw_it(device: Any, place: str) -> None:
    norms = Norms()

    trainer_of(network(place), norms, clip_grad_norm=0.25).fit(batches(), 1)

    assert len(norms.before) == len(norms.after) == 3
    assert min(norms.before) > 0.25
    np.testing.assert_allclose(norms.after, 0.25, rtol=1e-5)


@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_what_a_callback_does_to_gradients_is_what_the_optimiser_uses(
    device: Any, place: str
) -> None:
    class Zeroed(Callback):
        def on_gradients(self, trainer: Trainer, step: int) -> None:
            assert trainer.batch_images == 7
            for parameter in trainer.model.parameters():
                assert parameter.grad is not None
                parameter.grad.copy_(0.0)

    model = network(place)
    before = weights(model)

    trainer_of(model, Zeroed()).fit(batches(), 1)

    for one, other in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_what_each_step_has_cost_is_told_before_the_look(device: Any, place: str) -> None:
    class Costs(Callback):
        def __init__(self) -> None:
            self.found: list[Measured] = []

        def on_measured(self, trainer: Trainer, measured: list[Measured]) -> None:
            self.found += measured

        def on_look(self, trainer: Trainer, step: int) -> None:
            assert [one.loss for one in self.found] == trainer.history.loss

    costs = Costs()
    history = trainer_of(network(place), costs, accumulate=2).fit(batches(), 2)

    assert len(history.loss) == 6
    assert [one.images for one in costs.found] == [7] * 6
    assert sum(one.mistakes for one in costs.found[:3]) / 21 == history.epoch_error[0]


def test_a_graph_does_not_come_by_callbacks_that_want_the_gradients(device: Any) -> None:
    trainer = trainer_of(network(device), Norms(), graph=True)

    with pytest.raises(ValueError, match="graph=True, but a callback has on_gradients"):
        trainer.fit(batches(), 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"accumulate": 0}, "accumulate must be at least 1, found 0"),
        ({"clip_grad_norm": 0.0}, "clip_grad_norm must be a number above 0, found 0.0"),
        ({"clip_grad_norm": float("nan")}, "clip_grad_norm must be a number above 0, found nan"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        trainer_of(network(), **options)


@pytest.mark.parametrize("options", [{}, {"graph": True}, {"accumulate": 2}, {"look_every": 1}])
def test_soft_labels_teach_on_a_gpu_what_they_teach_here(
    device: Any, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(1)
    data = [(x, mr.tensor(rng.dirichlet(np.ones(10), 7))) for x, _ in batches(5)]
    here = trainer_of(network())
    there = trainer_of(network(device), **options)

    expected, found = here.fit(data, 1), there.fit(data, 1)

    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-12)
    assert found.epoch_error == expected.epoch_error


def test_the_mistakes_of_one_hot_soft_labels_are_those_of_the_classes() -> None:
    data = batches(2)
    soft = [(x, mr.tensor(np.eye(10)[y.numpy()])) for x, y in data]

    hard, mixed = trainer_of(network()).fit(data, 1), trainer_of(network()).fit(soft, 1)

    assert hard.epoch_error == mixed.epoch_error
    np.testing.assert_allclose(mixed.loss, hard.loss, rtol=1e-13)


def test_a_captured_step_has_soft_labels_too_without_waiting_for_them(device: Any) -> None:
    data = [
        (x.to(device), mr.tensor(np.eye(10, dtype="float32")[y.numpy()]).to(device))
        for x, y in batches(5, dtype="float32")
    ]
    trainer = trainer_of(network(device, "float32"), graph=True)

    with fake.strict(), fake.counting() as counts:
        trainer.fit(data, 1)

    assert trainer._steps.step.is_captured  # type: ignore[union-attr]
    assert len(counts.downloads) == 1
