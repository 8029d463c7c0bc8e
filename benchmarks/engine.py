"""The engine: backward time per residual block, the cost of a tiny op, memory over many steps."""

from __future__ import annotations

import gc
import subprocess
import sys
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
    """Microseconds per op of a chain of 200 additions and multiplications of 8x8 arrays."""
    ops, array = 200, np.full((8, 8), 1.0, "float32")

    def forward(make: Callable[[Any], Any]) -> Callable[[], Any]:
        x, y = make(array), make(array)

        def run() -> Any:
            z = x
            for _ in range(ops // 2):
                z = (z + y) * y
            return z.sum()

        return run

    def both(make: Callable[[Any], Any]) -> Callable[[], None]:
        run = forward(make)
        return lambda: run().backward()

    makers: dict[str, Callable[[Any], Any]] = {
        "minires": lambda a: mr.tensor(a, requires_grad=True),
        "numpy": lambda a: a,
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        makers["torch"] = lambda a: torch.tensor(a, requires_grad=True)
    jobs: dict[str, Callable[[], object]] = {}
    for name, make in makers.items():
        jobs[f"{name} forward"] = forward(make)
        if name != "numpy":
            jobs[f"{name} forward + backward"] = both(make)
    return {
        "unit": "us per op",
        "jobs": {
            name: {key: 1e6 * value / ops for key, value in times.items()}
            for name, times in interleaved(jobs, rounds).items()
        },
    }


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
