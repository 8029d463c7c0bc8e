"""What a trace costs: time and memory of a recorded step, a path spectrum, a large graph.

``python -m benchmarks.tracing MODE`` takes a few steps in one mode and prints the peak memory, MB.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import minires as mr
from minires import nn
from minires.autograd import EngineHook
from minires.lab.speed import TrainingStep, noise
from minires.models import cifar_resnet

from .measure import paired
from .memory import peak


class Idle(EngineHook):
    """Is shown every moment, and does nothing."""

    keeps_fused = True


IDLE = "installed but idle"
# Without a replay: what it needs is the activations, which a training step lets go of.
MODES: dict[str, dict[str, Any]] = {
    "no value selected": {"select": [], "replay": False},
    "summary": {"save": "summary", "replay": False},
    "thumbs": {"save": "thumbs", "replay": False},
    "summary, replay": {"save": "summary", "replay": True},
}
UNTRACED = "untraced"
NORMS = "one dot product of each array"


def tracing(rounds: int) -> Iterator[tuple[str, Any]]:
    """Measure all of it."""
    yield "step", steps(rounds)
    yield "memory", memory()
    yield "path spectrum", spectrum(min(rounds, 7))
    yield "large graph", large_graph()


def recorded(step: TrainingStep, mode: str) -> Callable[[], Any]:
    """Return a training step, recorded in one of the modes."""
    if mode == UNTRACED:
        return step

    def idle() -> None:
        with Idle():
            step()

    def run() -> Any:
        with mr.trace.record(step.model, **MODES[mode]) as trace:
            step()
        return trace

    return idle if mode == IDLE else run


def steps(rounds: int, depth: int = 20, batch: int = 128) -> dict[str, Any]:
    """Time a training step in each mode; the floor is a norm of each array that is looked at."""
    step = TrainingStep(cifar_resnet(depth, seed=0), batch)
    jobs = {mode: recorded(step, mode) for mode in (UNTRACED, IDLE, *MODES)}
    trace = jobs["summary"]()
    shapes = [value.shape for value in trace.records.values]
    shapes += [trace.records.values[s.value].shape for v in trace.records.backward for s in v.sent]
    arrays = {shape: np.ones(shape, np.float32) for shape in set(shapes)}

    def norms() -> None:
        for shape in shapes:
            array = arrays[shape].reshape(-1)
            np.dot(array, array)

    measured = paired({**jobs, NORMS: norms}, rounds, ours=(IDLE, *MODES, NORMS))
    size = sum(arrays[shape].nbytes for shape in shapes)
    return measured | {"depth": depth, "batch": batch, "bytes_looked_at": size}


def memory(depth: int = 20, batch: int = 128) -> dict[str, Any]:
    """Measure the peak memory of each mode in a process of its own, and the overhead."""
    peaks = {}
    for mode in (UNTRACED, IDLE, *MODES):
        command = [sys.executable, "-m", "benchmarks.tracing", mode, str(depth), str(batch)]
        peaks[mode] = float(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )
    return {
        "unit": "MB",
        "depth": depth,
        "batch": batch,
        "jobs": {mode: {"minimum": value} for mode, value in peaks.items()},
        "ratios": {
            mode: {UNTRACED: {"median": peak / peaks[UNTRACED]}} for mode, peak in peaks.items()
        },
    }


def spectrum(rounds: int, depth: int = 56, batch: int = 8) -> dict[str, Any]:
    """Time the path spectrum at the first block's input beside one backward pass.

    The backward pass is that of an untraced, fused graph; the floor is what the branches' input
    gradients take at least: one for each part that comes by.
    """
    model = cifar_resnet(depth, seed=0)
    images, labels = noise(batch, 32)
    x, y = mr.tensor(images), mr.tensor(labels)
    loss = mr.ops.cross_entropy(model(x), y)
    with mr.trace.record(model, replay=True) as trace:
        mr.ops.cross_entropy(model(x), y).backward()
    model.zero_grad()
    measured = paired(
        {
            "path spectrum": trace.path_spectrum,
            "backward": lambda: loss.backward(retain_graph=True),
        },
        rounds,
        ours=("path spectrum",),
    )
    parts = len(trace.path_spectrum().parts)
    return measured | {
        "depth": depth,
        "batch": batch,
        "parts": parts,
        "branch_vjps": parts * (parts - 1) // 2,
        "branches": parts - 1,
    }


class Deep(nn.Module):
    """The graph of ResNet-152 (bottlenecks 3, 8, 36, 3), with few channels."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        stages, channels = [], 3
        for number, blocks in enumerate((3, 8, 36, 3)):
            made = []
            for place in range(blocks):
                stride = 2 if number and place == 0 else 1
                made.append(nn.Bottleneck(channels, width, stride, "B"))
                channels = 4 * width
            stages.append(nn.Sequential(*made))
        self.stages = nn.Sequential(*stages)
        self.fc = nn.Linear(channels, 10)

    def forward(self, x: Any) -> Any:
        """Map images (N, 3, H, W) to logits (N, 10)."""
        return self.fc(mr.ops.mean(self.stages(x), (2, 3)))


def large_graph() -> dict[str, Any]:
    """Time what happens to a trace of the graph of ResNet-152, and weigh its file and page."""
    mr.manual_seed(0)
    model = Deep()
    images, labels = noise(2, 16)
    seconds: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        made = function()
        seconds[name] = time.perf_counter() - start
        return made

    def record() -> Any:
        with mr.trace.record(model, save="thumbs") as trace:
            mr.ops.cross_entropy(model(mr.tensor(images)), mr.tensor(labels)).backward()
        return trace

    trace = timed("record", record)
    with tempfile.TemporaryDirectory() as folder:
        file, page = Path(folder) / "deep.trace", Path(folder) / "deep.html"
        timed("save", lambda: trace.save(file))
        timed("load", lambda: mr.trace.load(file))
        timed("page", lambda: trace.to_html(page))
        sizes = {"file": file.stat().st_size, "page": page.stat().st_size}
        opened = in_a_browser(page)
        if opened is not None:
            seconds["interactive"] = opened
    return {
        "unit": "s",
        "forward_steps": len(trace.records.forward),
        "jobs": {name: {"minimum": value} for name, value in seconds.items()},
        "bytes": sizes,
    }


def in_a_browser(page: Path) -> float | None:
    """Time from asking Chromium for a page until it has answered its first key, in seconds.

    None where Chromium or Playwright (extra ``browser``) is missing.
    """
    chromium = shutil.which("chromium")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(page.as_uri())
        before = tab.evaluate("location.hash")
        tab.keyboard.press("ArrowRight")
        tab.wait_for_function("before => location.hash !== before", arg=before)
        seconds = time.perf_counter() - start
        browser.close()
    return seconds


if __name__ == "__main__":
    mode, depth, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    job = recorded(TrainingStep(cifar_resnet(depth, seed=0), batch), mode)
    for _ in range(4):
        kept = job()  # the last trace stays alive, as a user's does
    sys.stdout.write(f"{peak()}\n")
