"""The memory that a network's forward and backward take, in fresh processes of each engine.

Peaks never go down, and a library weighs something itself: PyTorch, or Numba. So each process runs
a tiny network first, of the same kinds of layers; what it then holds is what the library costs,
and by how much the peak of the network lies above that is what the network costs.

``python -m benchmarks.footprint ENGINE`` reads what to run from standard input, as JSON, and prints
the peak and what the network added to it, in MB. It loads no library but the engine's.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
# Processes per engine, in turns: PyTorch's peaks differ by some 4 % from one to the next.
WEIGHINGS = 3


def footprints(engines: list[str], job: dict[str, Any], tiny: dict[str, Any]) -> dict[str, Any]:
    """Measure each engine.

    Parameters
    ----------
    engines : list of str
        ``"minires"``, which comes first, and keys of `benchmarks.in_torch.LAYOUTS`.
    job, tiny : dict
        What to run: ``"name"`` and ``"options"`` of a network, and its ``"statement"``.

    Returns
    -------
    dict
        The peaks of the processes, and what of them the network ``"added"``; and the median of
        minires' in terms of the others'.
    """
    peaks: dict[str, list[float]] = {engine: [] for engine in engines}
    added: dict[str, list[float]] = {engine: [] for engine in engines}
    for engine in engines * WEIGHINGS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.footprint", engine],
            input=json.dumps([tiny, job]),
            capture_output=True,
            text=True,
            check=True,
        )
        figures = (float(number) for number in done.stdout.split())
        for kind, figure in zip((peaks, added), figures, strict=True):
            kind[engine].append(figure)
    return {"unit": "MB", "rounds": WEIGHINGS, **_compared(peaks), "added": _compared(added)}


def _compared(figures: dict[str, list[float]]) -> dict[str, Any]:
    median = {engine: statistics.median(weighed) for engine, weighed in figures.items()}
    return {
        "jobs": {
            engine: {"minimum": min(weighed), "median": median[engine], "maximum": max(weighed)}
            for engine, weighed in figures.items()
        },
        "ratios": {
            "minires": {
                engine: {"median": median["minires"] / median[engine]}
                for engine in figures
                if engine != "minires"
            }
        },
    }


def peak() -> float:
    """Return the most memory that this process ever had, in MB of 10^6 bytes."""
    if _STATUS.exists():
        # Linux hands ru_maxrss down to a child: it would be the peak of whoever started us.
        return _status("VmHWM")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS counts bytes


def resident() -> float:
    """Return the memory that this process has now; where the system does not tell, its peak."""
    return _status("VmRSS") if _STATUS.exists() else peak()


def _status(name: str) -> float:
    return int(re.findall(rf"{name}:\s*(\d+) kB", _STATUS.read_text())[0]) * 1024 / 1e6


def _with_minires(job: dict[str, Any]) -> Callable[[], object]:
    """Build a network; return its forward and backward, after which the gradients are kept."""
    import numpy as np

    import minires as mr

    from .steps import MiniresStep

    image = job["statement"]["image"]
    images = np.random.default_rng(0).standard_normal(image, np.float32)
    model = mr.models.create(job["name"], seed=0, **job["options"])
    return MiniresStep(model, images, np.zeros(image[0], np.int64))


def _with_torch(job: dict[str, Any], layout: str) -> Callable[[], object]:
    """Build the same network in PyTorch."""
    import torch

    from .in_torch import LAYOUTS, TorchStep

    image = job["statement"]["image"]
    labels = torch.zeros(image[0], dtype=torch.int64)
    return TorchStep(job["statement"], LAYOUTS[layout], torch.randn(image), labels)


def _run(engine: str, jobs: list[dict[str, Any]]) -> None:
    """Run the tiny network and then the other one, each twice; print the peak and what it added."""
    before = 0.0
    for job in jobs:
        before = resident()
        step = _with_minires(job) if engine == "minires" else _with_torch(job, engine)
        for _ in range(2):
            step()
    sys.stdout.write(f"{peak()} {peak() - before}\n")


if __name__ == "__main__":
    _run(sys.argv[1], json.load(sys.stdin))
