"""A trainer that is saved at any step and loaded elsewhere goes on to the same bits."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.data import DataLoader, TensorDataset
from minires.data.transforms import MixUp
from minires.training import Callback, Trainer
from tests.devices.cuda import fake

Batch = tuple[mr.Tensor, mr.Tensor]


def network(device: Any = "cpu", dropout: float = 0.5) -> mr.nn.Module:
    """A network with running statistics and random numbers of its own."""
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(1, 2, 3), mr.nn.BatchNorm2d(2), mr.nn.ReLU(), mr.nn.Flatten()
    return mr.nn.Sequential(*layers, mr.nn.Dropout(dropout), mr.nn.Linear(72, 10)).to(device)


def data(count: int = 14) -> TensorDataset:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 1, 8, 8)).astype(np.float32)
    return TensorDataset(images, rng.integers(0, 10, count))


def validation() -> list[Batch]:
    return list(DataLoader(data(4), batch_size=2))


class Counted(DataLoader):
    """Shuffled, mixed batches from a worker; says how many were asked for."""

    def __init__(self, count: int = 14) -> None:
        mixup = MixUp(1.0, classes=10)
        super().__init__(data(count), 5, shuffle=True, seed=3, mixup=mixup, num_workers=1)
        self.drawn = 0

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            self.drawn += 1
            yield batch


def trainer_of(
    kind: str = "SGD",
    *callbacks: Callback,
    device: Any = "cpu",
    dropout: float = 0.5,
    **options: Any,
) -> Trainer:
    model = network(device, dropout)
    more = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(mr.optim, kind)(model.parameters(), lr=0.05, weight_decay=1e-3, **more)
    decay = mr.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    return Trainer(model, optimizer, decay, callbacks, **options)


class Saving(Callback):
    """Saves the trainer's state after one step, to files, as a run does."""

    def __init__(self, step: int, folder: Path) -> None:
        self.step = step
        self.folder = folder

    def on_step(self, trainer: Trainer, step: int) -> None:
        if step == self.step:
            save(trainer.state_dict(), self.folder)


def save(state: dict[str, Any], folder: Path) -> None:
    tensors = {f"model.{name}": value for name, value in state.pop("model").items()}
    for number, remembered in state["optimizer"]["state"].items():
        for key, value in list(remembered.items()):
            if isinstance(value, mr.Tensor):
                tensors[f"optimizer.{number}.{key}"] = remembered.pop(key)
    mr.save(tensors, folder / "tensors.safetensors")
    (folder / "state.json").write_text(json.dumps(state))


def saved(folder: Path) -> dict[str, Any]:
    state = json.loads((folder / "state.json").read_text())
    tensors = mr.load(folder / "tensors.safetensors")
    state["model"] = {}
    by_number = state["optimizer"]["state"]
    state["optimizer"]["state"] = {int(number): kept for number, kept in by_number.items()}
    for name, value in tensors.items():
        part, _, rest = name.partition(".")
        if part == "model":
            state["model"][rest] = value
        else:
            number, _, key = rest.partition(".")
            state["optimizer"]["state"][int(number)][key] = value
    return state


def weights(trainer: Trainer) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in trainer.model.state_dict().items()}


def assert_alike(found: Trainer, expected: Trainer) -> None:
    assert (found.step, found.epoch, found.batch) == (expected.step, expected.epoch, expected.batch)
    theirs = weights(expected)
    for name, value in weights(found).items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
    for name in vars(found.history):
        if name != "seconds":
            assert getattr(found.history, name) == getattr(expected.history, name), name


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_going_on_after_any_step_ends_at_the_bits_of_the_uninterrupted_run(
    kind: str, step: int, tmp_path: Path
) -> None:
    whole = trainer_of(kind, Saving(step, tmp_path))
    whole.fit(Counted(), 3, validation=validation())

    mr.manual_seed(99)
    resumed, loader = trainer_of(kind), Counted()
    mr.manual_seed(77)
    resumed.load_state_dict(saved(tmp_path))
    assert resumed.step == step
    resumed.fit(loader, 3 - resumed.epoch, validation=validation())

    assert loader.drawn == 9 - step
    assert_alike(resumed, whole)
    assert all(seconds > 0 for seconds in resumed.history.seconds)


