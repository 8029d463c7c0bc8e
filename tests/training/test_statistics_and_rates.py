"""Precise statistics, the range test of learning rates, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import Trainer, lr_find, precise_batch_norm

Batch = tuple[mr.Tensor, mr.Tensor]


def network(device: Any = "cpu") -> mr.nn.Module:
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(1, 2, 3), mr.nn.BatchNorm2d(2), mr.nn.ReLU(), mr.nn.Flatten()
    return mr.nn.Sequential(*layers, mr.nn.Dropout(0.5), mr.nn.Linear(72, 10)).to(device)


def batches(count: int = 4, size: int = 6) -> list[Batch]:
    rng = np.random.default_rng(0)
    return [
        (
            mr.tensor(rng.standard_normal((size, 1, 8, 8)).astype(np.float32)),
            mr.tensor(rng.integers(0, 10, size)),
        )
        for _ in range(count)
    ]


def values(model: mr.nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def assert_unchanged(model: mr.nn.Module, before: dict[str, Any]) -> None:
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


# Precise statistics.


@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("number", [None, 2])
def test_statistics_become_the_means_of_the_batches_statistics(
    device: Any, place: str, number: int | None
) -> None:
    model = network(place)
    norm: Any = model[1]
    norm.running_mean.copy_(7.0)
    norm.num_batches_tracked.copy_(3)
    inputs = [model[0](images.to(norm.weight.device)) for images, _ in batches()][:number]

    used = precise_batch_norm(model, batches(), number)

    assert used == len(inputs)
    arrays = [x.detach().to("cpu").numpy().astype("float64") for x in inputs]
    mean = np.mean([x.mean((0, 2, 3)) for x in arrays], 0)
    variance = np.mean([x.var((0, 2, 3), ddof=0) * 216 / 215 for x in arrays], 0)
    np.testing.assert_allclose(norm.running_mean.numpy(), mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.running_var.numpy(), variance, rtol=1e-4)
    assert norm.num_batches_tracked.item() == 3
    assert norm.momentum == 0.1
    assert all(module.training for module in model.modules())


def test_deeper_layers_see_what_training_would_show_them_without_dropout() -> None:
    found = []
    for _ in range(2):
        mr.manual_seed(0)
        layers = mr.nn.Dropout(0.5), mr.nn.Linear(3, 3), mr.nn.BatchNorm1d(3)
        model = mr.nn.Sequential(*layers)
        rng = np.random.default_rng(0)
        data = [(mr.tensor(rng.standard_normal((8, 3)).astype(np.float32)),)]
        mr.manual_seed(len(found))
        precise_batch_norm(model, data)
        found.append(model[2].running_mean.numpy().copy())

    np.testing.assert_array_equal(found[0], found[1])


def test_measuring_that_is_broken_off_changes_nothing() -> None:
    model = mr.nn.BatchNorm1d(1)

    def broken() -> Iterator[tuple[mr.Tensor]]:
        yield (mr.tensor([[1.0], [3.0]]),)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        precise_batch_norm(model, broken())
    state = {name: value.item() for name, value in model.state_dict().items()}
    assert state["running_mean"] == 0
    assert (state["running_var"], state["num_batches_tracked"], model.momentum) == (1, 0, 0.1)


def test_nothing_to_measure_with_changes_nothing() -> None:
    model = network()
    before = values(model)

    with pytest.raises(ValueError, match="the loader yields no batch"):
        precise_batch_norm(model, [])
    with pytest.raises(ValueError, match="batches must be at least 1, found 0"):
        precise_batch_norm(model, batches(), 0)

    assert_unchanged(model, before)
    assert precise_batch_norm(mr.nn.Linear(1, 1), []) == 0


# Rates.


@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_the_range_test_finds_a_rate_at_which_the_loss_falls_and_puts_all_back(
    device: Any, place: str, kind: str
) -> None:
    model = network(place)
    options = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(mr.optim, kind)(model.parameters(), lr=0.03, **options)
    Trainer(model, optimizer).fit(batches(), 1)
    state, drawn = values(model), mr.devices.random.state()
    momenta = [
        {key: np.copy(value.numpy()) for key, value in own.items() if isinstance(value, mr.Tensor)}
        for own in optimizer.state_dict()["state"].values()
    ]

    curve = lr_find(model, optimizer, batches(2), start=1e-4, end=100.0, steps=60)

    assert_unchanged(model, state)
    assert mr.devices.random.state() == drawn
    assert optimizer.param_groups[0]["lr"] == 0.03
    for own, before in zip(optimizer.state_dict()["state"].values(), momenta, strict=True):
        for key, value in before.items():
            np.testing.assert_array_equal(own[key].numpy(), value)
    assert curve.suggestion is not None
    assert curve.suggestion in curve.lrs
    assert curve.lrs[0] == 1e-4
    np.testing.assert_allclose(np.diff(np.log(curve.lrs)), np.log(1e6) / 59)
    assert min(curve.smoothed) < curve.smoothed[0]
    assert len(curve.lrs) == len(curve.losses) == len(curve.smoothed) < 60


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    model = network()

    def rising(logits: mr.Tensor, labels: mr.Tensor) -> mr.Tensor:
        rising.calls += 1  # type: ignore[attr-defined]
        return (logits * 0.0).sum() + rising.calls  # type: ignore[attr-defined]

    rising.calls = 0  # type: ignore[attr-defined]
    optimizer = mr.optim.SGD(model.parameters())

    assert lr_find(model, optimizer, batches(1), loss=rising, steps=12).suggestion is None


def test_what_the_first_batch_cost_does_not_count_as_a_fall() -> None:
    model, told = network(), iter([4.3] + [4.0] * 29 + [3.8 - 0.1 * n for n in range(20)])

    def falling(logits: mr.Tensor, labels: mr.Tensor) -> mr.Tensor:
        return (logits * 0.0).sum() + next(told)

    optimizer = mr.optim.SGD(model.parameters())
    curve = lr_find(model, optimizer, batches(1), loss=falling, steps=50)

    assert curve.suggestion is not None
    assert curve.suggestion >= curve.lrs[30]


@pytest.mark.parametrize("steps", [10, 40])
def test_rates_that_are_too_low_to_teach_anything_suggest_nothing(steps: int) -> None:
    model = network()
    for data in (batches(2), batches()[:1]):  # losses that scatter, and one that hardly falls
        optimizer = mr.optim.SGD(model.parameters(), momentum=0.9)
        found = lr_find(model, optimizer, data, start=1e-9, end=1e-7, steps=steps)
        assert (len(found.lrs), found.suggestion) == (steps, None)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"start": 0.0}, "the rates must rise from above 0, found start=0.0"),
        ({"start": 2.0, "end": 1.0}, "the rates must rise"),
        ({"steps": 9}, "steps must be at least 10, found 9"),
        ({}, "the loader yields no batch"),
    ],
)
def test_a_range_test_that_makes_no_sense_is_refused(options: dict[str, Any], told: str) -> None:
    model = network()
    with pytest.raises(ValueError, match=told):
        lr_find(model, mr.optim.SGD(model.parameters()), [], **options)


# The confusion matrix.


@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("soft", [False, True])
def test_an_evaluation_counts_what_was_taken_for_what(device: Any, place: str, soft: bool) -> None:
    model = network(place)
    trainer = Trainer(model, mr.optim.SGD(model.parameters()))
    data = batches()
    shown = [(x, mr.tensor(np.eye(10)[y.numpy()])) for x, y in data] if soft else data

    found = trainer.evaluate(shown, confusion=True)

    assert found.confusion is not None
    assert found.confusion.sum() == found.images == 24
    labels = np.concatenate([y.numpy() for _, y in data])
    np.testing.assert_array_equal(found.confusion.sum(1), np.bincount(labels, minlength=10))
    assert 1 - np.trace(found.confusion) / 24 == pytest.approx(found.error)
    assert trainer.evaluate(data).confusion is None
