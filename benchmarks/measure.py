"""Timing: interleaved rounds, minimum and median, wall and CPU time, ratios round by round."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from minires.lab import timing
from minires.training import machine


def interleaved(
    jobs: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, dict[str, float]]:
    """Run all jobs once per round, so that they share the machine's moods; times in seconds.

    Returns, for each job, the minimum and median wall time and the minimum CPU time.
    """
    measured = timing.interleaved(jobs, rounds)
    return {name: measured.times(name) for name in jobs}


def paired(
    jobs: Mapping[str, Callable[[], object]],
    rounds: int,
    sums: Mapping[str, Sequence[str]] | None = None,
    ours: Sequence[str] = ("minires",),
    warm_up: int = 2,
) -> dict[str, Any]:
    """Run all jobs once per round; report milliseconds, and what ours take in terms of the others.

    Parameters
    ----------
    jobs : mapping of str to callable
    rounds : int
    sums : mapping of str to sequence of str, optional
        Further jobs, each what some of the jobs take together.
    ours : sequence of str
        The jobs of minires.
    warm_up : int
        Rounds that go before the measured ones.

    Returns
    -------
    dict
        ``"jobs"``: minimum, median and CPU minimum of each. ``"ratios"``: for each of ours and
        each other job the median of the rounds' ratios and their range.
    """
    measured = timing.interleaved(jobs, rounds, warm_up)
    for name, parts in (sums or {}).items():
        measured.add_sum(name, parts)
    others = [name for name in measured.wall if name not in ours]
    return {
        "unit": "ms",
        "rounds": rounds,
        "jobs": {name: measured.times(name, 1e3) for name in measured.wall},
        "ratios": {
            name: {other: measured.ratio(name, to=other) for other in others} for name in ours
        },
    }


def environment(device: str = "cpu") -> dict[str, str | int]:
    """Describe where it was measured, peers included, without naming the machine."""
    described = machine.environment(device)
    with contextlib.suppress(metadata.PackageNotFoundError):
        described["torch"] = metadata.version("torch")
    return described