def test_a_plain_list_of_batches_goes_on_where_it_was(tmp_path: Path) -> None:
    batches = list(DataLoader(data(), batch_size=5))
    whole = trainer_of("SGD", Saving(5, tmp_path))
    whole.fit(batches, 2)

    resumed = trainer_of()
    resumed.load_state_dict(saved(tmp_path))
    resumed.fit(batches, 1)

    assert_alike(resumed, whole)


def test_an_epoch_has_its_own_order_whatever_else_went_through_the_loader() -> None:
    def losses(looks: int) -> list[float]:
        loader, trainer = DataLoader(data(), 5, shuffle=True, seed=3), trainer_of()
        for _ in range(2):
            trainer.fit(loader, 1)
            for _ in range(looks):
                trainer.evaluate(loader)
        return trainer.history.loss

    assert losses(looks=2) == losses(looks=0)


@pytest.mark.parametrize("options", [{}, {"look_every": 2}, {"graph": True, "dropout": 0.0}])
def test_a_gpu_that_runs_ahead_goes_on_to_the_same_bits(
    options: dict[str, Any], tmp_path: Path
) -> None:
    with fake.installed() as device:
        whole = trainer_of("SGD", Saving(4, tmp_path), device=device, **options)
        whole.fit(Counted(15), 3)

        resumed = trainer_of("SGD", device=device, **options)
        resumed.load_state_dict(saved(tmp_path))
        resumed.fit(Counted(15), 2)

        assert_alike(resumed, whole)


def test_a_state_says_what_it_lacks() -> None:
    trainer = trainer_of()
    state = trainer.state_dict()

    with pytest.raises(ValueError, match="expected a state of version 1, found 0"):
        trainer.load_state_dict({**state, "version": 0})
    with pytest.raises(ValueError, match="the trainer has a scheduler, the saved state has none"):
        trainer.load_state_dict({**state, "scheduler": None})
    with pytest.raises(ValueError, match="nothing was copied"):
        trainer.load_state_dict({**state, "model": {}})


@pytest.mark.parametrize(
    ("part", "wrong", "told"),
    [
        ("optimizer", lambda state: {**state, "param_groups": []}, "the saved groups have"),
        ("scheduler", lambda state: {**state, "base_lrs": [1.0, 2.0]}, "2 parameter groups"),
        ("scheduler", lambda state: {**state, "rates": [1.0]}, "of another kind: .* 'rates'"),
        ("ema", lambda state: {**state, "averages": {}}, "do not fit the model's state"),
        ("random", lambda state: {**state, "seed": -1}, "integer >= 0"),
    ],
)
def test_a_state_is_loaded_as_a_whole_or_not_at_all(part: str, wrong: Any, told: str) -> None:
    def made(rate: float) -> Trainer:
        trainer = trainer_of()
        trainer.ema = mr.training.EMA(trainer.model)
        trainer.optimizer.param_groups[0]["lr"] = rate
        trainer.fit(Counted(), 1)
        return trainer

    saved, own = made(0.1).state_dict(), made(0.2)
    own.optimizer.param_groups[0]["lr"] = 0.123  # by hand, which the schedule does not know
    before = copy.deepcopy(own.state_dict())

    with pytest.raises(ValueError, match=told):
        own.load_state_dict({**saved, part: wrong(saved[part])})

    np.testing.assert_equal(_plain(own.state_dict()), _plain(before))


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.numpy() if isinstance(state, mr.Tensor) else state


def test_an_optimiser_says_that_a_state_is_another_ones() -> None:
    saved = trainer_of("SGD").state_dict()
    with pytest.raises(ValueError, match=r"Adam: the saved groups lack .* another optimiser"):
        trainer_of("Adam").load_state_dict(saved)


def test_a_diverged_step_does_not_count_among_the_batches_that_are_done() -> None:
    with fake.installed() as device:
        batches = list(DataLoader(data(20), batch_size=5))
        batches[2][0].data[0] = np.nan
        trainer = trainer_of(device=device)
        with pytest.raises(mr.training.DivergedError):
            trainer.fit(batches, 1)

        assert (trainer.step, trainer.batch) == (2, 2)
        assert trainer.state_dict()["measured"][0][2] == 5


def test_a_broken_off_loop_closes_the_loader_at_once() -> None:
    closed = []

    def batches() -> Iterator[Batch]:
        try:
            yield from DataLoader(data(), batch_size=5)
        finally:
            closed.append(True)

    class Stop(Callback):
        def on_step(self, trainer: Trainer, step: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as kept:
        trainer_of("SGD", Stop()).fit(batches(), 1)

    assert closed
    assert kept.value.__traceback__ is not None
