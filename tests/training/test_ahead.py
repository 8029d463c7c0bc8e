"""Training that runs ahead of Python, on a GPU, tells in the end what the CPU tells at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import (
    Callback,
    DivergedError,
    GradientNorms,
    Ledger,
    Trainer,
    evaluation,
    steps,
)
from tests.devices.cuda import fake

Batch = tuple[mr.Tensor, mr.Tensor]


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

    assert looks.steps == [1, 2, 3, 4, 5, 6, 6]


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


@pytest.mark.parametrize("options", [{}, {"look_every": 1}, {"graph": True}])
@pytest.mark.parametrize("label", [99, -1])
def test_a_label_that_is_no_class_is_named_and_not_the_learning_rate(
    device: Any, options: dict[str, Any], label: int
) -> None:
    data = batches()
    data[4][1].data[1] = -100  # is ignored, and so not to blame
    data[4][1].data[3] = label

    error = diverged(trainer_of(network(device), **options), data)

    assert (error.step, error.cause, error.op) == (5, "batch", "cross_entropy")
    told = f"label {label} is out of range; with 10 logits labels go from 0 to 9"
    assert f"{told}. It belongs to row 3" in str(error)
    assert "learning rate" not in str(error)


def test_a_loss_without_any_label_that_counts_is_told_though_its_divisor_is_a_bare_array(
    device: Any,
) -> None:
    data = batches()
    data[2][1].data[:] = -100

    error = diverged(trainer_of(network(device)), data)

    assert (error.step, error.cause) == (3, "unknown")


@pytest.mark.parametrize("look_every", [1, 3, 64])
def test_gradient_norms_of_the_last_step_are_read_whenever_the_losses_were(
    device: Any, look_every: int
) -> None:
    model = network(device)
    norms = GradientNorms(model)

    trainer_of(model, norms, look_every=look_every).fit(batches(), 1)

    assert norms.steps == [1, 2, 3, 4, 5, 6]


def test_gradient_norms_of_steps_that_were_undone_are_forgotten(device: Any) -> None:
    model = network(device)
    norms = GradientNorms(model)
    trainer = trainer_of(model, norms)
    diverged(trainer, batches(spoilt=0))

    trainer.fit(batches(2), 1)

    assert norms.steps == [1, 2]


@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("within", [False, True])
def test_an_optimizer_that_was_exchanged_is_the_one_that_trains(
    device: Any, place: str, within: bool
) -> None:
    class Exchange(Callback):
        def on_step(self, trainer: Trainer, step: int) -> None:
            trainer.optimizer = mr.optim.SGD(trainer.model.parameters(), lr=0.0)
            trainer.callbacks.remove(self)

    exchange = Exchange()
    trainer = trainer_of(network(place), *[exchange] * within)
    trainer.fit(batches(1), 1)
    if not within:
        trainer.callbacks.append(exchange)
        exchange.on_step(trainer, 1)
    before = trainer.model[0].weight.numpy().copy()

    trainer.fit(batches(), 1)

    np.testing.assert_array_equal(trainer.model[0].weight.numpy(), before)
    assert len(trainer.history.loss) == 7


def test_a_step_that_was_interrupted_before_it_counted_leaves_no_row_behind(
    device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Ledger, images: int) -> None:
        raise KeyboardInterrupt

    trainer = trainer_of(network(device), look_every=4)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "count", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(batches(1), 1)
    history = trainer.fit(batches(4), 1)

    at_once = trainer_of(trainer.model, look_every=1)
    assert len(history.loss) == 4
    assert np.isfinite(at_once.fit(batches(1), 1).loss).all()


def test_a_full_ledger_is_written_no_further(device: Any) -> None:
    ledger = Ledger(device, capacity=1)
    batch = mr.tensor(0.5).to(device), mr.zeros(2, 2).to(device), mr.tensor([0, 1]).to(device)
    ledger.add(*batch)

    with pytest.raises(RuntimeError, match=r"all of its 1 rows .* read\(\)"):
        ledger.add(*batch)
    assert len(ledger.read()) == 1


def test_large_batches_are_not_kept_for_long(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Looks(Callback):
        def __init__(self) -> None:
            self.steps: list[int] = []

        def on_look(self, trainer: Trainer, step: int) -> None:
            self.steps.append(step)

    looks = Looks()
    images, labels = batches(1)[0]
    monkeypatch.setattr(steps, "KEPT_BYTES", 2 * (images.data.nbytes + labels.data.nbytes))

    trainer_of(network(device), looks).fit(batches(), 1)

    assert looks.steps == [2, 4, 6, 6]


def test_a_parameter_of_the_loss_is_put_back_too(device: Any) -> None:
    found = []
    for look_every in (1, 64):
        model, scale = network(device), mr.tensor(1.0, device=device, requires_grad=True)
        optimizer = mr.optim.SGD([*model.parameters(), scale], lr=0.1, momentum=0.9)

        def scaled(logits: mr.Tensor, labels: mr.Tensor, scale: mr.Tensor = scale) -> mr.Tensor:
            return mr.ops.cross_entropy(logits * scale, labels)

        diverged(Trainer(model, optimizer, loss=scaled, look_every=look_every), batches(spoilt=4))
        found.append(scale.item())

    assert found[0] == found[1]


def test_batches_without_images_are_no_batches() -> None:
    empty = [(mr.zeros(0, 1, 8, 8), mr.tensor(np.zeros(0, int)))]
    with pytest.raises(ValueError, match="yields no batch"):
        evaluation.evaluate(network(), mr.ops.cross_entropy, empty)
