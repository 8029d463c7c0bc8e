"""What ranks do in the tests: as threads here, and as processes of `mpiexec`."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr
from minires.data import DataLoader, TensorDataset
from minires.training import Trainer


def data(images: int, seed: int = 0, dtype: str = "float64") -> TensorDataset:
    rng = np.random.default_rng(seed)
    pixels, labels = rng.standard_normal((images, 3, 8, 8)), rng.integers(0, 5, images)
    return TensorDataset(pixels.astype(dtype), labels)


def network(sync: Any = None, **options: Any) -> mr.nn.Module:
    with mr.devices.random.seeded(1):  # of this thread
        model = mr.models.cifar_resnet(8, shortcut="B", width=4, num_classes=5, **options)
    model.to("float64")
    return model if sync is None else mr.nn.convert_sync_batchnorm(model, sync)


def loader_of(dataset: TensorDataset, batch: int, ranks: Any = None) -> DataLoader:
    own = {} if ranks is None else {"rank": ranks.rank, "ranks": ranks.size}
    return DataLoader(dataset, batch, shuffle=True, seed=5, **own)


def trained(
    ranks: Any = None,
    *,
    model: mr.nn.Module | None = None,
    images: int = 50,
    batch: int = 12,
    epochs: int = 2,
    **options: Any,
) -> dict[str, Any]:
    """Train a network with synchronised statistics; return all that came of it, as arrays."""
    if model is None:
        model = network(sync=ranks)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    trainer = Trainer(model, optimizer, communicator=ranks, **options)
    validation = loader_of(data(21, seed=1), 8, ranks)
    history = trainer.fit(loader_of(data(images), batch, ranks), epochs, validation)
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    measured = {
        "loss": history.loss,
        "epoch_loss": history.epoch_loss,
        "epoch_error": history.epoch_error,
        "images": history.images,
        "validation_loss": history.validation_loss,
        "validation_error": history.validation_error,
    }
    return state | {name: np.array(values) for name, values in measured.items()}


def assert_equal_runs(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal to float64's rounding, which 10 steps of a network make larger."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11, err_msg=name)
