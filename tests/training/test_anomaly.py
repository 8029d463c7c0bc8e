"""A trainer that looks for anomalies stops at the op whose value or gradient is no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import DivergedError, Trainer

Batch = tuple[mr.Tensor, mr.Tensor]


class Root(mr.nn.Module):
    """A square root, whose gradient at 0 is infinite though its value is a number."""

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return mr.sqrt(x - x.detach())


class Hidden(mr.nn.Module):
    """Makes a NaN that no loss sees."""

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return mr.where(x.detach().data > -1e9, x, mr.log(x * 0.0 - 1.0))


def network(middle: mr.nn.Module, device: Any = "cpu") -> mr.nn.Module:
    mr.manual_seed(0)
    layers = mr.nn.Linear(3, 4), mr.nn.BatchNorm1d(4), middle, mr.nn.Dropout(0.5)
    return mr.nn.Sequential(*layers, mr.nn.Linear(4, 3)).to(device)


def batches() -> list[Batch]:
    rng = np.random.default_rng(0)
    return [
        (
            mr.tensor(rng.standard_normal((6, 3)).astype(np.float32)),
            mr.tensor(rng.integers(0, 3, 6)),
        )
        for _ in range(3)
    ]


def trainer_of(model: mr.nn.Module, **options: Any) -> Trainer:
    return Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1), **options)


def values(model: mr.nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("place", ["cpu", "cuda"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_gradient_that_is_no_number_is_traced_to_its_op_and_the_step_is_not_taken(
    device: Any, place: str, accumulate: int
) -> None:
    model = network(Root(), place)
    trainer = trainer_of(model, anomaly=True, accumulate=accumulate)
    before, drawn = values(model), mr.devices.random.state()

    with pytest.raises(DivergedError) as caught:
        trainer.fit(batches(), 1)

    error = caught.value
    assert (error.cause, error.op, error.module, error.step) == ("gradient", "sqrt", "2", 1)
    assert np.isfinite(error.loss)
    assert "of the gradient for its input 'x'" in str(error)
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert mr.devices.random.state() == drawn


def test_without_the_mode_the_next_step_finds_parameters_that_are_no_numbers() -> None:
    with pytest.raises(DivergedError) as caught:
        trainer_of(network(Root())).fit(batches(), 1)

    assert (caught.value.cause, caught.value.step) == ("parameter", 2)


def test_a_value_that_is_no_number_is_found_though_the_loss_is_finite() -> None:
    with pytest.raises(DivergedError) as caught:
        trainer_of(network(Hidden()), anomaly=True).fit(batches(), 1)

    assert (caught.value.cause, caught.value.op, caught.value.module) == ("op", "log", "2")
    assert np.isfinite(trainer_of(network(Hidden())).fit(batches()[:1], 1).loss).all()


def test_where_nothing_is_wrong_the_mode_changes_no_loss() -> None:
    found, expected = (
        trainer_of(network(mr.nn.Tanh()), anomaly=anomaly).fit(batches(), 2).loss
        for anomaly in (True, False)
    )

    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_batch_that_holds_the_nan_is_named_as_ever() -> None:
    data = batches()
    data[1][0].data[2] = np.nan

    with pytest.raises(DivergedError) as caught:
        trainer_of(network(mr.nn.Tanh()), anomaly=True).fit(data, 1)

    assert (caught.value.cause, caught.value.step) == ("batch", 2)


def test_a_graph_shows_nobody_its_values(device: Any) -> None:
    with pytest.raises(ValueError, match="graph=True, anomaly=True"):
        trainer_of(network(mr.nn.Tanh(), device), anomaly=True, graph=True)
