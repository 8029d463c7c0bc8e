"""Peak memory of a few training steps, one fresh process per engine: peaks never go down.

``python -m benchmarks.memory ENGINE DEPTH BATCH`` prints one peak, in MB.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from .footprint import peak

ENGINES = ("minires", "torch NCHW", "torch channels_last")


def memory(depth: int, batch: int) -> dict[str, Any]:
    """Measure the peak of each engine, and ours in terms of the others."""
    peaks = {}
    for engine in ENGINES:
        command = [sys.executable, "-m", "benchmarks.memory", engine, str(depth), str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[engine] = float(done.stdout)
    return {
        "unit": "MB",
        "depth": depth,
        "batch": batch,
        "jobs": {engine: {"minimum": peak} for engine, peak in peaks.items()},
        "ratios": {
            "minires": {
                engine: {"median": peaks["minires"] / peak}
                for engine, peak in peaks.items()
                if engine != "minires"
            }
        },
    }


def take_steps(engine: str, depth: int, batch: int, steps: int = 4) -> None:
    """Train with one engine; PyTorch is loaded only where it is the one."""
    from minires.lab.speed import TrainingStep
    from minires.models import cifar_resnet

    step: Any = TrainingStep(cifar_resnet(depth, seed=0), batch)
    if engine != "minires":
        from .training import LAYOUTS, TorchStep

        step = TorchStep(step, LAYOUTS[engine])
    for _ in range(steps):
        step()


if __name__ == "__main__":
    take_steps(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(f"{peak()}\n")
