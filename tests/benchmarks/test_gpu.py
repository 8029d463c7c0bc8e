"""The GPU benchmark where there is no GPU: its arithmetic, its table, its manners."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import gpu, results
from benchmarks.gpu import agreement, app, goals, tables
from benchmarks.gpu_floor import Work, expected_launches, floors, work_of
from benchmarks.gpu_profile import Ran, phase_of, told
from benchmarks.gpu_steps import Eager, Steps
from minires.lab import device_floor
from minires.lab.device_floor import DeviceFloor, device_speed
from minires.lab.floor import Floor, convolutions_of
from minires.models import cifar_resnet
from tests.devices.cuda import fake

ROOT = Path(results.__file__).parent.parent
GB = 1e9


@pytest.fixture(scope="module")
def resnet_20() -> Work:
    return work_of(convolutions_of(cifar_resnet(20, seed=0), (3, 32, 32)), batch=128)


def test_the_work_of_resnet_20_is_what_its_shapes_say(resnet_20: Work) -> None:
    assert resnet_20.gigaflops == pytest.approx(31.0, abs=0.05)
    assert resnet_20.columns / GB == pytest.approx(0.78, abs=0.005)
    assert resnet_20.explicit / GB == pytest.approx(4.34, abs=0.005)
    assert resnet_20.implicit / GB == pytest.approx(0.57, abs=0.005)
    assert resnet_20.normalisation / GB == pytest.approx(0.86, abs=0.005)


def test_floors_are_the_work_at_the_devices_speeds(resnet_20: Work) -> None:
    found = floors(resnet_20, copy_gbps=4000, gflops=45000)

    assert found["memory, explicit columns"] == pytest.approx(1.30, abs=0.005)
    assert found["memory, implicit"] == pytest.approx(0.36, abs=0.005)
    assert found["arithmetic"] == pytest.approx(0.69, abs=0.005)
    assert expected_launches(19) == {"explicit": 182, "implicit": 144}


@pytest.mark.parametrize(
    ("kernel", "phase"),
    [
        ("sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize64x64", "products"),
        ("nvjet_sm90_sss_128x64", "products"),
        ("void cudnn::ops::nchwToNhwcKernel<float, float>", "memory-bound"),
        ("sm90_xmma_fprop_implicit_gemm_tf32", "products"),
        ("im2col", "memory-bound"),
        ("col2im", "memory-bound"),
        ("batch_norm_apply", "memory-bound"),
        ("Memcpy DtoH (Device -> Pinned)", "copies"),
        ("Memset (Device)", "copies"),
    ],
)
def test_kernels_are_sorted_by_what_they_do(kernel: str, phase: str) -> None:
    assert phase_of(kernel) == phase


def test_what_the_kernels_leave_of_a_step_is_waiting() -> None:
    ran = [Ran("gemm", 500.0), Ran("im2col", 250.0), Ran("Memcpy DtoD", 50.0)] * 2
    found = told(ran, steps=2, step_ms=1.0)

    assert (found["launches"], found["copies"]) == (2, 1)
    expected = {"products": 0.5, "memory-bound": 0.25, "copies": 0.05, "waiting": 0.2}
    assert found["ms"] == pytest.approx(expected)


def test_losses_that_differ_are_told() -> None:
    assert agreement({"minires": [2.0, 1.0], "torch": [2.0, 1.004]}, 0.005)["agree"]
    assert not agreement({"minires": [2.0, 1.0], "torch": [2.0, 1.006]}, 0.005)["agree"]


@pytest.mark.parametrize(
    ("ratio", "word"), [(0.9, "missed"), (1.4, "missed"), (1.6, "reached"), (3.1, "moonshot")]
)
def test_a_graph_is_to_be_one_and_a_half_times_as_fast_as_eager_pytorch(
    ratio: float, word: str
) -> None:
    assert list(goals({"minires graph": {"median": ratio}})) == [
        ("minires graph", ratio, 1.5, word)
    ]


def test_the_table_tells_times_phases_floors_and_who_failed(resnet_20: Work) -> None:
    names = ("minires", "minires graph", "torch")
    times = {"minimum": 1.25, "median": 1.5, "cpu_minimum": 1.0}
    ratio = {"median": 1.75, "low": 1.5, "high": 2.0}
    profile = told([Ran("gemm", 500.0)], steps=1, step_ms=1.25)
    measured: dict[str, Any] = {
        "jobs": dict.fromkeys(names, times),
        "failed": {"torch compiled": "RuntimeError: no Triton"},
        "speedup": dict.fromkeys(names[:2], ratio),
        "agreement": agreement({}, 0.005),
        "peak_memory_mb": dict.fromkeys(names, 512.0),
        "profile": dict.fromkeys(names, profile),
        "speed": {"sgemm_gflops": 45000.0, "copy_gbps": 4000.0},
        "floor": floors(resnet_20, 4000, 45000),
    }
    console = Console(file=StringIO(), width=160)
    for table in tables(measured):
        console.print(table)
    shown = console.file.getvalue()

    for words in (
        "1.250     1.500   1.75 [1.50-2.00]   1.5 reached",
        "memory, implicit",
        "45.0 TF/s, 4.00 TB/s",
        "torch compiled: not measured: RuntimeError: no Triton",
    ):
        assert " ".join(words.split()) in " ".join(shown.split())


def test_a_result_of_a_gpu_is_named_after_it() -> None:
    where = {"processor": "Any", "processors": 2, "gpu": "NVIDIA H1 (80 GB)"}
    result = {"environment": where, "date": "2026-01-02"}

    assert results.file_name(result) == "nvidia-h1-80-gb-2026-01-02.json"


def test_without_a_gpu_it_says_what_is_missing_and_ends_with_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONIOENCODING": "utf-8"},
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks.gpu: device 'cuda:0' is not available: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [(("--depths", "9"), "6n + 2"), (("--precisions", "half"), "there are float32, tf32")],
)
def test_a_mistake_is_told_before_a_gpu_is_looked_for(
    arguments: tuple[str, str], choices: str
) -> None:
    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 2
    told = " ".join(done.output.replace("│", " ").split())
    assert arguments[0] in told
    assert choices in told


def test_the_floor_of_a_device_is_the_same_work_as_that_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_floor, "_COPIED", 1 << 20)
    convolutions = convolutions_of(cifar_resnet(8, width=2, seed=0), (3, 8, 8))
    with fake.installed() as device:
        ours, cpus = DeviceFloor(convolutions, 6, device), Floor(convolutions, 6)

        assert (ours.gigaflops, ours.traffic_bytes) == (cpus.gigaflops, cpus.traffic_bytes)
        with fake.counting() as counts:
            ours.products()
        assert len(counts.launches) == 3 * len(convolutions) - 1
        ours.traffic()
        speed = device_speed(device, side=64, size=1 << 20)
        assert speed.keys() == {"sgemm_gflops", "copy_gbps"}


class _NoHook:
    """CuPy's MemoryHook where nothing is allocated."""

    def __enter__(self) -> _NoHook:
        return self

    def __exit__(self, *exception: object) -> None: ...


def test_who_fails_is_told_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Steps:
        raise RuntimeError("no graph\nand more")

    contenders = {"minires": lambda: Eager(8, 2), "minires graph": broken}
    monkeypatch.setattr(gpu, "contenders", lambda *asked: contenders)
    monkeypatch.setattr(gpu, "no_torch", lambda: "PyTorch is not installed")
    rates = {"sgemm_gflops": 45000.0, "copy_gbps": 4000.0}
    monkeypatch.setattr(gpu, "device_speed", lambda device: rates)
    with fake.installed():
        monkeypatch.setattr(fake.module.cuda, "MemoryHook", _NoHook, raising=False)
        measured = gpu.measure(8, 2, "float32", rounds=1, steps=1)

    assert measured["failed"] == {
        "torch": "PyTorch is not installed",
        "minires graph": "RuntimeError: no graph",
    }
    assert measured["jobs"].keys() == {"minires"}
    assert len(measured["losses"]["minires"]) == 3
    assert results.figures({"gpu": {"case": measured}}).keys() == {"gpu / case / minires"}
    for table in gpu.tables(measured):
        Console(file=StringIO()).print(table)
