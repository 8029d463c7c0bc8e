"""A child's side of the conversation: make a step for every line that asks for one.

The scripts of this folder run in environments without minires, each with one framework. They
import this file and `network` as their neighbours.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np


def load() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Read the task from the file named by the first argument.

    Returns
    -------
    images : ndarray, float32, (N, C, H, W)
    labels : ndarray, int64, (N,)
    weights : dict of ndarray
        The entries of the network's state, by minires's names.
    """
    with np.load(sys.argv[1]) as file:
        arrays = dict(file)
    return arrays.pop("images"), arrays.pop("labels"), arrays


def serve(package: str, step: Callable[[], float]) -> None:
    """Say which version answers, then make a step for every line "step" until the input ends.

    Parameters
    ----------
    package : str
        The framework's name as a distribution.
    step : callable
        Makes a training step and returns its loss.
    """
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what a framework prints is no answer

        def answer(**facts: object) -> None:
            answers.write(json.dumps(facts) + "\n")
            answers.flush()

        answer(version=version(package), numpy=np.__version__)
        for line in sys.stdin:
            if line != "step\n":
                raise ValueError(f"asked for {line!r}; all that can be asked for is 'step\\n'")
            wall, cpu = time.perf_counter(), time.process_time()
            loss = step()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            answer(wall=wall, cpu=cpu, loss=loss, peak_rss_mb=_peak_rss_mb())


def _peak_rss_mb() -> float | None:
    """Return this process's peak of resident memory, or None where only Linux would tell.

    `resource.getrusage` would count what the parent held when it started this process.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e6  # its kB are 1024 bytes
