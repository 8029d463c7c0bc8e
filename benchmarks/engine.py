"""The engine: backward time per residual block, the cost of a tiny op, memory over many steps."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import minires as mr

from .measure import interleaved

DEPTHS = (100, 300, 1000, 3000, 5000)


def _residual_chain(x: mr.Tensor, blocks: int) -> mr.Tensor:
    for _ in range(blocks):
        x = mr.ops.residual_add(x, x * 0.001)
    return x


def backward_per_block(rounds: int) -> dict[str, Any]:
    """Microseconds of backward per block of a 4-element tensor, for 100 to 5,000 blocks."""

    def job(blocks: int) -> Callable[[], object]:
        x = mr.ones(4, requires_grad=True)
        output = _residual_chain(x, blocks).sum()
        return lambda: output.backward(retain_graph=True)

    measured = interleaved({str(blocks): job(blocks) for blocks in DEPTHS}, rounds)
    return {
        "unit": "us per block",
        "blocks": {
            name: {key: 1e6 * value / int(name) for key, value in times.items()}
            for name, times in measured.items()
        },
    }


def tiny_ops(rounds: int) -> dict[str, Any]:
    """Microseconds per op of a chain of 200 additions and multiplications of 8x8 arrays.

    Backward is what a round's forward + backward takes beyond its forward. The ratios to PyTorch
    are medians over the rounds, of times that were taken side by side.
    """
    ops, array = 200, np.full((8, 8), 1.0, "float32")

    def forward(make: Callable[[Any], Any]) -> Callable[[], Any]:
        x, y = make(array), make(array)

        def run() -> Any:
            z = x
            for _ in range(ops // 2):
                z = (z + y) * y
            return z.sum()

        return run

    def forward_and_backward(make: Callable[[Any], Any]) -> Callable[[], None]:
        run = forward(make)
        return lambda: run().backward()

    makers: dict[str, Callable[[Any], Any]] = {
        "minires": lambda a: mr.tensor(a, requires_grad=True)
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        makers["torch"] = lambda a: torch.tensor(a, requires_grad=True)
    jobs: dict[str, Callable[[], object]] = {"numpy forward": forward(lambda a: a)}
    for name, make in makers.items():
        jobs |= {f"{name} forward": forward(make), f"{name} both": forward_and_backward(make)}
    # One call each per round, and many rounds: a call takes less than a millisecond.
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(10 * rounds + 1):
        for name, job in jobs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            taken[name].append((1e6 * spent[0] / ops, 1e6 * spent[1] / ops))
    times = {name: np.array(rows[1:]) for name, rows in taken.items()}  # (rounds, wall and CPU)
    rows = {
        name: {
            "minimum": float(row[:, 0].min()),
            "median": float(np.median(row[:, 0])),
            "cpu_minimum": float(row[:, 1].min()),
        }
        for name, row in times.items()
    }
    for name in makers:
        both, way = rows.pop(f"{name} both"), rows[f"{name} forward"]
        rows[f"{name} backward"] = {key: both[key] - way[key] for key in way}
        times[f"{name} backward"] = times[f"{name} both"] - times[f"{name} forward"]
    result: dict[str, Any] = {"unit": "us per op", "jobs": rows}
    if "torch" in makers:
        result["ratio_to_torch"] = {
            way: float(np.median(times[f"minires {way}"][:, 0] / times[f"torch {way}"][:, 0]))
            for way in ("forward", "backward")
        }
    return result


def imports(rounds: int) -> dict[str, Any]:
    """Milliseconds of a fresh interpreter that imports NumPy, minires, or a first name of it."""

    def job(program: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", program], check=True)

    programs = ("pass", "import numpy", "import minires", "import minires; minires.tensor")
    return {
        "unit": "ms",
        "jobs": {
            name: {key: 1e3 * value for key, value in times.items() if key != "cpu_minimum"}
            for name, times in interleaved({p: job(p) for p in programs}, rounds).items()
        },
    }


def memory_over_steps(steps: int = 200, times: int = 6) -> dict[str, Any]:
    """Bytes in use after every `steps` training steps, with the garbage collector off.

    The first readings rise while the interpreter fills its own stocks (of empty tuples, lists,
    dicts and interned strings); a graph that leaked would go on rising by kilobytes per step.
    """
    model = mr.models.cifar_resnet(8, width=4, seed=0)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images, labels = mr.randn(4, 3, 8, 8), np.arange(4)
    readings = []
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(times):
            for _ in range(steps):
                optimizer.zero_grad()
                mr.ops.cross_entropy(model(images), labels).backward()
                optimizer.step()
            readings.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.enable()
    return {"steps": steps, "bytes": readings}
