from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import EMA, Callback, DivergedError, Trainer

Batch = tuple[mr.Tensor, mr.Tensor]


def network(device: Any = "cpu") -> mr.nn.Module:
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(1, 2, 3), mr.nn.BatchNorm2d(2), mr.nn.Flatten(), mr.nn.Linear(72, 10)
    return mr.nn.Sequential(*layers).to(device)


def batches(count: int = 6) -> list[Batch]:
    rng = np.random.default_rng(0)
    return [
        (
            mr.tensor(rng.standard_normal((5, 1, 8, 8)).astype(np.float32)),
            mr.tensor(rng.integers(0, 10, 5)),
        )
        for _ in range(count)
    ]


def trainer_of(*callbacks: Callback, device: Any = "cpu", **options: Any) -> Trainer:
    model = network(device)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    return Trainer(model, optimizer, None, callbacks, ema=EMA(model, decay=0.5), **options)


def values(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in state.items()}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in values(found).items():
        np.testing.assert_array_equal(value, expected[name].numpy(), err_msg=name)


def averages(trainer: Trainer) -> dict[str, Any]:
    assert trainer.ema is not None
    return trainer.ema.averages


@pytest.mark.parametrize("place", ["cpu", "cuda"])
def test_the_average_follows_every_step_by_the_formula(device: Any, place: str) -> None:
    class Diary(Callback):
        def __init__(self) -> None:
            self.states: list[dict[str, Any]] = []

        def on_step(self, trainer: Trainer, step: int) -> None:
            self.states.append(values(trainer.model.state_dict()))

    diary = Diary()
    trainer = trainer_of(diary, device=place)
    expected = {name: v.astype("float64") for name, v in values(averages(trainer)).items()}

    trainer.fit(batches(), 1)

    for n, state in enumerate(diary.states, start=1):
        decay = min(0.5, (1 + n) / (10 + n))
        for name, value in state.items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in values(averages(trainer)).items():
        if name.endswith("num_batches_tracked"):
            assert value == 6
        else:
            np.testing.assert_allclose(value, expected[name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_evaluation_measures_the_averages_and_gives_the_weights_back() -> None:
    trainer = trainer_of()
    trainer.fit(batches(), 1)
    own = values(trainer.model.state_dict())

    found = trainer.evaluate(batches())

    for name, value in values(trainer.model.state_dict()).items():
        np.testing.assert_array_equal(value, own[name])
    averaged = network()
    averaged.load_state_dict(averages(trainer))
    reference = Trainer(averaged, mr.optim.SGD(averaged.parameters()))
    assert found == reference.evaluate(batches())
    trainer.ema = None
    assert found != trainer.evaluate(batches())


def test_the_weights_come_back_when_the_evaluation_fails() -> None:
    model = network()
    own = values(model.state_dict())
    ema = EMA(model)
    for average in ema.averages.values():
        average.copy_(1)

    with pytest.raises(ConnectionError), ema.swapped(model):
        raise ConnectionError

    assert_same(model.state_dict(), {name: mr.tensor(value) for name, value in own.items()})


def test_the_weights_come_back_when_ctrl_c_comes_while_they_are_exchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = network()
    own = values(model.state_dict())
    ema = EMA(model)
    for average in ema.averages.values():
        average.copy_(1)
    load = model.load_state_dict

    def interrupted(state: Any) -> None:
        monkeypatch.undo()
        load(state)
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "load_state_dict", interrupted)
    with pytest.raises(KeyboardInterrupt), ema.swapped(model):
        pytest.fail("the exchange was not complete")

    assert_same(model.state_dict(), {name: mr.tensor(value) for name, value in own.items()})


@pytest.mark.parametrize("options", [{}, {"graph": True}])
def test_on_a_gpu_the_average_is_that_of_steps_one_by_one_also_when_some_are_undone(
    device: Any, options: dict[str, Any]
) -> None:
    data = batches()
    data[4][0].data[0] = np.inf
    one_by_one, ahead = (
        trainer_of(device=device, look_every=1),
        trainer_of(device=device, **options),
    )

    for trainer in (one_by_one, ahead):
        with pytest.raises(DivergedError):
            trainer.fit(data, 1)

    assert_same(averages(ahead), averages(one_by_one))
    assert ahead.ema is not None
    assert ahead.ema.updates == 4


def test_a_state_that_was_saved_goes_on_to_the_same_average() -> None:
    whole, first, second = trainer_of(), trainer_of(), trainer_of()
    whole.fit(batches(), 2)
    first.fit(batches(), 1)

    second.load_state_dict(first.state_dict())
    second.fit(batches(), 1)

    assert_same(averages(second), averages(whole))
    with pytest.raises(ValueError, match="the saved state has a moving average, the trainer has"):
        Trainer(second.model, second.optimizer).load_state_dict(first.state_dict())


def test_what_makes_no_sense_is_refused() -> None:
    ema = EMA(network())

    with pytest.raises(ValueError, match=r"decay must lie in \[0, 1\), found 1.0"):
        EMA(network(), decay=1.0)
    with pytest.raises(ValueError, match=r"do not fit the model's state, for example '0.bias'"):
        ema.load_state_dict({"updates": 0, "averages": {}})
