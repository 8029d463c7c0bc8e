"""What stands around the device: training, files, errors and the command line, on the stand-in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.cli import main
from minires.data import TensorDataset
from minires.lab import Comparison, Settings, device_floor, speed
from minires.training.gradient_norms import norms_on
from tests.devices.cuda import fake


@pytest.fixture(autouse=True)
def device() -> Iterator[Any]:
    with fake.installed() as device:
        yield device


def test_a_comparison_of_twins_is_trained_on_the_device() -> None:
    comparison = Comparison(Settings(depths=(8,), epochs=1, width=1, device="cuda"))
    few = TensorDataset(*comparison.split.train.take(range(32)))
    comparison.split = dataclasses.replace(comparison.split, train=few, test=few)
    with fake.counting() as counts:
        comparison.train()

    assert counts.launches
    assert {run.name for run in comparison.runs} == {"plain-8", "residual-8"}
    assert all(isinstance(w, np.ndarray) for w in comparison.runs[0].weights.values())


def test_the_norms_of_all_gradients_are_measured_without_a_copy(device: Any) -> None:
    host = [np.random.default_rng(n).standard_normal(n + 2).astype("f4") for n in range(5)]
    tensors = [None, *(mr.tensor(each, device="cuda") for each in host)]
    with fake.counting() as counts, fake.strict():
        found = norms_on(device, tensors)

    assert not counts.downloads
    np.testing.assert_allclose(found.get(), [0, *map(np.linalg.norm, host)], rtol=1e-6)


def test_squares_of_large_and_tiny_gradients_neither_over_nor_underflow(device: Any) -> None:
    tensors = [mr.tensor([3 * size, 4 * size], device="cuda") for size in (1e30, 1e-30)]

    np.testing.assert_allclose(norms_on(device, tensors).get(), [5e30, 5e-30], rtol=1e-6)


def test_operands_on_two_devices_are_named_with_what_to_do() -> None:
    here, there = mr.ones(2, 2), mr.ones(2, 2, device="cuda")

    for compute in (
        lambda: here + there,
        lambda: there @ here,
        lambda: mr.ops.maximum(there, here),
    ):
        with pytest.raises(TypeError, match="operands are on different devices"):
            compute()


def test_the_representation_names_the_device() -> None:
    assert repr(mr.ones(2, device="cuda")) == "tensor([1., 1.], device='cuda:0')"
    assert repr(mr.ones(2)) == "tensor([1., 1.])"


def test_a_model_goes_through_a_file_and_comes_back_to_the_device(tmp_path: Path) -> None:
    model = mr.nn.Linear(3, 2).to("cuda")
    mr.save(model.state_dict(), tmp_path / "model.safetensors")
    other = mr.nn.Linear(3, 2).to("cuda")
    other.load_state_dict(mr.load(tmp_path / "model.safetensors"))

    assert other.weight.device.name == "cuda:0"
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())


def test_batches_from_the_host_are_moved_by_the_trainer_and_divergence_is_found() -> None:
    model = mr.models.cifar_resnet(8, width=1).to("cuda")
    trainer = mr.training.Trainer(model, mr.optim.SGD(model.parameters(), lr=1e30))

    with pytest.raises(mr.training.DivergedError, match="training diverged at step 2"):
        trainer.fit([(mr.randn(2, 3, 8, 8), mr.tensor([0, 1]))] * 3, epochs=1)


@pytest.mark.long
def test_bench_names_the_device_and_measures_its_own_floor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"sgemm_gflops": 1.0, "copy_gbps": 1.0}
    monkeypatch.setattr(speed, "device_speed", lambda device: rates)
    monkeypatch.setattr(device_floor, "_COPIED", 1 << 20)

    words = ["--depth", "8", "--batch", "2", "--rounds", "1", "--json"]
    assert main(["bench", "--device", "cuda", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["device"] == "cuda:0"
    assert told["machine"] == {"cuda:0": rates}
    assert told["parts"]["convolution"] > 0


def test_a_module_takes_its_gradients_along() -> None:
    model = mr.nn.Linear(3, 2)
    model(mr.ones(1, 3)).sum().backward()
    expected = model.weight.grad.numpy()
    model.to("cuda")

    assert model.weight.grad.device.name == "cuda:0"
    np.testing.assert_array_equal(model.weight.grad.numpy(), expected)
    model(mr.ones(1, 3, device="cuda")).sum().backward()
    np.testing.assert_array_equal(model.weight.grad.numpy(), 2 * expected)
