"""Timing: interleaved rounds, minimum and median, wall and CPU time."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from importlib import metadata

from minires.lab import machine


def interleaved(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Run all jobs once per round, so that they share the machine's moods; times in seconds.

    Returns, for each job, the minimum and median wall time and the minimum CPU time.
    """
    for job in jobs.values():
        job()
    wall: dict[str, list[float]] = {name: [] for name in jobs}
    cpu: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            job()
            cpu[name].append(time.process_time() - cpu_start)
            wall[name].append(time.perf_counter() - wall_start)
    return {
        name: {
            "minimum": min(wall[name]),
            "median": statistics.median(wall[name]),
            "cpu_minimum": min(cpu[name]),
        }
        for name in jobs
    }


def environment() -> dict[str, str | int]:
    """Describe where it was measured, peers included, without naming the machine."""
    described = machine.environment()
    with contextlib.suppress(metadata.PackageNotFoundError):
        described["torch"] = metadata.version("torch")
    return described
